"""A run of several seeds as groups, one compiled program each: states, checkpoints, batches."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgan.data.batches import Batch
from jaxgan.data.dataset import Dataset
from jaxgan.data.loader import BatchLoader, ExampleIndices
from jaxgan.data.streaming import Streamed
from jaxgan.models import conditions
from jaxgan.training import distributed
from jaxgan.training.gan import Gan, has_convolutions
from jaxgan.training.mesh import make_mesh, seed_groups
from jaxgan.training.program import Program
from jaxgan.training.state import Best, GanState, first_best, keep_best


def make_programs(
    config: ConfigDict, gan: Gan, seeds: tuple[int, ...], dataset: Dataset
) -> list[Program]:
    """A program for each group of seeds; all share the compiled functions and the data."""
    platform = jax.default_backend()
    groups = seed_groups(seeds, platform)
    mesh = make_mesh(len(groups[0]), (gan.config.batch_size, gan.discriminator_batch_size))
    if mesh.size < jax.device_count():
        of_seeds = f" seeds={len(groups[0])}," if len(groups[0]) > 1 else ""
        distributed.log(
            f"using {mesh.size} of {jax.device_count()} devices, the most that divide"
            f"{of_seeds} batch_size={gan.config.batch_size} and"
            f" discriminator_batch_size={gan.discriminator_batch_size} evenly"
        )
    data = training_data(gan, dataset)
    most = config.steps_per_call or most_steps_per_call(gan, platform, data is not None)
    first = Program(gan, groups[0], data, mesh, most)
    return [first] + [first.for_seeds(seeds) for seeds in groups[1:]]


def most_steps_per_call(gan: Gan, platform: str, on_device: bool) -> int:
    """The most steps that one call runs if the config leaves it open.

    Args:
      gan: networks and config.
      platform: the devices' platform, such as "cpu".
      on_device: whether the training split is on the devices.
    """
    # In a loop, XLA runs convolutions some 20 times slower on the CPU (jax issue 12868).
    if platform == "cpu" and has_convolutions(gan):
        return 1
    # A call without the data on the devices holds the examples of all its steps.
    return 256 if on_device else 16


def training_data(gan: Gan, dataset: Dataset) -> Batch | None:
    """The training split as one batch, with labels only if the networks are conditioned on them;
    None if it is streamed."""
    if isinstance(dataset.train.images, Streamed):
        return None
    training = dataset.train
    labels = training.labels if isinstance(gan.condition, conditions.Label) else None
    return Batch(training.images, labels, training.features)


def initialise_all(programs: list[Program]) -> tuple[list[GanState], list[Best]]:
    """Every group's state and best networks before the first step."""
    states = [program.initialise() for program in programs]
    return states, [first_best(state) for state in states]


def gather(programs: list[Program], trees: list[Any]) -> list[Any]:
    """Each group's tree, whole on this process's first device; every process must call it."""
    return [program.gather(tree) for program, tree in zip(programs, trees, strict=True)]


def join_groups(states: list[GanState], bests: list[Best]) -> dict[str, Any]:
    """Joins all groups along the axis of seeds into the tree that a checkpoint holds."""

    def join(*parts: Any) -> Any:
        return jnp.concatenate(parts) if len(parts) > 1 else parts[0]

    return {"state": jax.tree.map(join, *states), "best": jax.tree.map(join, *bests)}


def split_groups(
    joined: dict[str, Any], programs: list[Program]
) -> tuple[list[GanState], list[Best]]:
    """The inverse of `join_groups`: each group's state and best networks, on its devices."""
    groups, start = [], 0
    for program in programs:
        seeds = slice(start, start + len(program.seeds))
        groups.append(program.to_devices(jax.tree.map(lambda x, s=seeds: x[s], joined)))
        start = seeds.stop
    return [group["state"] for group in groups], [group["best"] for group in groups]


def with_attempts(
    states: list[GanState], programs: list[Program], attempts: dict[int, int]
) -> list[GanState]:
    """The states with `attempt` set to each seed's number of rollbacks."""
    return [
        state.replace(
            attempt=program.to_devices(np.array([attempts[s] for s in program.seeds], np.int32))
        )
        for program, state in zip(programs, states, strict=True)
    ]


update_best = jax.jit(keep_best)


def make_loaders(
    config: ConfigDict, gan: Gan, programs: list[Program], dataset: Dataset, start: int
) -> list[BatchLoader]:
    """A loader of real examples for each group, from step `start` on."""
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    split, settings = dataset.train, config.dataset
    if not isinstance(gan.condition, conditions.Label):
        split = dataclasses.replace(split, labels=None)
    loaders = []
    for program in programs:
        seeds, rows = program.local_slices
        indices = ExampleIndices(
            program.seeds[seeds], len(split), shape, settings.replacement, rows
        )
        loaders.append(
            BatchLoader(split, indices, start, config.steps, settings.workers, program.on_device)
        )
    return loaders
