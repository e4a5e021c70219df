import gzip
import struct
import warnings

import numpy as np
import pytest
from conftest import load_config, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan import data
from jaxgan.config import UserError, update, validate
from jaxgan.data import folder, idx, kaggle_csv, ring
from jaxgan.data.dataset import Dataset, Split, to_network
from jaxgan.image_measures import ImageMeasures


def some_images(n=60, side=8, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (n, side, side), np.uint8)
    return images, generator.integers(0, 10, n, np.uint8)


def idx_bytes(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_idx(path, images, labels, prefix="train", dash="-", compress=False):
    path.mkdir(exist_ok=True)
    for kind, array in (("images", images), ("labels", labels)):
        content = idx_bytes(array)
        name = f"{prefix}-{kind}{dash}idx{array.ndim}-ubyte" + (".gz" if compress else "")
        (path / name).write_bytes(gzip.compress(content) if compress else content)


def csv_lines(images, labels):
    flat = images.reshape(len(images), -1)
    header = ",".join(["label", *(f"pixel{i}" for i in range(flat.shape[1]))])
    rows = [",".join(map(str, [label, *row])) for label, row in zip(labels, flat, strict=True)]
    return [header, *rows]


def write_csv(path, images, labels):
    path.write_text("\n".join(csv_lines(images, labels)) + "\n")


def load(name, data_dir, **values):
    values = {"dataset__size": 8, "batch_size": 2} | values
    return data.load(tiny_config(dataset__name=name, dataset__data_dir=str(data_dir), **values))


def assert_same(one, other):
    for name in ("train", "validation", "test"):
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a.images, b.images, strict=True)
        np.testing.assert_array_equal(a.labels, b.labels, strict=True)
    assert one.label_names == other.label_names
    assert one.digest() == other.digest()


@pytest.mark.parametrize("name", ["idx", "csv", "folder"])
def test_a_missing_data_dir_names_the_key(name):
    with pytest.raises(UserError, match=r"dataset\.data_dir is missing: dataset\.name=" + name):
        tiny_config(dataset__name=name)


@pytest.mark.parametrize("name", ["idx", "csv", "folder"])
def test_a_folder_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.*no such"):
        load(name, tmp_path / "nowhere")


# --- IDX and CSV


def test_idx_and_csv_of_the_same_images_are_the_same_data(tmp_path):
    images, labels = some_images()
    write_idx(tmp_path / "idx", images, labels)
    write_csv(tmp_path / "train.csv", images, labels)
    one, other = load("idx", tmp_path / "idx"), load("csv", tmp_path)
    assert_same(one, other)
    assert_same(other, load("csv", tmp_path / "train.csv"))
    # And they are what was written, the last tenth held out.
    np.testing.assert_array_equal(one.train.images, images[:54, ..., None], strict=True)
    np.testing.assert_array_equal(one.train.labels, labels[:54].astype(np.int32), strict=True)
    np.testing.assert_array_equal(one.validation.images[..., 0], images[54:])
    assert len(one.test) == 0
    assert one.label_names == tuple("0123456789")


@pytest.mark.parametrize("dash", ["-", "."])
@pytest.mark.parametrize("compress", [False, True])
def test_idx_in_each_of_its_spellings(tmp_path, dash, compress):
    images, labels = some_images()
    write_idx(tmp_path, images, labels, dash=dash, compress=compress)
    write_idx(tmp_path, images[:7], labels[:7], "t10k", dash, compress)
    dataset = load("idx", tmp_path)
    np.testing.assert_array_equal(dataset.train.images[..., 0], images[:54])
    np.testing.assert_array_equal(dataset.test.images[..., 0], images[:7])
    np.testing.assert_array_equal(dataset.test.labels, labels[:7])


@pytest.mark.parametrize(("validation", "held"), [(-1, 6), (0, 0), (10, 10)])
def test_the_end_is_held_out(tmp_path, validation, held):
    images, labels = some_images()
    write_idx(tmp_path, images, labels)
    write_csv(tmp_path / "train.csv", images, labels)
    for name in ("idx", "csv"):
        dataset = load(name, tmp_path, dataset__validation=validation)
        assert (len(dataset.train), len(dataset.validation)) == (60 - held, held)
        np.testing.assert_array_equal(dataset.validation.images[..., 0], images[60 - held :])
        with pytest.raises(
            UserError, match=r"dataset\.validation=60: .* has 60 .*\nhold out fewer"
        ):
            load(name, tmp_path, dataset__validation=60)


