"""Tables of features, tags and word vectors that are damaged: an error names the file and a remedy,
and no number that is not finite passes."""

import io
import types
import zipfile

import numpy as np
import pytest

from jaxgan import sample
from jaxgan.common.errors import UserError
from jaxgan.data.tagging import tag_tables, word_vectors
from jaxgan.models.conditions import Features

WORDS = ("sky", "night", "wäter", "dog", "tree")
VECTORS = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
FEATURES = np.random.default_rng(1).standard_normal((20, 3)).astype(np.float32)
TAGS = np.array([f"{WORDS[i % 5]} {WORDS[i // 5]}" for i in range(20)])
MANY = "1000000000000"


def text(words=WORDS, vectors=VECTORS, header=None):
    rows = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, vectors, strict=True)]
    header = header or f"{len(words)} {vectors.shape[1]}"
    return "\n".join([header, *rows, ""]).encode()


def binary(words=WORDS, vectors=VECTORS, header=None, end=b"\n"):
    rows = [w.encode() + b" " + row.tobytes() + end for w, row in zip(words, vectors, strict=True)]
    header = header or f"{len(words)} {vectors.shape[1]}"
    return b"".join([f"{header}\n".encode(), *rows])


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(save=np.savez_compressed, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def with_header(content, old, new):
    """An .npy file with a text of its header replaced; the header keeps its length."""
    header = content[10:128].replace(old.encode(), new.encode(), 1)
    spaces = len(header) - 118
    return content[:10] + header.replace(b" " * spaces, b"", 1) + content[128:]


GOOD = {
    "words.txt": text(),
    "words.bin": binary(),
    "table.npz": npz(features=FEATURES, tags=TAGS),
    "stored.npz": npz(np.savez, features=FEATURES, tags=TAGS),
    "table/features.npy": npy(FEATURES),
    "table/tags.txt": "\n".join(TAGS).encode(),
    "mirflickr/features.npy": npy(FEATURES),
    "image.npy": npy(FEATURES[0]),
}


@pytest.fixture
def folder(tmp_path):
    """The good files, in a folder."""
    for name, content in GOOD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    tags = tmp_path / "mirflickr" / "meta" / "tags"
    tags.mkdir(parents=True)
    for number, line in enumerate(TAGS, 1):
        (tmp_path / "mirflickr" / f"im{number}.jpg").touch()
        (tags / f"tags{number}.txt").write_text(line.replace(" ", "\n"))
    return tmp_path


def numbers_of(folder, name):
    """The numbers that a reader makes of a file, float32."""
    words = str(folder / "words.txt")
    if name.startswith("words"):
        return [word_vectors.read(str(folder / name)).vectors]
    if name == "image.npy":
        run = types.SimpleNamespace(gan=types.SimpleNamespace(condition=Features(3)))
        return [sample.read_features(str(folder / name), run, None)[0]]
    if name.startswith("mirflickr"):
        dataset = tag_tables.load_mirflickr(str(folder / "mirflickr"), "", 4, words, 1)
    else:
        path = folder / ("table" if name.startswith("table/") else name)
        dataset = tag_tables.load_table(str(path), 4, words, 1)
    return [dataset.train.images, dataset.train.features.table]


def refused(folder, name, content):
    """Whether a file of this content is refused, in two lines that name it or its folder."""
    (folder / name).write_bytes(content)
    try:
        numbers = numbers_of(folder, name)
    except UserError as error:
        what, remedy = str(error).split("\n")
        assert str(folder / name.partition("/")[0]) in what, what
        assert remedy
        return True
    for array in numbers:
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    return False


def damaged(content, generator):
    """The content with a random edit."""
    kind, place = generator.integers(6), int(generator.integers(len(content)))
    if kind == 0:
        return content[:place]
    if kind == 1:
        return content[:place] + generator.bytes(generator.integers(1, 20)) + content[place:]
    if kind == 2:
        return content[:place] + content[place + int(generator.integers(1, 30)) :]
    if kind == 3:
        return content[:place] + bytes(16) + content[place + 16 :]
    edited = bytearray(content)
    # In the headers, which are at the beginning and, of an .npz, at the end.
    places = np.arange(len(content))[:150] if kind == 4 else np.arange(len(content))[-150:]
    for i in generator.choice(places, 2):
        edited[i] ^= 1 << generator.integers(8)
    return bytes(edited)


@pytest.mark.parametrize("name", GOOD)
def test_random_damage_is_refused_or_harmless(name, folder):
    assert not refused(folder, name, GOOD[name])
    generator = np.random.default_rng(len(name))
    found = [refused(folder, name, damaged(GOOD[name], generator)) for _ in range(12)]
    assert any(found)


NAN, HUGE = np.full_like(FEATURES, np.nan), np.full((20, 3), 1e300)
OBJECTS = np.array([[1, "a", None]] * 20, object)


@pytest.mark.parametrize("made", [text, binary])
@pytest.mark.parametrize(
    ("said", "changed"),
    [
        ("two numbers", {"header": "five 4"}),
        ("two numbers", {"header": "5"}),
        ("two numbers", {"header": "-5 4"}),
        (f"says {MANY} words", {"header": f"{MANY} 4"}),
        (f"words of {MANY} numbers", {"header": f"5 {MANY}"}),
        ("says 0 words", {"header": "0 4"}),
        ("of 0 numbers", {"header": "5 0"}),
        ("cannot be read", {"header": f"{'9' * 5000} 4"}),
        ("cannot be read", {"header": "6 4"}),
        ("the vector of wäter is not finite", {"vectors": np.where(np.eye(5, 4, -2), np.nan, 1)}),
        ("the vector of sky is not finite", {"vectors": np.where(np.eye(5, 4), np.inf, 1)}),
    ],
)
def test_refuses_word_vectors(made, said, changed, folder):
    if "vectors" in changed:
        changed = {"vectors": changed["vectors"].astype(np.float32)}
    name = "words.txt" if made is text else "words.bin"
    assert refused(folder, name, made(**changed))
    with pytest.raises(UserError, match=said):
        numbers_of(folder, name)


def test_refuses_words_that_are_not_utf8_or_have_another_number_of_numbers(folder):
    for name in ("words.txt", "words.bin"):
        assert refused(folder, name, GOOD[name].replace(b"dog", b"d\xffg"))
        assert refused(folder, name, b"")
    # A single number is no vector of equal ones.
    assert refused(folder, "words.txt", text(vectors=VECTORS[:, :1], header="5 4"))
    assert refused(folder, "words.txt", text(vectors=np.tile(VECTORS, 2), header="5 4"))
    assert refused(folder, "words.txt", text().replace(b"-0.", b"-1e999", 1))


@pytest.mark.parametrize("made", [text, binary])
def test_of_equal_words_the_first_counts_and_a_vector_may_be_zero(made, folder):
    name = "words.txt" if made is text else "words.bin"
    vectors = VECTORS * np.array([[1], [0], [1], [1], [1]], np.float32)
    (folder / name).write_bytes(made(("sky", "dog", "sky", "tree", "dog"), vectors))
    found = word_vectors.read(str(folder / name))
    assert found.words == ("sky", "dog", "tree")
    np.testing.assert_array_equal(found.vectors, vectors[[0, 1, 3]])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["words.txt", "words.bin"])
