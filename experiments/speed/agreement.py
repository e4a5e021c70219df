"""Whether jaxgan and PyTorch compute the same: parameter counts, and from the same weights, images
and noise the losses and the updated parameters, in float64.

python experiments/speed/agreement.py [A C1 …] [--steps=2] [--batch=8]

Dropout is off on both sides, and Adam's epsilon 1e-4: with its own, Adam turns the rounding of a
gradient that is zero by rights (a bias in front of BatchNorm) into steps of full size.
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
from torch_parameters import load_parameters, parameters_like
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
    """The largest differences: of the losses, relative; of any parameter, beside the largest step
    that a parameter took. `counts` of generator, discriminator and Q are equal, or it raises."""

    losses: float
    parameters: float
    largest_step: float
    counts: tuple[int, ...]


def draws_of(gan: Gan, state: GanState, key: jax.Array, real: Any) -> list[Any]:
    """What a step of jaxgan's makes its images of, as PyTorch's takes it."""
    key = stream(key, "step", state.attempt, state.step)
    names = ["generator"] if gan.config.order == "generator_first" else ["discriminator"]
    if gan.config.fresh_noise:
        names = ["discriminator", "generator"]
    found = []
    for name in names:
        n = gan.discriminator_batch_size if name == "discriminator" else gan.config.batch_size
        latent = sample_input(gan, key, name, n, 0, real).latent
        told = latent.condition
        codes = [torch.tensor(np.asarray(code)) for code in latent.codes]
        told = None if told is None else torch.tensor(np.asarray(told))
        found.append((torch.tensor(np.asarray(latent.noise)), codes, told))
    return found


def agree(config: ConfigDict, channels: int, steps: int) -> Agreement:
    """Trains both for `steps` steps, in float64; JAX's 64-bit types must be on."""
    size, n = config.dataset.size, config.discriminator_batch_size or config.batch_size
    gan = build(config, channels)
    key = jax.random.key(0)
    state = first = jax.jit(lambda key: initialise(gan, key))(key)
    step = jax.jit(lambda state, batch: train_step(gan, state, batch, key))
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        trainer = Trainer(config, channels)
        players = {"generator": trainer.generator, "discriminator": trainer.discriminator}
        players |= {} if trainer.q is None else {"q": trainer.q}
        counts = []
        for name, network in players.items():
            params = getattr(state, name).params
            counts.append(count(network))
            if counts[-1] != sum(x.size for x in jax.tree.leaves(params)):
                raise AssertionError(
                    f"{name}: {counts[-1]} parameters in PyTorch, not as many here"
                )
            load_parameters(network, params)
        random, of_losses = np.random.default_rng(0), 0.0
        for _ in range(steps):
            images = random.integers(0, 256, (n, size, size, channels), dtype=np.uint8)
            labels = random.integers(0, 10, n, dtype=np.int32)
            told = None if gan.condition is None else jax.nn.one_hot(labels, 10, dtype=gan.dtype)
            draws = draws_of(gan, state, key, told)
            batch = Batch(images[None], None if told is None else labels[None])
            state, metrics = step(state, batch)
            if trainer.generator.mirrored:
                images = images[:, ::-1, ::-1]
            there = trainer.step(
                torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2))),
                torch.tensor(labels).long(),
                draws,
            )
            for name, value in there.items():
                here = float(metrics[name])
                of_losses = max(of_losses, abs(here - float(value)) / abs(here))
        of_parameters = largest = 0.0
        for name, network in players.items():
            after, before = getattr(state, name).params, getattr(first, name).params
            moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), after, before)
            largest = max(largest, *jax.tree.leaves(moved))
            for _, here, value in parameters_like(network, after):
                of_parameters = max(of_parameters, float(np.abs(here - value).max()))
    finally:
        torch.set_default_dtype(default)
    return Agreement(of_losses, of_parameters, largest, tuple(counts))


def comparable(config: ConfigDict, batch: int) -> ConfigDict:
    """The config in float64, in small batches, without what cannot be the same on both sides."""
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
    """Prints a row of a Markdown table for each system; 1 if any disagrees."""
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
        print(
            f"| {name} | {counts} | {found.losses:.1e} | {found.parameters:.1e} |"
            f" {found.largest_step:.1e} |",
            flush=True,
        )
        if max(found.losses, found.parameters) > TOLERANCE:
            print(f"{name}: more than {TOLERANCE}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
