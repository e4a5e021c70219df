"""Images with tags: MIR Flickr's layout, tables, drawn glyphs, and word vectors."""

import importlib.util
import json
import sys

import numpy as np
import pytest
from conftest import load_config, run_python
from PIL import Image

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.sources import glyphs
from jaxgan.data.tagging import glyph_features, glyph_tags, tag_tables, word_vectors
from jaxgan.data.tagging.types import WordVectors

pytestmark = [
    # Not imported here, by every worker that collects this file: that takes seconds.
    pytest.mark.skipif(
        importlib.util.find_spec("gensim") is None,
        reason="gensim is missing: pip install 'jaxgan[tags]'",
    ),
    # It keeps a C extension's own deprecated type alive.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def words(tmp_path):
    """A file in word2vec's own format: nine words, four numbers each."""
    names = ["sky", "night", "water", "dog", "tree", "baby", "people", "plantlife", "unused"]
    vectors = np.random.default_rng(0).standard_normal((len(names), 4)).round(3)
    rows = [f"{name} {' '.join(map(str, row))}" for name, row in zip(names, vectors, strict=True)]
    path = tmp_path / "words.txt"
    path.write_text(f"{len(names)} 4\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture
def mirflickr(tmp_path):
    """Six images as MIR Flickr 25,000 has them: im3 without tags or annotations, im4 with an
    annotation only, im5 with tags that no word vector knows."""
    folder = tmp_path / "mirflickr"
    (folder / "meta" / "tags").mkdir(parents=True)
    (folder / "annotations").mkdir()
    own = {1: "sky\nNight\n", 2: "dog\ntree\nwater\n", 3: "", 5: "nikond80\n", 6: "sky\ndog\n"}
    for number in range(1, 7):
        colour = (40 * number, 0, 255 - 40 * number)
        Image.new("RGB", (12, 8), colour).save(folder / f"im{number}.jpg")
        if number in own:
            # As Flickr wrote them.
            (folder / "meta" / "tags" / f"tags{number}.txt").write_bytes(
                own[number].replace("\n", "\r\n").encode()
            )
    (folder / "annotations" / "baby_r1.txt").write_text("2\n")
    (folder / "annotations" / "baby.txt").write_text("2\n4\n99\n")
    (folder / "annotations" / "plant_life.txt").write_text("1\n")
    (folder / "annotations" / "README.txt").write_text("24 annotations, v080\n")
    np.save(folder / "features.npy", np.arange(6 * 3, dtype=np.float32).reshape(6, 3))
    return folder


def named(dataset, split):
    """The images of a split, by number, with their words."""
    names, found = dataset.tags.vocabulary.words, getattr(dataset.tags, split)
    return {
        int(number): {names[i] for i in own}
        for number, own in zip(found.numbers, found.tags, strict=True)
    }


def test_mirflickr_in_its_own_layout(mirflickr, words):
    config = load_config("tags", f"mirflickr,dataset.data_dir={mirflickr},batch_size=2")
    config = update(config, {"dataset.words": str(words)})
    validate(config)
    dataset = data.load(config)
    everything = {s: named(dataset, s) for s in ("train", "validation", "test")}
    # 3 + 4 + 1 + 2 pairs; four fifths are the first eight, so images 1, 2, 4 and 5.
    assert everything["train"] == {
        1: {"sky", "night", "plantlife"},
        2: {"dog", "tree", "water", "baby"},
        4: {"baby"},
    }
    assert everything["validation"] | everything["test"] == {6: {"sky", "dog"}}
    assert len(dataset.train) == 3 + 4 + 1
    np.testing.assert_array_equal(dataset.tags.train.features[2], [9, 10, 11])
    # A pair: the vector of a word, and the features of the image that it is a tag of.
    vocabulary = dataset.tags.vocabulary
    assert np.square(vocabulary.vectors).mean() == pytest.approx(1, rel=1e-5)
    for image, (number, own) in enumerate(everything["train"].items()):
        rows = np.flatnonzero(dataset.train.features.places == image)
        wanted = {tuple(vocabulary.vectors[vocabulary.words.index(word)]) for word in own}
        assert {tuple(row) for row in dataset.train.images[rows, 0, 0]} == wanted
        features = dataset.train.features.at(rows)
        assert (features == 3 * (number - 1) + np.arange(3)).all()
    assert {word for word, _ in tag_tables._annotations(str(mirflickr))} == {"baby", "plantlife"}
    picture = dataset.tags.picture(6)
    assert picture.shape == (64, 64, 3)
    assert abs(int(picture[0, 0, 0]) - 240) < 8
    read = dataset.tags.read(str(mirflickr / "im2.jpg"))
    np.testing.assert_array_equal(read, [3, 4, 5])


def test_mirflickr_trains_its_own_words(mirflickr):
    dataset = tag_tables.load_mirflickr(str(mirflickr), "", 7, "", 2)
    assert set(dataset.tags.vocabulary.words) == {"sky", "dog", "baby"}
    assert dataset.image_shape == (1, 1, 7)


def test_missing_parts_of_mirflickr_are_named(mirflickr, words, tmp_path):
    def load(**changed):
        given = {"path": str(mirflickr), "features": "", "words": str(words)} | changed
        return tag_tables.load_mirflickr(given["path"], given["features"], 4, given["words"], 1)

    with pytest.raises(UserError, match=r"no im1\.jpg"):
        load(path=str(tmp_path))
    with pytest.raises(UserError, match=r"dataset\.features=.*gone\.npy: cannot be read"):
        load(features=str(tmp_path / "gone.npy"))
    with pytest.raises(UserError, match=r"dataset\.words=.*: cannot be read"):
        load(words=str(mirflickr / "features.npy"))
    np.save(tmp_path / "few.npy", np.zeros((5, 3)))
    with pytest.raises(UserError, match=r"last image is im6\.jpg"):
        load(features=str(tmp_path / "few.npy"))
    np.save(tmp_path / "nan.npy", np.full((6, 3), np.nan))
    with pytest.raises(UserError, match="not finite"):
        load(features=str(tmp_path / "nan.npy"))
    (tmp_path / "other.txt").write_text("1 2\nzebra 0.1 0.2\n")
    with pytest.raises(UserError, match="no image to train on has a tag"):
        load(words=str(tmp_path / "other.txt"))


LINES = ["sky, night", "Dog tree", "", "water", "sky", "tree dog", "night", "dog", "sky", "unheard"]


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_reads_a_table(kind, tmp_path, words):
    features = np.arange(20, dtype=np.float64).reshape(10, 2)
    path = tmp_path / ("table.npz" if kind == "npz" else "table")
    if kind == "npz":
        np.savez(path, features=features, tags=np.array(LINES))
    else:
        path.mkdir()
        np.save(path / "features.npy", features)
        # As Notepad writes it, with a mark at the beginning and other ends of lines.
        (path / "tags.txt").write_bytes(("\ufeff" + "\r\n".join(LINES) + "\r\n").encode())
    dataset = tag_tables.load_table(str(path), 4, str(words), 1)
    splits = [named(dataset, s) for s in ("train", "validation", "test")]
    assert {number for split in splits for number in split} == {0, 1, 3, 4, 5, 6, 7, 8}
    assert sum(map(len, splits)) == 8  # No image is in two.
    assert {k: v for split in splits for k, v in split.items()}[1] == {"dog", "tree"}
    for split in ("train", "validation", "test"):
        found = getattr(dataset.tags, split)
        np.testing.assert_array_equal(found.features[:, 0], 2 * found.numbers)
    held_out = tag_tables.load_table(str(path), 4, str(words), 1, validation=5)
    assert len(held_out.tags.train) < len(dataset.tags.train)
    assert held_out.tags.test.numbers.tolist() == dataset.tags.test.numbers.tolist()


def test_refuses_tables_that_do_not_fit(tmp_path, words):
    def refused(said, **arrays):
        np.savez(tmp_path / "table.npz", **arrays)
        with pytest.raises(UserError, match=said):
            tag_tables.load_table(str(tmp_path / "table.npz"), 4, str(words), 1)

    refused("features of 3 images, and tags of 2", features=np.zeros((3, 2)), tags=["sky", "dog"])
    refused("no array tags", features=np.zeros((3, 2)))
    refused(r"features are float64 \[3\]", features=np.zeros(3), tags=["sky"] * 3)
    with pytest.raises(UserError, match="cannot be read"):
        tag_tables.load_table(str(tmp_path / "gone"), 4, str(words), 1)


def test_the_digest_sees_features_tags_and_vectors():
    def digest(**changed):
        given = {"features": np.eye(4), "own": [["a"], ["b"], ["a"], ["b"]], "scale": 1.0} | changed
        vectors = np.eye(2, dtype=np.float32) * given["scale"]
        splits = [np.arange(2), np.arange(2, 3), np.arange(3, 4)]
        return tag_tables.assemble(
            "t",
            given["features"],
            given["own"],
            np.arange(4),
            WordVectors(("a", "b"), vectors),
            splits,
        ).digest()

    others = {
        digest(features=2 * np.eye(4)),
        digest(own=[["a"], ["a"], ["a"], ["b"]]),
        digest(own=[["a"], ["b"], ["a"], ["a"]]),
        digest(scale=np.array([1, 2], np.float32)),
    }
    assert len(others | {digest()}) == 5
    assert digest() == digest()


# --- Word vectors

SENTENCES = [["bold", "heavy", "thick"], ["thin", "light", "fine"]] * 40 + [["rare"]]


def test_word_vectors_are_the_same_again_and_rare_words_are_left_out():
    found = word_vectors.skip_gram(SENTENCES, 8, 2)
    assert sorted(found.words) == ["bold", "fine", "heavy", "light", "thick", "thin"]
    assert found.vectors.shape == (6, 8)
    code = (
        "import json; from jaxgan.data.tagging import word_vectors\n"
        f"made = word_vectors._train({SENTENCES}, 8, 2, 10)\n"
        "print(json.dumps([made['words'].tolist(), made['vectors'].tolist()]))"
    )
    again = run_python("-c", code, PYTHONHASHSEED="7")
    assert again.returncode == 0, again.stderr
    words, vectors = json.loads(again.stdout.splitlines()[-1])
    assert tuple(words) == found.words
    # To rounding: BLAS may sum otherwise in another process. Another hash draws other vectors.
    np.testing.assert_allclose(vectors, found.vectors, rtol=1e-4, atol=1e-6)


def test_word_vectors_are_trained_once(monkeypatch):
    found = word_vectors.skip_gram(SENTENCES, 8, 2)
    monkeypatch.setattr(word_vectors, "_train", None)
    again = word_vectors.skip_gram(SENTENCES, 8, 2)
    assert again.words == found.words
    np.testing.assert_array_equal(again.vectors, found.vectors)
    with pytest.raises(TypeError):
        word_vectors.skip_gram(SENTENCES, 9, 2)


def test_refuses_a_min_count_above_every_word():
    with pytest.raises(UserError, match=r"dataset\.min_count=99"):
        word_vectors.skip_gram(SENTENCES, 8, 99)


def test_without_gensim_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(UserError, match=r"pip install 'jaxgan\[tags\]'"):
        word_vectors.skip_gram(SENTENCES, 8, 3)


# --- Glyphs


def test_the_true_words_of_a_glyph():
    factors = np.zeros(8)
    names = [factor.name for factor in glyphs.FACTORS]
    for name, value in (("digit", 3), ("font", 4), ("width", 3.9), ("slant", -14), ("size", 15)):
        factors[names.index(name)] = value
    assert glyph_tags.true_words(factors) == [
        *("three", "trio", "triple", "triad", "threefold"),
        *("typewriter", "monospaced", "terminal", "courier", "mechanical"),
        *("bold", "heavy", "thick", "black", "fat"),
        *("leftward", "backslanted", "reclined", "backhand", "contrary"),
        *("middling", "medium", "moderate", "fair", "midsize"),
    ]
    every = [word for factor in glyph_tags.WORDS.values() for words in factor for word in words]
    assert len(set(every)) == len(every) == 5 * (10 + 5 + 3 + 3 + 3)
    for factor in glyphs.FACTORS:
        if factor.name in glyph_tags.WORDS:
            assert len(glyph_tags.WORDS[factor.name]) == (factor.values or 3)


def test_a_caption_has_three_words_of_each_factor():
    said = glyph_tags.captions(50)
    assert said == glyph_tags.captions(50)
    assert said != glyph_tags.captions(50, seed=2)
    assert len({tuple(one) for one in said}) == 50
    groups = [set(words) for factor in glyph_tags.WORDS.values() for words in factor]
    for caption in said:
        assert len(caption) == 3 * 5
        assert [len(group & set(caption)) for group in groups if group & set(caption)] == [3] * 5


def test_tagged_glyphs(monkeypatch, tmp_path):
    monkeypatch.setattr(glyph_features, "PASSES", 1)
    monkeypatch.setattr(glyph_features, "BATCH", 20)
    monkeypatch.setattr(glyph_tags, "CAPTIONS", 400)
    sizes = {"train": 40, "validation": 10, "test": 10}
    said = []
    monkeypatch.setattr("builtins.print", lambda *line, **_: said.append(line))
    dataset = glyph_tags.load(8, sizes=sizes)
    assert [len(getattr(dataset, s)) for s in sizes] == [1000, 250, 250]
    assert dataset.feature_size == glyph_features.FEATURES
    assert dataset.tags.test.numbers.tolist() == list(range(50, 60))
    picture = dataset.tags.picture(50)
    np.testing.assert_array_equal(
        picture, glyphs.load(seed=glyph_tags.SEED, sizes=sizes).test.images[0]
    )
    # An image file has the features of its image, and the network is trained once.
    Image.fromarray(picture[..., 0]).save(tmp_path / "one.png")
    before = len(said)
    assert before
    monkeypatch.setattr(glyph_features, "_train", None)
    again = glyph_tags.load(8, sizes=sizes)
    assert len(said) == before
    assert again.digest() == dataset.digest()
    np.testing.assert_allclose(
        again.tags.read(str(tmp_path / "one.png")), dataset.tags.test.features[0], atol=1e-5
    )
    with pytest.raises(UserError, match="no such file"):
        again.tags.read(str(tmp_path / "two.png"))