def test_sixty_thousand_idx_images_are_mnists_split(tmp_path):
    # Labels in MNIST's numbers: that is how it is told from Fashion-MNIST, 6,000 of each.
    labels = np.repeat(np.arange(10, dtype=np.uint8), idx._MNIST)
    write_idx(tmp_path, np.zeros((60_000, 4, 4), np.uint8), labels)
    dataset = idx.load(str(tmp_path), 4)
    assert (dataset.name, len(dataset.train), len(dataset.validation)) == ("mnist", 55_000, 5_000)
    write_idx(tmp_path, np.zeros((60_000, 4, 4), np.uint8), np.sort(np.arange(60_000) % 10))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(
        idx_bytes(np.repeat(np.arange(10, dtype=np.uint8), 6_000))
    )
    assert idx.load(str(tmp_path), 4).name == "idx"


def test_idx_and_csv_are_resized(tmp_path):
    images, labels = some_images(side=12)
    write_idx(tmp_path, images, labels)
    write_csv(tmp_path / "train.csv", images, labels)
    assert load("idx", tmp_path).image_shape == (8, 8, 1)
    assert_same(load("idx", tmp_path), load("csv", tmp_path))


def test_classes_of_idx_and_csv(tmp_path):
    images, labels = some_images()
    write_idx(tmp_path, images, labels)
    write_csv(tmp_path / "train.csv", images, labels)
    for name in ("idx", "csv"):
        chosen = load(name, tmp_path, dataset__classes="3+7")
        np.testing.assert_array_equal(
            chosen.train.images[..., 0], images[:54][np.isin(labels[:54], [3, 7])]
        )


