"""Whether jaxgan and PyTorch compute the same in float64: the parameter counts, and, from the same
weights, images and noise, the losses and the updated parameters.

python experiments/speed/agreement.py [A C1 …] [--steps=2] [--batch=8]

Dropout is off on both sides, and Adam's epsilon is 1e-4. The gradient of a bias in front of
BatchNorm is zero up to rounding, which Adam's usual epsilon would turn into full-sized steps.
"""

import argparse
import sys
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from ml_collections import ConfigDict
from systems import SYSTEMS, build, load_config
from torch_networks import count
from torch_parameters import load_parameters, parameter_pairs
from torch_trainer import Trainer

from jaxgan.common.rng import stream
from jaxgan.config.presets import update
from jaxgan.data.batches import Batch
from jaxgan.training import jax_setup
from jaxgan.training.gan import Gan
from jaxgan.training.state import GanState, initialise
from jaxgan.training.step import sample_input, train_step

TOLERANCE = 1e-9


class Agreement(NamedTuple):
    """The largest relative difference of a loss, the largest difference of a parameter, the largest
    step that a parameter took, and the parameter counts of generator, discriminator and Q."""

    losses: float
    parameters: float
    largest_step: float
    counts: tuple[int, ...]


def draws_of(gan: Gan, state: GanState, key: jax.Array, real: Any) -> list[Any]:
    """The latents that a step of jaxgan samples, as arguments of `Trainer.step`."""
    key = stream(key, "step", state.attempt, state.step)
    names = ["generator"] if gan.config.order == "generator_first" else ["discriminator"]
    if gan.config.fresh_noise:
        names = ["discriminator", "generator"]
    draws = []
    for name in names:
        n = gan.discriminator_batch_size if name == "discriminator" else gan.config.batch_size
        latent = sample_input(gan, key, name, n, 0, real).latent
        to_torch = jax.tree.map(lambda x: torch.tensor(np.asarray(x)), latent)
        draws.append((to_torch.noise, list(to_torch.codes), to_torch.condition))
    return draws


def agree(config: ConfigDict, channels: int, steps: int) -> Agreement:
    """Trains both for `steps` steps in float64, for which JAX's 64-bit types must be enabled.

    Raises:
      AssertionError: if the parameter counts differ.
    """
    size, n = config.dataset.size, config.discriminator_batch_size or config.batch_size
    gan = build(config, channels)
    key = jax.random.key(0)
    state = first = jax.jit(lambda key: initialise(gan, key))(key)
    step = jax.jit(lambda state, batch: train_step(gan, state, batch, key))
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        trainer = Trainer(config, channels)
        networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
        networks |= {} if trainer.q is None else {"q": trainer.q}
        counts = []
        for name, network in networks.items():
            params = getattr(state, name).params
            counts.append(count(network))
            if counts[-1] != sum(x.size for x in jax.tree.leaves(params)):
                raise AssertionError(
                    f"{name}: {counts[-1]} parameters in PyTorch, others in jaxgan"
                )
            load_parameters(network, params)
        random, losses = np.random.default_rng(0), 0.0
        for _ in range(steps):
            images = random.integers(0, 256, (n, size, size, channels), dtype=np.uint8)
            labels = random.integers(0, 10, n, dtype=np.int32)
            one_hot = jax.nn.one_hot(labels, 10, dtype=gan.dtype)
            condition = None if gan.condition is None else one_hot
            draws = draws_of(gan, state, key, condition)
            batch = Batch(images[None], None if condition is None else labels[None])
            state, metrics = step(state, batch)
            if trainer.generator.mirrored:
                images = images[:, ::-1, ::-1]
            torch_images = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
            torch_losses = trainer.step(torch_images, torch.tensor(labels).long(), draws)
            for name, value in torch_losses.items():
                ours = float(metrics[name])
                losses = np.maximum(losses, abs(ours - float(value)) / abs(ours))
        parameters = largest_step = 0.0
        for name, network in networks.items():
            after, before = getattr(state, name).params, getattr(first, name).params
            steps_taken = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), after, before)
            largest_step = np.max([largest_step, *jax.tree.leaves(steps_taken)])
            for ours, theirs in parameter_pairs(network, after):
                parameters = np.maximum(parameters, np.abs(ours - theirs).max())
    finally:
        torch.set_default_dtype(default)
    return Agreement(float(losses), float(parameters), float(largest_step), tuple(counts))


def comparable(config: ConfigDict, batch: int) -> ConfigDict:
    """The config in float64, with small batches and without dropout, which draws differently in
    PyTorch."""
    config = update(config, {"dtype": "float64", "batch_size": batch})
    if config.discriminator_batch_size:
        config.discriminator_batch_size = batch if not config.fresh_noise else batch // 2
    for player in (config.generator, config.discriminator):
        player.dropout = 0.0
        if player.optimizer == "adam":
            player.epsilon = 1e-4
    config.discriminator.input_dropout = 0.0
    return config


def main() -> int:
    """Prints a row of a Markdown table for each system; returns 1 if one disagrees."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    arguments = parser.parse_args()
    jax_setup.configure_jax("float64")
    print("| system | parameters: G, D, Q | losses, relative | parameters | largest step |")
    print("|---|---|---|---|---|")
    status = 0
    for name in arguments.systems or SYSTEMS:
        file, arg, channels = SYSTEMS[name]
        config = comparable(load_config(file, arg), arguments.batch)
        found = agree(config, channels, arguments.steps)
        counts = ", ".join(f"{count:,}" for count in found.counts)
        largest = " | ".join(f"{x:.1e}" for x in found[:3])
        print(f"| {name} | {counts} | {largest} |", flush=True)
        if not np.max([found.losses, found.parameters]) <= TOLERANCE:
            print(f"{name}: a difference above {TOLERANCE}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