def test_word_vectors_are_those_that_gensim_reads_and_writes(name, folder):
    models = pytest.importorskip("gensim.models")
    ours, is_binary = word_vectors.read(str(folder / name)), name.endswith(".bin")
    theirs = models.KeyedVectors.load_word2vec_format(str(folder / name), binary=is_binary)
    assert ours.words == tuple(theirs.index_to_key) == WORDS
    np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    theirs.save_word2vec_format(str(folder / f"again_{name}"), binary=is_binary)
    again = word_vectors.read(str(folder / f"again_{name}"))
    np.testing.assert_array_equal(again.vectors, VECTORS)
    (folder / "words.bin").write_bytes(binary(end=b""))
    np.testing.assert_array_equal(word_vectors.read(str(folder / "words.bin")).vectors, VECTORS)


@pytest.mark.parametrize(
    "features",
    [
        npy(OBJECTS, allow_pickle=True),
        npy(np.float32(1)),
        npy(FEATURES.astype(str)),
        npy(FEATURES > 0),
        npy(FEATURES * 1j),
        npy(np.zeros(20, [("a", "f4")])),
        npy(NAN),
        npy(HUGE),
        npy(FEATURES[:, :0]),
        npy(FEATURES[:0]),
        npy(FEATURES[None]),
        npz(features=FEATURES),
        with_header(npy(FEATURES), "(20, 3)", f"({MANY}, 3)"),
        with_header(npy(FEATURES), "(20, 3)", f"({MANY}{MANY}{MANY}, 3)"),
        with_header(npy(FEATURES), "(20, 3)", "(-1, 3)"),
        with_header(npy(FEATURES), "False", "((((("),
        b"",
        b"features",
    ],
)
def test_refuses_features(features, folder):
    for name in ("table/features.npy", "mirflickr/features.npy"):
        assert refused(folder, name, features)
    arrays = {"features": features, "tags": npy(TAGS)}
    assert refused(folder, "table.npz", zipped(**arrays))
    if b"(20, 0)" not in features[:200]:  # An image has a row of them.
        assert refused(folder, "image.npy", features)


@pytest.mark.parametrize(
    "tags",
    [
        np.array("sky"),
        TAGS.reshape(4, 5),
        np.arange(20),
        TAGS[:19],
        np.array([b"\xff"] * 20),
        TAGS.astype(object),
        np.full(20, 0x7FFFFFFF, np.uint32).view("U1"),  # No character has that number.
    ],
)
def test_refuses_tags(tags, folder):
    assert refused(folder, "table.npz", npz(np.savez, features=FEATURES, tags=tags))


def test_refuses_lines_of_tags(folder):
    good = GOOD["table/tags.txt"]
    for content in (
        b"",
        good + b"\nsky",
        good[:9] + b"\xff" + good[9:],
        "\n".join(TAGS).encode("utf-16"),
    ):
        assert refused(folder, "table/tags.txt", content)


def test_mirflickrs_lists_may_be_anything(folder):
    where = folder / "mirflickr"
    (where / "sky.txt").write_text("²\n")
    (where / "folder.txt").mkdir()
    with pytest.raises(UserError, match=r"folder\.txt: cannot be read"):
        numbers_of(folder, "mirflickr/features.npy")
    (where / "folder.txt").rmdir()
    assert numbers_of(folder, "mirflickr/features.npy")
    (where / "night.txt").write_text(f"{'9' * 5000}\n")
    with pytest.raises(UserError, match=r"night\.txt: cannot be read"):
        numbers_of(folder, "mirflickr/features.npy")
