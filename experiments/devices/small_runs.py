"""Small runs of each system, whose parameters are compared between devices."""

import pathlib
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.config.files import from_file
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.data.batches import Batch
from jaxgan.data.loader import ExampleIndices
from jaxgan.data.sources import digits
from jaxgan.models import conditions
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import program as program_lib
from jaxgan.training.gan import build_gan

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = {"width": 0.1, "batch_size": 16}
# The gradient of a bias in front of BatchNorm is zero up to rounding. With its usual epsilon Adam
# turns that rounding into full-sized steps; with 1e-4 it does not.
EPSILON = "generator.epsilon=1e-4,discriminator.epsilon=1e-4"
SYSTEMS = {
    "infogan:continuous": ("infogan", f"continuous,{EPSILON}"),
    "infogan:document": ("infogan", f"document,discriminator_batch_size=8,{EPSILON}"),
    "cgan:mlp": ("cgan", "mlp"),
    "cgan": ("cgan", ""),
    "dcgan": ("dcgan", EPSILON),
}


def load_config(name: str, arg: str, dtype: str) -> ConfigDict:
    """The config of a file in configs/, with small networks and batches."""
    config = from_file(ROOT / "configs" / f"{name}.py", arg)
    config = update(config, SMALL | {"dtype": dtype})
    if "discriminator_batch_size=8" not in arg:
        config.discriminator_batch_size = 0
    validate(config)
    return config


def trained_params(
    config: ConfigDict, seeds: tuple[int, ...], devices: list[Any], steps: int
) -> list[np.ndarray]:
    """The parameters of the first seed after `steps` steps on these devices."""
    dataset = digits.load(config.dataset.size)
    condition = conditions.make(config, dataset.label_names, dataset.classes)
    gan = build_gan(config, dataset.image_shape, condition)
    labels = dataset.train.labels if isinstance(condition, conditions.Label) else None
    sizes = (gan.config.batch_size, gan.discriminator_batch_size)
    mesh = mesh_lib.make_mesh(len(seeds), sizes, devices)
    program = program_lib.Program(gan, seeds, Batch(dataset.train.images, labels), mesh, 1)
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    indices = ExampleIndices(seeds, len(dataset.train), shape, config.dataset.replacement)
    state = program.initialise()
    for step in range(steps):
        state, _ = program.run(state, indices(step)[:, None])
    networks = (state.generator, state.discriminator, state.q)
    params = [network.params for network in networks if network is not None]
    return [np.asarray(leaf[0]) for leaf in jax.tree.leaves(params)]


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """The largest difference of any parameter."""
    return float(np.max([np.abs(x - y).max() for x, y in zip(a, b, strict=True)]))
