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
from jaxgan.planning.examples import Sizes, training_split
from jaxgan.planning.hlo import Collective
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.mesh import make_mesh, seed_groups
from jaxgan.training.program import StepFunctions
from jaxgan.training.seed_groups import most_steps_per_call
from jaxgan.training.state import GanState


@dataclasses.dataclass(frozen=True)
class CompiledProgram:
    """What a run's program needs on each device.

    Attributes:
      kind: JAX's name of the devices.
      devices, hosts: how many there are, and how many hosts hold them.
      mesh: devices along each axis; a product below `devices` leaves some unused.
      seeds_at_once: how many seeds a call trains.
      steps_per_call: the most steps of a call.
      parameters, optimizer, data: bytes of the networks (with moving averages and statistics), of
        the optimiser and of the training split on one device.
      temporaries: bytes that a call needs besides.
      flops: of one step on one device, counted by XLA.
      bytes: bytes of memory that a step moves (`hlo.Program.bytes_per_step`).
      kernels: how many times a step starts work on arrays.
      collectives: those of a step, and those of a call.
      compile_seconds: time of the compilation here.
    """

    kind: str
    devices: int
    hosts: int
    mesh: dict[str, int]
    seeds_at_once: int
    steps_per_call: int
    parameters: int
    optimizer: int
    data: int
    temporaries: int
    flops: float
    bytes: int
    kernels: int
    collectives: tuple[Collective, ...]
    compile_seconds: float

    @property
    def memory(self) -> int:
        """Bytes on one device."""
        return self.parameters + self.optimizer + self.data + self.temporaries

    @property
    def chip(self) -> Chip | None:
        """What one device offers; None if its kind is not in the table."""
        return CHIPS.get(self.kind)

    @property
    def crossing_seeds(self) -> tuple[Collective, ...]:
        """Collectives between seeds, but for the one that gathers their metrics."""
        crossing = [one for one in self.collectives if "seed" in one.axes]
        return tuple(one for one in crossing if (one.kind, one.number) != ("all-gather", 1))


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
    seeds = len(seed_groups(tuple(range(config.seeds)), platform)[0])
    mesh = make_mesh(seeds, (config.batch_size, gan.discriminator_batch_size), devices)
    steps = config.steps_per_call or most_steps_per_call(gan, platform, on_device=True)
    functions = StepFunctions(gan, seeds, mesh, steps)
    state, arguments = _arguments(gan, functions, dataset)
    began = time.monotonic()
    compiled = functions.run.trace(*arguments).lower(lowering_platforms=(platform,)).compile()
    seconds = time.monotonic() - began
    program = hlo.Program(compiled.as_text())
    cost = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    optimizer = [network.opt_state for network in _networks(state)]
    here = seeds // mesh.shape["seed"]
    whole = _size(state) * here // seeds
    return CompiledProgram(
        kind=devices[0].device_kind,
        devices=len(devices),
        hosts=len({device.process_index for device in devices}),
        mesh=dict(mesh.shape),
        seeds_at_once=seeds,
        steps_per_call=steps,
        parameters=whole - _size(optimizer) * here // seeds,
        optimizer=_size(optimizer) * here // seeds,
        data=_size(arguments[1]),
        temporaries=int(memory.temp_size_in_bytes + memory.generated_code_size_in_bytes),
        # XLA counts the body of a loop once, whose number of steps is not known to it.
        flops=float(cost.get("flops", math.nan)),
        bytes=program.bytes_per_step(),
        kernels=program.kernels_per_step(),
        collectives=tuple(program.collectives(dict(mesh.shape))),
        compile_seconds=seconds,
    )


def _networks(state: GanState) -> list[Any]:
    networks = (state.generator, state.discriminator, state.q)
    return [network for network in networks if network is not None]


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
    indices = jax.ShapeDtypeStruct(shape, np.int32, sharding=functions.given)
    data = training_split(gan, dataset, functions.replicated)
    count = [jax.ShapeDtypeStruct((), np.int32, sharding=functions.replicated)] * (steps > 1)
    return state, [state, data, indices, keys, *count]
