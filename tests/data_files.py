"""Small files of images and labels, and what tests of sources read them with."""

import gzip
import struct

import numpy as np
from conftest import tiny_config
from PIL import Image

from jaxgan import data


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


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


def write_classes(path, n=30, side=8):
    """Two classes of RGB images; returns them in the order of their paths."""
    images = np.random.default_rng(1).integers(0, 256, (n, side, side, 3), np.uint8)
    for i, image in enumerate(images):
        save(path / ("cat" if i < n // 3 else "dog") / f"{i:03}.png", image)
    return images
