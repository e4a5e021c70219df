"""Trains on the same images from several sources, in device memory and streamed; the resulting
states must be the same, bit for bit.

    TFDS_DATA_DIR=… python experiments/formats/formats.py [--steps=20]

Writes MNIST as IDX files and as Kaggle's CSV, in the order of TensorFlow Datasets' copy; trains the
document's conditional GAN on each, and with streamed images; compares the SHA-256 of the states.
"""

import argparse
import gzip
import hashlib
import os
import pathlib
import struct
import sys
import tempfile
from typing import Any

import jax
import numpy as np

from jaxgan import data
from jaxgan.config.files import from_file
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.batches import Batch
from jaxgan.data.dataset import Split
from jaxgan.data.loader import BatchLoader, ExampleIndices
from jaxgan.data.sources import tfds
from jaxgan.data.streaming import Streamed
from jaxgan.models import conditions
from jaxgan.training import jax_setup
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import program as program_lib
from jaxgan.training.gan import build_gan


def main() -> int:
    """Prints a digest for each source; returns 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    jax_setup.configure_jax()
    mnist = tfds.load("mnist", "", 28, 0)
    digests = {}
    with tempfile.TemporaryDirectory() as folder:
        write_idx(folder, "train", mnist.train)
        write_idx(folder, "t10k", mnist.test)
        write_csv(os.path.join(folder, "train.csv"), mnist.train)
        idx = {"dataset.name": "idx", "dataset.data_dir": folder}
        for name, keys in {
            "tfds": {},
            "idx": idx,
            "csv": idx | {"dataset.name": "csv"},
            "tfds, streamed": {"dataset.streamed": "yes"},
            "idx, streamed": idx | {"dataset.streamed": "yes"},
        }.items():
            digests[name] = train(arguments.steps, keys)
            print(f"{name:<16} {digests[name]}", flush=True)
    same = len(set(digests.values())) == 1
    print(f"after {arguments.steps} updates: {'the same bits' if same else 'NOT the same'}")
    return 0 if same else 1


def train(steps: int, keys: dict[str, Any]) -> str:
    """Trains on a source; returns the SHA-256 of the state's leaves, 32 hexadecimal digits."""
    config = from_file(pathlib.Path(__file__).resolve().parents[2] / "configs" / "cgan.py", "mnist")
    config = update(config, {"dataset.validation": 5000} | keys)
    validate(config)
    dataset = data.load(config)
    condition = conditions.make(config, dataset.label_names, dataset.classes)
    gan = build_gan(config, dataset.image_shape, condition)
    streamed = isinstance(dataset.train.images, Streamed)
    resident = None if streamed else Batch(dataset.train.images, dataset.train.labels)
    mesh = mesh_lib.make_mesh(1, [gan.config.batch_size])
    program = program_lib.Program(gan, (0,), resident, mesh, 1)
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    indices = ExampleIndices((0,), len(dataset.train), shape, config.dataset.replacement)
    loader = BatchLoader(dataset.train, indices, 0, steps, workers=0, on_device=program.on_device)
    state = program.initialise()
    for _ in range(steps):
        state, _ = program.run(state, loader.next(1))
    loader.close()
    hasher = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(state)):
        hasher.update(np.ascontiguousarray(leaf).tobytes())
    return hasher.hexdigest()[:32]


def write_idx(folder: str, name: str, split: Split) -> None:
    """Writes a split as MNIST's two gzipped files."""
    n, height, width, _ = split.images.shape
    head = struct.pack(">4i", 0x803, n, height, width)
    with gzip.open(os.path.join(folder, f"{name}-images-idx3-ubyte.gz"), "wb", 1) as file:
        file.write(head + split.images.tobytes())
    with gzip.open(os.path.join(folder, f"{name}-labels-idx1-ubyte.gz"), "wb", 1) as file:
        file.write(struct.pack(">2i", 0x801, n) + split.labels.astype(np.uint8).tobytes())


def write_csv(path: str, split: Split) -> None:
    """Writes Kaggle's train.csv: a header, then the label and the pixels of each image."""
    pixels = split.images.reshape(len(split), -1)
    table = np.concatenate([split.labels[:, None], pixels], axis=1)
    header = ",".join(["label", *(f"pixel{i}" for i in range(pixels.shape[1]))])
    np.savetxt(path, table, fmt="%d", delimiter=",", header=header, comments="")


if __name__ == "__main__":
    sys.exit(main())
