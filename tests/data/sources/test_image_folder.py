import errno
import hashlib
import io
import os
import random
import warnings

import numpy as np
import pytest
from conftest import tiny_config
from data_files import load, save, write_classes
from PIL import Image

from jaxgan.common.errors import UserError
from jaxgan.config import changed_keys, leaves
from jaxgan.data.sources import image_folder
from jaxgan.models import conditions


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
        read = image_folder.decode(str(tmp_path / f"image.{ending}"), 8, channels)
        assert read.dtype == np.uint8
        np.testing.assert_allclose(read, np.full((8, 8, channels), value), atol=1)


def test_what_is_transparent_becomes_white(tmp_path):
    image = np.zeros((8, 8, 4), np.uint8)
    image[:, 4:, 3] = 255
    save(tmp_path / "a.png", image)
    read = image_folder.decode(str(tmp_path / "a.png"), 8, 3)
    assert (read[:, :4] == 255).all()
    assert (read[:, 4:] == 0).all()
    palette = Image.new("P", (8, 8), 0)
    palette.info["transparency"] = bytes([0])
    palette.save(tmp_path / "b.png", transparency=bytes([0]))
    assert (image_folder.decode(str(tmp_path / "b.png"), 8, 3) == 255).all()


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
        read = image_folder.decode(str(tmp_path / f"{name}.png"), 8, 3)
        np.testing.assert_array_equal(read, expected)
    fine = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    save(tmp_path / "c.png", fine.astype(np.uint8))
    np.testing.assert_allclose(image_folder.decode(str(tmp_path / "c.png"), 8, 1), 127, atol=3)


def test_padding_shows_the_whole_image_upright_between_its_edges_mean(tmp_path):
    # 64 x 32, lighter above; a turned copy whose EXIF says so reads the same.
    image = np.full((32, 64, 3), 100, np.uint8)
    image[:12] = (200, 150, 100)
    save(tmp_path / "a.png", image)
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn clockwise by a quarter to see it upright.
    save(tmp_path / "b.png", np.rot90(image), exif=exif)
    expected = np.full((16, 16, 3), (150, 125, 100), np.uint8)
    expected[4:12] = image[::4, ::4]
    for name in "ab":
        read = image_folder.decode(str(tmp_path / f"{name}.png"), 16, 3, "pad")
        for rows in (slice(0, 4), slice(12, 16)):
            np.testing.assert_array_equal(read[rows], expected[rows])
        # The step between light and dark is antialiased.
        np.testing.assert_allclose(read, expected, atol=12)
    save(tmp_path / "c.png", image.swapaxes(0, 1))
    tall = image_folder.decode(str(tmp_path / "c.png"), 16, 3, "pad")
    np.testing.assert_array_equal(tall.swapaxes(0, 1), read)


def test_padding_continues_a_plain_background_and_keeps_a_square(tmp_path):
    image = np.full((20, 60), 230, np.uint8)
    image[8:12, 20:40] = 10
    save(tmp_path / "a.png", image)
    read = image_folder.decode(str(tmp_path / "a.png"), 32, 1, "pad")
    assert (read[:10] == 230).all()
    assert (read[-10:] == 230).all()
    assert read[15, 16] < 30
    square = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    save(tmp_path / "b.png", square)
    both = [image_folder.decode(str(tmp_path / "b.png"), 16, 3, fit) for fit in ("crop", "pad")]
    np.testing.assert_array_equal(*both)
    save(tmp_path / "c.png", np.full((1, 1000), 77, np.uint8))
    assert (image_folder.decode(str(tmp_path / "c.png"), 16, 1, "pad") == 77).all()


def test_padded_images_are_other_data_streamed_or_not(tmp_path):
    images = np.random.default_rng(2).integers(0, 256, (12, 8, 16, 3), np.uint8)
    for i, image in enumerate(images):
        save(tmp_path / f"{i:02}.png", image)
    cropped = load("folder", tmp_path)
    padded = load("folder", tmp_path, dataset__fit="pad")
    streamed = load("folder", tmp_path, dataset__fit="pad", dataset__streamed="yes")
    np.testing.assert_array_equal(streamed.train.images[:], padded.train.images)
    assert (padded.train.images != cropped.train.images).any()
    assert streamed.digest() == padded.digest() != cropped.digest()
    # What runs from before there was a choice have saved.
    files = sorted(tmp_path.iterdir())
    listing = "".join(f"{file.name}\0{file.stat().st_size}\n" for file in files)
    digest = hashlib.sha256(listing.encode()).hexdigest()[:16]
    assert cropped.fingerprint == f"folder {digest} 8x8x3"


