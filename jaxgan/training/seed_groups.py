"""The states of all seeds: made, split over programs, gathered and fed."""

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
from jaxgan.training import program as program_lib
from jaxgan.training.gan import Gan
from jaxgan.training.state import Best, GanState, first_best, keep_best


def make_programs(
    config: ConfigDict, gan: Gan, seeds: tuple[int, ...], dataset: Dataset
) -> list[program_lib.Program]:
    """One compiled program for each group of seeds."""
    groups = program_lib.seed_groups(seeds, jax.default_backend())
    steps_per_call = config.steps_per_call or 16
    if jax.default_backend() == "cpu":
        steps_per_call = 1
    mesh = program_lib.make_mesh(
        len(groups[0]), (gan.config.batch_size, gan.discriminator_batch_size)
    )
    first = program_lib.Program(gan, groups[0], training_data(gan, dataset), mesh, steps_per_call)
    return [first] + [first.for_seeds(seeds) for seeds in groups[1:]]


def training_data(gan: Gan, dataset: Dataset) -> Batch | None:
    """The training split as one batch, without labels unless they are a condition; None where it
    is streamed, or each host is to read its part only."""
    if isinstance(dataset.train.images, Streamed) or not distributed.is_single_process():
        return None
    training = dataset.train
    labels = training.labels if isinstance(gan.condition, conditions.Label) else None
    return Batch(training.images, labels, training.features)


def initialise_all(programs: list[program_lib.Program]) -> tuple[list[GanState], list[Best]]:
    """The states of all groups before the first step, and their best networks so far."""
    states = [program.initialise() for program in programs]
    return states, [first_best(state) for state in states]


def to_host(programs: list[program_lib.Program], groups: list[Any]) -> list[Any]:
    """Each group's tree, whole, on this process's first device; every process must call it."""
    return [program.local(tree) for program, tree in zip(programs, groups, strict=True)]


def join_groups(states: list[GanState], bests: list[Best]) -> dict[str, Any]:
    """All groups in one tree with a leading axis of seeds, as a checkpoint holds it."""

    def join(*parts: Any) -> Any:
        return jnp.concatenate(parts) if len(parts) > 1 else parts[0]

    return {"state": jax.tree.map(join, *states), "best": jax.tree.map(join, *bests)}


def split_groups(
    whole: dict[str, Any], programs: list[program_lib.Program]
) -> tuple[list[Any], list[Any]]:
    """`join_groups` undone: the states and best networks of each group, on its devices."""
    states, bests, start = [], [], 0
    for program in programs:
        here = slice(start, start + len(program.seeds))
        states.append(program.place(jax.tree.map(lambda x, s=here: x[s], whole["state"])))
        bests.append(program.place(jax.tree.map(lambda x, s=here: x[s], whole["best"])))
        start = here.stop
    return states, bests


def with_attempts(
    states: list[GanState], programs: list[program_lib.Program], attempts: dict[int, int]
) -> list[GanState]:
    """The states with as many attempts as each seed has begun."""
    return [
        state.replace(
            attempt=program.place(np.array([attempts[s] for s in program.seeds], np.int32))
        )
        for program, state in zip(programs, states, strict=True)
    ]


update_best = jax.jit(keep_best)


def make_loaders(
    config: ConfigDict, gan: Gan, programs: list[program_lib.Program], dataset: Dataset, start: int
) -> list[BatchLoader]:
    """The real examples of each group of seeds, from step `start` on."""
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    training = dataset.train
    if not isinstance(gan.condition, conditions.Label):
        training = dataclasses.replace(training, labels=None)
    feeds = []
    for program in programs:
        seeds, rows = program.part
        places = ExampleIndices(
            program.seeds[seeds], len(training), shape, config.dataset.replacement, rows
        )
        feeds.append(
            BatchLoader(
                training, places, start, config.steps, config.dataset.workers, program.resident
            )
        )
    return feeds
