import gzip

import numpy as np
import pytest
from data_files import assert_same, csv_lines, idx_bytes, load, some_images, write_csv, write_idx
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgan.common.errors import UserError
from jaxgan.data.dataset import Split
from jaxgan.data.sources import idx, kaggle_csv


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
def test_validation_is_the_end_of_the_training_set(tmp_path, validation, held):
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


def test_mnist_in_idx_files_has_its_own_split(tmp_path):
    # Labels in MNIST's numbers: which set it apart from Fashion-MNIST, 6,000 of each.
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
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte: no t10k-labels-idx1-ubyte next"):
        load("idx", tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(images))
    with pytest.raises(UserError, match=r"t10k-labels.*begins with 00000803, not 00000801"):
        load("idx", tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte: not an IDX file"):
        load("idx", tmp_path)


@settings(max_examples=60)
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


@settings(max_examples=80)
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


def test_csv_with_windows_line_ends_is_read(tmp_path):
    images, labels = some_images(10)
    text = "\r\n".join(csv_lines(images, labels)) + "\r\n"
    (tmp_path / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    np.testing.assert_array_equal(load("csv", tmp_path).train.images[..., 0], images[:9])


def test_a_source_sorted_by_class_holds_out_a_random_sample(tmp_path):
    """Its last tenth would be one class, which no network had been trained on."""
    images, labels = some_images(n=100)
    labels = np.sort(labels)
    write_idx(tmp_path, images, labels)
    write_csv(tmp_path / "train.csv", images, labels)
    for name in ("idx", "csv"):
        dataset = load(name, tmp_path)
        assert set(dataset.train.labels) == set(labels)
        assert len(set(dataset.validation.labels)) > 3
        order = np.random.default_rng(0).permutation(100)
        np.testing.assert_array_equal(dataset.train.images[..., 0], images[order[:90]])
        np.testing.assert_array_equal(dataset.validation.labels, labels[order[90:]])


@pytest.mark.parametrize("first", ["pixel1", "1x1", "quoted"])
def test_csv_with_headers_of_other_tables_of_kaggle(tmp_path, first):
    """Fashion-MNIST's, that of "MNIST in CSV", and one that a program has quoted."""
    images, labels = some_images()
    header, *rows = csv_lines(images, labels)
    if first == "pixel1":
        header = ",".join(["label", *(f"pixel{i}" for i in range(1, 65))])
    elif first == "1x1":
        header = ",".join(["label", *(f"{i}x{j}" for i in range(1, 9) for j in range(1, 9))])
    else:
        header, *rows = (f'"{line}"'.replace(",", '","') for line in (header, *rows))
    (tmp_path / "train.csv").write_text("\n".join([header, *rows]))
    plain = load("csv", tmp_path)
    np.testing.assert_array_equal(plain.train.images[..., 0], images[:54])
    np.testing.assert_array_equal(plain.train.labels, labels[:54])
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress((tmp_path / "train.csv").read_bytes()))
    (tmp_path / "train.csv").unlink()
    assert_same(load("csv", tmp_path), plain)
    (tmp_path / "train.csv.gz").write_bytes((tmp_path / "train.csv.gz").read_bytes()[:-40])
    with pytest.raises(UserError, match=r"train\.csv\.gz: cannot be read"):
        load("csv", tmp_path)


@pytest.mark.parametrize(("classes", "each"), [(10, 10), (100, 30), (964, 20), (1000, 1)])
def test_a_random_order_is_not_taken_for_sorted(classes, each):
    """So that its last examples stay the held-out ones."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(classes), each))
    images = np.arange(len(labels)).reshape(-1, 1, 1, 1)
    _, held_out = Split(images, labels).hold_out(len(labels) // 10, "x", shuffled=None)
    assert (np.diff(held_out.images.ravel()) == 1).all()


def test_an_open_quote_in_a_csv_is_named(tmp_path):
    header, *rows = csv_lines(*some_images())
    for lines in ([header, *rows[:5], f'"{rows[5]}', *rows[6:] * 300], ["x" * 200_000, *rows]):
        (tmp_path / "train.csv").write_text("\n".join(lines))
        with pytest.raises(UserError, match=r"train\.csv, line \d+"):
            load("csv", tmp_path)