def test_a_run_from_before_there_was_a_choice_has_cropped_images():
    config = tiny_config(dataset__name="folder", dataset__data_dir="photos")
    saved = {path: value for path, value in leaves(config) if path != "dataset.fit"}
    assert changed_keys(config, saved) == []
    config.dataset.fit = "pad"
    assert changed_keys(config, saved) == ["dataset.fit (was 'crop', now 'pad')"]


def test_a_damaged_image_is_named(tmp_path):
    write_classes(tmp_path)
    path = tmp_path / "dog" / "020.png"
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(UserError, match=r"dog/020\.png: cannot be read as an image"):
        load("folder", tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"dog/020\.png: .*not an image"):
        load("folder", tmp_path)


def test_the_next_image_of_its_class_replaces_a_damaged_streamed_one(tmp_path, capsys):
    """The run goes on, and its data stay the same to a resumed run."""
    images = write_classes(tmp_path)
    whole = load("folder", tmp_path, dataset__streamed="yes", dataset__validation=0)
    for name in ("dog/029.png", "cat/009.png", "cat/000.png"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:90].ljust(path.stat().st_size))
    damaged = load("folder", tmp_path, dataset__streamed="yes", dataset__validation=0)
    assert damaged.digest() == whole.digest()
    order = np.random.default_rng(0).permutation(30)
    instead = {29: 10, 9: 1, 0: 1}
    expected = images[[instead.get(i, i) for i in order]]
    np.testing.assert_array_equal(damaged.train.images[:], expected)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all("cannot be read as an image" in line for line in said)
    assert any(line.endswith("; dog/010.png is shown instead") for line in said)


def test_a_passing_error_of_reading_replaces_no_image(tmp_path, monkeypatch):
    write_classes(tmp_path)
    images = load("folder", tmp_path, dataset__streamed="yes").train.images

    def stale(path, **options):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), path)

    monkeypatch.setattr(Image, "open", stale)
    with pytest.raises(UserError, match=r"\.png: Stale file handle\nmake it readable"):
        images[:2]


def test_sixteen_bits_of_a_ppm_are_scaled(tmp_path):
    header = b"P5 8 8 65535\n"
    (tmp_path / "a.pgm").write_bytes(header + np.full(64, 200 * 257, ">u2").tobytes())
    assert (image_folder.decode(str(tmp_path / "a.pgm"), 8, 1) == 200).all()


def test_what_systems_leave_behind_is_passed_over(tmp_path):
    images = write_classes(tmp_path)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "._x.png").write_bytes(b"no image")
    for name in ("Thumbs.db", "desktop.ini"):
        (tmp_path / "cat" / name).write_bytes(b"no image")
    dataset = load("folder", tmp_path)
    assert dataset.label_names == ("cat", "dog")
    assert len(dataset.train) + len(dataset.validation) == len(images)


def test_splits_are_not_taken_for_classes(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "Test")
    with pytest.raises(UserError, match=r"its folders are splits \(Test, train\)") as caught:
        load("folder", tmp_path)
    assert str(caught.value).endswith(f"set dataset.data_dir to {tmp_path}/train")
    assert load("folder", tmp_path / "train").label_names == ("cat", "dog")
    (tmp_path / "eel").mkdir()
    save(tmp_path / "eel" / "a.png", np.zeros((8, 8), np.uint8))
    assert load("folder", tmp_path).label_names == ("Test", "eel", "train")


def test_one_class_is_named_with_the_folders_in_it(tmp_path):
    write_classes(tmp_path / "animals")
    config = tiny_config(dataset__name="folder", dataset__data_dir=str(tmp_path))
    config.condition.kind = "label"
    dataset = load("folder", tmp_path)
    said = r"one class only: animals \(it holds the folders cat, dog\)"
    with pytest.raises(UserError, match=said):
        conditions.make(config, dataset.label_names, dataset.classes)
    # The folder of a class whose name is escaped is not found, and the error remains the same.
    with pytest.raises(UserError, match=r"one class only: tab\\t\n"):
        conditions.make(config, ("tab\\t",), (0,))


