"""A run's program, compiled for devices that need not be there."""

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.models import conditions
from jaxgan.planning import hlo
from jaxgan.planning.chips import CHIPS, Chip
from jaxgan.planning.examples import Sizes, streamed_examples, training_split
from jaxgan.planning.hlo import Collective
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.mesh import make_mesh, seed_groups
from jaxgan.training.program import StepFunctions
from jaxgan.training.seed_groups import most_steps_per_call
from jaxgan.training.state import GanState, networks


@dataclasses.dataclass(frozen=True)
class CompiledProgram:
    """What a run's program needs on each device.

    Attributes:
      kind: JAX's name of the devices.
      devices, hosts: how many there are, and how many hosts hold them.
      mesh: devices along each axis; a product below `devices` leaves some unused.
      seeds_at_once: how many seeds a call trains.
      steps_per_call: the most steps of a call.
      memory: bytes on one device by what they are for. "gathered" is the copy of all seeds' states
        on every device that is made for a sheet, an evaluation or a checkpoint.
      flops: of one step on one device, counted by XLA.
      bytes: bytes of memory that a step moves (`hlo.Program.bytes_per_step`).
      kernels: how many times a step starts work on arrays.
      metrics_bytes: size of a call's metrics, which are gathered over the seeds.
      collectives: those of a step, and those of a call.
      compile_seconds: time of the compilation here.
    """

    kind: str
    devices: int
    hosts: int
    mesh: dict[str, int]
    seeds_at_once: int
    steps_per_call: int
    memory: dict[str, int]
    flops: float
    bytes: int
    kernels: int
    metrics_bytes: int
    collectives: tuple[Collective, ...]
    compile_seconds: float

    @property
    def chip(self) -> Chip | None:
        """What one device offers; None if its kind is not in the table."""
        return CHIPS.get(self.kind)

    @property
    def crossing_seeds(self) -> tuple[Collective, ...]:
        """Collectives between seeds, but for the one that gathers their metrics."""
        gathering = ("all-gather", 1, self.metrics_bytes)
        return tuple(
            one
            for one in self.collectives
            if "seed" in one.axes and (one.kind, one.number, one.bytes) != gathering
        )


def compile_program(config: ConfigDict, dataset: Sizes, devices: Sequence[Any]) -> CompiledProgram:
    """Compiles the program of a run.

    Args:
      config: a validated config.
      dataset: the sizes of its dataset.
      devices: those to compile for.

    Raises:
      UserError: if the batch cannot be split over the hosts.
    """
    names = tuple(map(str, range(dataset.classes)))
    condition = conditions.make(config, names, tuple(range(dataset.classes)), dataset.features)
    gan = build_gan(config, dataset.shape, condition)
    platform = devices[0].platform
    groups = seed_groups(tuple(range(config.seeds)), platform)
    seeds = len(groups[0])
    mesh = make_mesh(seeds, (config.batch_size, gan.discriminator_batch_size), devices)
    steps = config.steps_per_call or most_steps_per_call(gan, platform, dataset.resident)
    functions = StepFunctions(gan, seeds, mesh, steps)
    state, arguments = _arguments(gan, functions, dataset)
    began = time.monotonic()
    compiled = functions.run.trace(*arguments).lower(lowering_platforms=(platform,)).compile()
    seconds = time.monotonic() - began
    program = hlo.Program(compiled.as_text(), loops=steps > 1)
    cost = compiled.cost_analysis() or {}
    return CompiledProgram(
        kind=devices[0].device_kind,
        devices=len(devices),
        hosts=len({device.process_index for device in devices}),
        mesh=dict(mesh.shape),
        seeds_at_once=seeds,
        steps_per_call=steps,
        memory=_memory(state, arguments[1], len(groups), mesh.shape["seed"], compiled),
        # XLA counts a loop's body once, because it does not know how often it runs.
        flops=float(cost.get("flops", math.nan)),
        bytes=program.bytes_per_step(),
        kernels=program.kernels_per_step(),
        metrics_bytes=_size(jax.eval_shape(functions.run, *arguments)[1]),
        collectives=tuple(program.collectives(dict(mesh.shape))),
        compile_seconds=seconds,
    )


def _memory(
    state: GanState, data: Any, groups: int, along_seed: int, compiled: Any
) -> dict[str, int]:
    """`CompiledProgram.memory`, if the groups of seeds take turns."""
    players = [one for one in (state.generator, state.discriminator, state.q) if one is not None]
    optimizer = _size([player.opt_state for player in players])
    best = _size(networks(state))
    here = groups / along_seed
    analysis = compiled.memory_analysis()
    return {
        "networks": round((_size(state) - optimizer) * here),
        "optimiser": round(optimizer * here),
        "best networks": round(best * here),
        "data": _size(data),
        "temporaries": int(analysis.temp_size_in_bytes + analysis.generated_code_size_in_bytes),
        "gathered": (_size(state) + best) * groups,
    }


def _size(tree: Any) -> int:
    """Bytes of all leaves."""
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree))


def _arguments(gan: Gan, functions: StepFunctions, dataset: Sizes) -> tuple[GanState, list[Any]]:
    """The shapes of a state, and of all arguments of `functions.run`."""

    def placed(x: Any, sharding: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    seeds = functions.seeds
    numbers = np.arange(seeds, dtype=np.int32)
    keys = placed(jax.eval_shape(jax.vmap(jax.random.key), numbers), functions.by_seed)
    state: GanState = jax.tree.map(
        lambda x: placed(x, functions.by_seed), jax.eval_shape(functions.initialise, keys)
    )
    steps, batch = functions.steps_per_call, gan.discriminator_batch_size
    shape = (seeds, steps, gan.config.discriminator_steps, batch)
    data = training_split(gan, dataset, functions.replicated)
    examples: Any = jax.ShapeDtypeStruct(shape, np.int32, sharding=functions.given)
    if data is None:
        examples = streamed_examples(gan, dataset, shape, functions.given)
    count = [jax.ShapeDtypeStruct((), np.int32, sharding=functions.replicated)] * (steps > 1)
    return state, [state, data, examples, keys, *count]
