import warnings

import numpy as np
import pytest
from conftest import tiny_config
from data_files import load, save, write_classes
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from jaxgan.common.errors import UserError
from jaxgan.data.sources import image_folder


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


@settings(max_examples=60)
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
            assert image_folder.decode(str(path), 8, 3).shape == (8, 8, 3)
        except UserError as error:
            assert "flipped" in str(error)


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


def test_channels_are_chosen_for_folders_only(tmp_path):
    write_classes(tmp_path)
    assert load("folder", tmp_path, dataset__channels=1).image_shape == (8, 8, 1)
    assert load("folder", tmp_path).image_shape == (8, 8, 3)
    with pytest.raises(UserError, match=r"dataset\.channels=2"):
        load("folder", tmp_path, dataset__channels=2)
    with pytest.raises(UserError, match=r"dataset\.channels=3: only dataset\.name=folder"):
        tiny_config(dataset__channels=3)