def test_names_are_shown_and_found_in_any_form(tmp_path):
    """Bytes that are not UTF-8, control characters, plus signs, and macOS's decomposed letters."""
    names = ["a", "c++", "cafe\u0301", "latin\udce9", "red\x1b[31m"]
    for name in names:
        save(tmp_path / name / "1.png", np.zeros((8, 8), np.uint8))
        save(tmp_path / name / "2.png", np.zeros((8, 8), np.uint8))
    shown = ("a", "c++", "cafe\u0301", "latin\\xe9", "red\\x1b[31m")
    assert load("folder", tmp_path).label_names == shown
    for classes, labels in [
        ("c++", [1]),
        ("a+c++", [0, 1]),
        ("c+++a", [0, 1]),
        ("caf\u00e9", [2]),
        ("latin\udce9+4", [3, 4]),
        ("latin\\xe9", [3]),
    ]:
        chosen = load("folder", tmp_path, dataset__classes=classes, dataset__validation=0)
        assert np.unique(chosen.train.labels).tolist() == labels
    for classes in ("c+", "c++d", "5"):
        with pytest.raises(UserError, match="has no class"):
            load("folder", tmp_path, dataset__classes=classes)


def test_pictures_changed_in_their_place_are_noticed(tmp_path):
    write_classes(tmp_path)
    before = load("folder", tmp_path)
    path = tmp_path / "cat" / "003.png"
    size, seed = path.stat().st_size, 0
    while seed == 0 or path.stat().st_size != size:  # Until it is compressed to as many bytes.
        seed += 1
        save(path, np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))
    after = load("folder", tmp_path)
    assert after.digest() == before.digest()
    assert after.content != before.content != ""
    assert load("folder", tmp_path, dataset__streamed="yes").content == ""


@pytest.mark.parametrize("deepest", [255, 4095, 253 * 2**20])
def test_integers_that_would_be_black_are_refused(tmp_path, deepest):
    bits = np.uint16 if deepest < 2**16 else np.int32
    image = np.linspace(0, deepest, 64).astype(bits).reshape(8, 8)
    Image.fromarray(image).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif: .*(12 are used|32 bits)"):
        image_folder.decode(str(tmp_path / "a.tif"), 8, 1)


def test_a_pipe_among_images_is_refused(tmp_path):
    write_classes(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    with pytest.raises(UserError, match=r"pipe\.png: not a file"):
        load("folder", tmp_path)


def test_a_picture_of_a_billion_bytes_is_refused(tmp_path):
    Image.new("1", (13_000, 13_000)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match=r"huge\.png: .*(decompression bomb|too many)"):
        image_folder.decode(str(tmp_path / "huge.png"), 8, 3)


def written(name):
    """An image in one of Pillow's formats, or None if it cannot be written here."""
    image = Image.effect_noise((16, 16), 50)
    for mode in ("RGB", "L", "1", "P"):
        file = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Some formats are deprecated.
                image.convert(mode).save(file, name)
        except (OSError, ValueError, KeyError, RuntimeError):
            continue
        return file.getvalue()
    return None


@pytest.mark.parametrize("name", sorted(Image.registered_extensions() and Image.SAVE))
def test_an_edited_image_is_read_or_named(tmp_path, name):
    """JAXGAN_EDITS is the number of edits of each format (default 30)."""
    whole = written(name)
    if whole is None:
        pytest.skip(f"Pillow cannot write {name} here")
    path, choose = tmp_path / "edited.png", random.Random(0)
    for _ in range(int(os.environ.get("JAXGAN_EDITS", "30"))):
        content, at = bytearray(whole), choose.randrange(min(len(whole), 2_000))
        if choose.random() < 0.3:
            del content[at:]
        else:
            for i in range(at, min(at + choose.randrange(1, 5), len(content))):
                content[i] = choose.choice([0, 1, 127, 128, 255, choose.randrange(256)])
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd EXIF.
            try:
                assert image_folder.decode(str(path), 8, 3).shape == (8, 8, 3)
            except UserError as error:
                assert "edited.png: cannot be read as an image" in str(error)


def test_slow_decoding_reports_progress(tmp_path, monkeypatch, capsys):
    write_classes(tmp_path)
    load("folder", tmp_path)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(image_folder, "_PATIENCE", -1.0)
    monkeypatch.setattr(image_folder, "_CHUNK", 20)
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
    with pytest.raises(UserError, match=r"the file loose\.png next to the folder cat"):
        load("folder", tmp_path)


def test_channels_and_fit_are_chosen_for_folders_only(tmp_path):
    write_classes(tmp_path)
    assert load("folder", tmp_path, dataset__channels=1).image_shape == (8, 8, 1)
    assert load("folder", tmp_path).image_shape == (8, 8, 3)
    with pytest.raises(UserError, match=r"dataset\.channels=2"):
        load("folder", tmp_path, dataset__channels=2)
    with pytest.raises(UserError, match=r"dataset\.channels=3: only dataset\.name=folder"):
        tiny_config(dataset__channels=3)
    with pytest.raises(
        UserError, match=r"dataset\.fit=pad: only dataset\.name=folder can choose\n"
    ):
        tiny_config(dataset__fit="pad")