def test_idx_files_that_do_not_fit_are_named(tmp_path):
    images, labels = some_images()
    with pytest.raises(UserError, match="no train-images-idx3-ubyte"):
        load("idx", tmp_path)
    write_idx(tmp_path, images, labels[:50])
    with pytest.raises(UserError, match="train-labels-idx1-ubyte: 50 labels for 60 images"):
        load("idx", tmp_path)
    write_idx(tmp_path, images[:0], labels[:0])
    with pytest.raises(UserError, match="train-images-idx3-ubyte: 0 images of 8 x 8 pixels"):
        load("idx", tmp_path)
    write_idx(tmp_path, images[:, :0, :0], labels)
    with pytest.raises(UserError, match="train-images-idx3-ubyte: 60 images of 0 x 0 pixels"):
        load("idx", tmp_path)
    write_idx(tmp_path, images, labels)
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte: no t10k-labels-idx1-ubyte beside"):
        load("idx", tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(UserError, match=r"t10k-labels.*begins with 00000803, not 00000801"):
        load("idx", tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: not an IDX file"):
        load("idx", tmp_path)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder for hypothesis, which calls a test many times over."""
    return tmp_path_factory.mktemp("scratch")


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 400), compress=st.booleans(), extra=st.booleans())
def test_an_idx_file_cut_or_lengthened_anywhere_is_refused_by_name(scratch, cut, compress, extra):
    content = idx_bytes(some_images(6)[0])
    whole = gzip.compress(content) if compress else content
    path = scratch / ("images.gz" if compress else "images")
    path.write_bytes(whole)
    np.testing.assert_array_equal(idx.read(str(path), 3), some_images(6)[0])
    if extra:
        content += bytes(cut + 1)
        path.write_bytes(gzip.compress(content) if compress else content)
    else:
        path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(UserError, match=path.name):
        idx.read(str(path), 3)


@pytest.mark.parametrize(
    ("line", "column", "text", "said"),
    [
        (1, 0, "digit", "line 1, column 1: 'digit', where 'label'"),
        (1, 3, "pixel3", "line 1, column 4: 'pixel3', where 'pixel2'"),
        (4, 0, "", "line 4, column label: '' is not a number"),
        (4, 5, "x", "line 4, column pixel4: 'x' is not a number"),
        (61, 64, "256", "line 61, column pixel63: '256' is not from 0 to 255"),
        (2, 1, "-1", "line 2, column pixel0: '-1' is not from 0 to 255"),
        (2, 1, "70000", "line 2, column pixel0: '70000' is not from 0 to 255"),
        (9, 9, "1.5", "line 9, column pixel8: '1.5' is not a whole number"),
        (9, 9, "7,7", "line 9: 66 columns, where the header has 65"),
    ],
)
def test_a_csv_mistake_is_named_by_line_and_column(tmp_path, line, column, text, said):
    lines = [row.split(",") for row in csv_lines(*some_images())]
    lines[line - 1][column] = text
    (tmp_path / "train.csv").write_text("\n".join(map(",".join, lines)))
    with pytest.raises(UserError, match=r"train\.csv") as error:
        load("csv", tmp_path)
    assert said in str(error.value)


@settings(max_examples=80, deadline=None)
@given(line=st.integers(1, 4), column=st.integers(0, 4), text=st.text(max_size=4))
def test_a_csv_field_is_a_whole_number_or_refused_by_name(scratch, line, column, text):
    images = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    lines = [row.split(",") for row in csv_lines(images, np.arange(4))]
    lines[line][column] = text
    path = scratch / "train.csv"
    path.write_bytes("\n".join(map(",".join, lines)).encode(errors="replace"))
    try:
        dataset = kaggle_csv.load(str(path), 4, 0)
    except UserError as error:
        assert "train.csv, line " in str(error)
    else:
        assert 0 <= int(text) <= 255
        if not column:
            assert dataset.train.labels[line - 1] == int(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"train\.csv: the file is empty"),
        (b"\n1,0\n", "line 1: 0 pixel columns"),
        (b"label,pixel0\n", "no rows"),
        (b"label,pixel0,pixel1\n1,2,3\n", "line 1: 2 pixel columns are not a square"),
        (b"\x89PNG\r\n\x1a\n\0\xff", "line 1, column 1: '.PNG', where 'label'"),
        ("label,pixel0\n1,\U0010ffff\n".encode(), "line 2, column pixel0: .* is not a number"),
        (b"5,0,0\n", "line 1, column 1: '5', where 'label'"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path, content, said):
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=said):
        load("csv", tmp_path)


def test_a_csv_of_windows_is_read(tmp_path):
    images, labels = some_images(10)
    text = "\r\n".join(csv_lines(images, labels)) + "\r\n"
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(load("csv", tmp_path).train.images[..., 0], images[:9])


# --- A folder of images


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_classes(path, n=30, side=8):
    """Two classes of RGB images; returns them in the order of their paths."""
    images = np.random.default_rng(1).integers(0, 256, (n, side, side, 3), np.uint8)
    for i, image in enumerate(images):
        save(path / ("cat" if i < n // 3 else "dog") / f"{i:03}.png", image)
    return images


def test_a_folder_of_classes(tmp_path):
    images = write_classes(tmp_path)
    (tmp_path / ".DS_Store").write_bytes(b"hidden")
    dataset = load("folder", tmp_path)
    assert dataset.label_names == ("cat", "dog")
    # Held out: the last tenth of a fixed permutation, whose order both parts keep: the first
    # examples of either are of all classes.
    order = np.random.default_rng(0).permutation(30)
    for split, places in ((dataset.train, order[:27]), (dataset.validation, order[27:])):
        np.testing.assert_array_equal(split.images, images[places], strict=True)
        np.testing.assert_array_equal(split.labels, (places >= 10).astype(np.int32), strict=True)
    assert len(dataset.test) == 0
    dogs = load("folder", tmp_path, dataset__classes="dog")
    assert set(dogs.train.labels) == {1}


def test_a_flat_folder_has_no_labels(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (12, 8, 8, 3), np.uint8)
    for i in reversed(range(12)):
        save(tmp_path / f"{i:03}.png", images[i])
    dataset = load("folder", tmp_path, dataset__validation=0)
    order = np.random.default_rng(0).permutation(12)
    np.testing.assert_array_equal(dataset.train.images, images[order])
    assert dataset.train.labels is None
    with pytest.raises(UserError, match="has no labels"):
        load("folder", tmp_path, dataset__classes="3")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_every_mode_of_image_becomes_rgb_or_grey(tmp_path, mode):
    ending = "tif" if mode in ("CMYK", "YCbCr") else "png"
    if mode == "I;16":
        image = Image.fromarray(np.full((8, 8), 200 * 257, np.uint16))
    else:
        image = Image.new("L", (8, 8), 255 if mode == "1" else 200).convert(mode)
    image.save(tmp_path / f"image.{ending}")
    value = 255 if mode == "1" else 200
    for channels in (1, 3):
        read = folder.decode(str(tmp_path / f"image.{ending}"), 8, channels)
        assert read.dtype == np.uint8
        np.testing.assert_allclose(read, np.full((8, 8, channels), value), atol=1)


def test_what_is_transparent_becomes_white(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, 4:, 3] = 255
    save(tmp_path / "a.png", image)
    read = folder.decode(str(tmp_path / "a.png"), 8, 3)
    assert (read[:, :4] == 255).all()
    assert (read[:, 4:] == 0).all()
    palette = Image.new("P", (8, 8), 0)
    palette.info["transparency"] = bytes([0])
    palette.save(tmp_path / "b.png", transparency=bytes([0]))
    assert (folder.decode(str(tmp_path / "b.png"), 8, 3) == 255).all()


def test_the_central_square_is_taken_upright_and_antialiased(tmp_path):
    # 16 x 8, white in the centre; a turned copy whose EXIF says so reads the same.
    image = np.zeros((8, 16, 3), np.uint8)
    image[:4, 4:12] = 255
    save(tmp_path / "a.png", image)
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn clockwise by a quarter to see it upright.
    save(tmp_path / "b.png", np.rot90(image), exif=exif)
    expected = np.zeros((8, 8, 3), np.uint8)
    expected[:4] = 255
    for name in "ab":
        read = folder.decode(str(tmp_path / f"{name}.png"), 8, 3)
        np.testing.assert_array_equal(read, expected)
    fine = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    save(tmp_path / "c.png", fine.astype(np.uint8))
    np.testing.assert_allclose(folder.decode(str(tmp_path / "c.png"), 8, 1), 127, atol=3)


@pytest.mark.parametrize("streamed", ["no", "yes"])
def test_a_damaged_image_is_named(tmp_path, streamed):
    write_classes(tmp_path)
    path = tmp_path / "dog" / "020.png"
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(UserError, match=r"dog/020\.png: cannot be read as an image"):
        load("folder", tmp_path, dataset__streamed=streamed, dataset__validation=0).train.images[:]
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"dog/020\.png: .*not an image"):
        load("folder", tmp_path, dataset__streamed=streamed, dataset__validation=0).train.images[:]


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255), ending=st.sampled_from(["png", "jpg"]))
def test_a_flipped_byte_never_ends_in_a_traceback(scratch, at, byte, ending):
    path = scratch / f"flipped.{ending}"
    save(path, np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8))
    content = bytearray(path.read_bytes())
    content[at % len(content)] = byte
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd EXIF and of large sizes.
        try:
            assert folder.decode(str(path), 8, 3).shape == (8, 8, 3)
        except UserError as error:
            assert "flipped" in str(error)


def test_a_long_reading_says_how_far_it_is(tmp_path, monkeypatch, capsys):
    write_classes(tmp_path)
    load("folder", tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(folder, "_PATIENCE", -1.0)
    monkeypatch.setattr(folder, "_CHUNK", 20)
    images = load("folder", tmp_path).train.images
    assert f"{tmp_path}: 20 of 30 images decoded\n" in capsys.readouterr().err
    np.testing.assert_array_equal(
        images, load("folder", tmp_path, dataset__streamed="yes").train.images[:]
    )


def test_folders_that_are_no_set_of_images_are_refused(tmp_path):
    with pytest.raises(UserError, match="no images"):
        load("folder", tmp_path)
    write_classes(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    with pytest.raises(UserError, match=r"cat/notes\.txt: not an image"):
        load("folder", tmp_path)
    (tmp_path / "cat" / "notes.txt").unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: no images"):
        load("folder", tmp_path)
    save(tmp_path / "loose.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(UserError, match=r"the file loose\.png beside the folder cat"):
        load("folder", tmp_path)


def test_channels_are_chosen_for_folders_only(tmp_path):
    write_classes(tmp_path)
    assert load("folder", tmp_path, dataset__channels=1).image_shape == (8, 8, 1)
    assert load("folder", tmp_path).image_shape == (8, 8, 3)
    with pytest.raises(UserError, match=r"dataset\.channels=2"):
        load("folder", tmp_path, dataset__channels=2)
    with pytest.raises(UserError, match=r"dataset\.channels=3: only dataset\.name=folder"):
        tiny_config(dataset__channels=3)


# --- The ring


def test_the_ring_is_eight_gaussians():
    dataset = data.load(load_config("gan", "ring"))
    assert dataset.image_shape == (1, 1, 2)
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        10_000, 2_000, 2_000,
    ]  # fmt: skip
    assert dataset.train.images.dtype == np.float32
    assert dataset.digest() == ring.load().digest()
    for label in range(8):
        points = dataset.train.where([label]).images.reshape(-1, 2)
        angle = label * np.pi / 4
        centre = 2 * np.array([np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(points.mean(axis=0), centre, atol=0.01)
        np.testing.assert_allclose(points.std(axis=0), 0.05, atol=0.005)
    assert not np.array_equal(dataset.validation.images, dataset.test.images)
    np.testing.assert_array_equal(
        to_network(dataset.train.images[:5], -1.0), dataset.train.images[:5], strict=False
    )


def test_modes_are_found_by_twenty_in_a_thousand_within_three_deviations():
    assert ring.modes_found(ring.load().test.images) == 8
    away = np.full((980, 2), 9.0)
    near = np.array([[2 + 2.99 * 0.05, 0.0]])
    assert ring.modes_found(np.concatenate([away, near.repeat(20, axis=0)])) == 1
    assert ring.modes_found(np.concatenate([away, away[:1], near.repeat(19, axis=0)])) == 0
    far = np.array([[2 + 3.01 * 0.05, 0.0]])
    assert ring.modes_found(np.concatenate([away, far.repeat(20, axis=0)])) == 0
    points = ring.load().train.where([0, 3, 5]).images
    assert ring.modes_found(points) == 3


def test_the_ring_streams_too():
    lazy = data.load(update(load_config("gan", "ring"), {"dataset.streamed": "yes"}))
    np.testing.assert_array_equal(lazy.train.images[:7], ring.load().train.images[:7], strict=True)
    assert lazy.digest() == ring.load().digest()


@pytest.mark.parametrize(
    ("config", "values", "said"),
    [
        ("dcgan", {}, "system=dcgan"),
        ("cgan", {}, "system=cgan"),
        ("infogan", {}, "system=infogan"),
        ("gan", {"dataset.classes": "1+2"}, r"dataset\.classes=1\+2"),
        ("gan", {"dataset.size": 32}, r"dataset\.size=32"),
    ],
)
def test_what_only_images_have_is_refused_of_the_ring(config, values, said):
    config = update(load_config(config), {"dataset.name": "ring"} | values)
    with pytest.raises(UserError, match=said + r".* points, not images(.|\n)*configs/gan\.py:ring"):
        validate(config)


def test_the_rings_split_is_fixed():
    with pytest.raises(UserError, match=r"dataset\.validation: the split of ring is fixed"):
        tiny_config(dataset__name="ring", dataset__validation=5)


# --- Splits of next to nothing


@pytest.mark.parametrize(
    ("validation", "test", "judged"),
    [(5, 5, "test"), (5, 0, "validation"), (5, 1, "validation"), (1, 1, "train"), (0, 0, "train")],
)
def test_a_split_of_fewer_than_two_images_is_stood_in_for(validation, test, judged):
    """A Fréchet distance wants two."""
    splits = [Split(np.zeros((n, 8, 8, 1), np.uint8), None) for n in (9, validation, test)]
    name, split = ImageMeasures(None, Dataset("few", *splits)).split("test")
    assert name == judged
    assert len(split) == {"train": 9, "validation": validation, "test": test}[judged]
