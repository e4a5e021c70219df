"""How the step is compiled and sharded: devices, seeds, steps per call.

One jitted SPMD program runs over a mesh with two axes. Independent runs lie along `seed`; along
`data` each batch is split and the state is replicated. Gradients and BatchNorm statistics are those
of the global batch, as with `jax.pmap` and pmean. (Since JAX 0.8, pmap is built from jit and
shard_map, which JAX advises using directly.) With several hosts (`distributed.py`) each process
runs the program on its own devices and its own slice of each batch.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgan.common.errors import UserError
from jaxgan.data.batches import Batch
from jaxgan.training.gan import Gan
from jaxgan.training.state import GanState, initialise
from jaxgan.training.step import train_step
from jaxgan.training.terms import Metrics

SEED, DATA = "seed", "data"


def seed_groups(seeds: Sequence[int], platform: str) -> list[tuple[int, ...]]:
    """Which seeds run side by side in one call: all on an accelerator, only one on the CPU.

    On the CPU, XLA runs a convolution vmapped over weights at a quarter of the speed of separate
    convolutions. There the seeds take turns, step by step, in one compiled program.
    """
    return [(seed,) for seed in seeds] if platform == "cpu" else [tuple(seeds)]


def make_mesh(seeds: int, batch_sizes: Sequence[int], devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh of the most devices over which `seeds` runs and their batches can be split evenly.

    As many devices as possible lie along `seed`, where they need not communicate. Every host uses
    the same number of its devices.

    Args:
      seeds: number of runs.
      batch_sizes: every one is divided evenly along `data`.
      devices: the devices to choose from; None is all of JAX's.

    Raises:
      UserError: if not even one device of each host can be used.
    """
    of_host: dict[int, list[Any]] = {}
    for device in sorted(jax.devices() if devices is None else devices, key=lambda x: x.id):
        of_host.setdefault(device.process_index, []).append(device)
    # In the order of the hosts, so that each host's slice of a batch is contiguous.
    hosts = [of_host[process] for process in sorted(of_host)]
    divisible = math.gcd(*batch_sizes)
    for local in range(min(map(len, hosts)), 0, -1):
        used = [device for host in hosts for device in host[:local]]
        for along_seed in range(math.gcd(seeds, len(used)), 0, -1):
            along_data, rest = divmod(len(used), along_seed)
            if not (rest or seeds % along_seed or divisible % along_data):
                return Mesh(
                    np.array(used).reshape(along_seed, along_data),
                    (SEED, DATA),
                    axis_types=(AxisType.Auto, AxisType.Auto),
                )
    raise UserError(
        f"batches of {' and '.join(map(str, batch_sizes))} cannot be split over {len(hosts)} hosts",
        f"make batch_size and discriminator_batch_size multiples of {len(hosts)}",
    )


def vmap_seeds(function: Callable[..., Any], seeds: int) -> Callable[..., Any]:
    """Maps a function of one seed over a leading axis of `seeds` in every argument."""
    if seeds > 1:
        return jax.vmap(function, spmd_axis_name=SEED)

    def single(*arguments: Any) -> Any:
        # Not a vmap of size one, which compiles to a slower, batched convolution.
        result = function(*jax.tree.map(lambda x: x[0], arguments))
        return jax.tree.map(lambda x: x[None], result)

    return single


def _copy(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


class StepMetrics(struct.PyTreeNode):
    """The metrics of one call in a single array, which is fetched in one copy.

    Attributes:
      values: [S, T, M] for S seeds, T steps (of which a shorter call uses the first) and M metrics;
        truth values are 0 or 1.
      names: the M names.
    """

    values: Any
    names: tuple[str, ...] = struct.field(pytree_node=False)

    @staticmethod
    def pack(metrics: Metrics) -> "StepMetrics":
        """Packs the metrics of one step, each [S]: T is 1."""
        names = tuple(sorted(metrics))
        dtype = jnp.result_type(*(x.dtype for x in metrics.values()))
        values = jnp.stack([metrics[name].astype(dtype) for name in names], axis=-1)
        return StepMetrics(values[:, None], names)

    def by_name(self, steps: int) -> dict[str, np.ndarray]:
        """Fetches the first steps' metrics by name, each [S, steps]."""
        values = np.asarray(self.values)[:, :steps]
        return {name: values[..., i] for i, name in enumerate(self.names)}


class Program:
    """The compiled functions of one group of seeds.

    Every array that it takes or returns has a leading axis of seeds, [S, ...].

    Args:
      gan: networks and config.
      seeds: the group's seeds.
      data: the training split, images [N, H, W, C] and perhaps labels [N], replicated on every
        device; None if each call is given its examples.
      mesh: the mesh, from `make_mesh`.
      steps_per_call: the most steps that one call runs.
    """

    def __init__(
        self, gan: Gan, seeds: Sequence[int], data: Batch | None, mesh: Mesh, steps_per_call: int
    ) -> None:
        self.gan, self.seeds, self.mesh = gan, tuple(seeds), mesh
        self.steps_per_call = steps_per_call
        self._shares_threads = mesh.size > 1 and mesh.devices.flat[0].platform == "cpu"
        self._by_seed = NamedSharding(mesh, PartitionSpec(SEED))
        self._replicated = NamedSharding(mesh, PartitionSpec())
        self._given = NamedSharding(mesh, PartitionSpec(SEED, None, None, DATA))
        self._data = jax.device_put(data, self._replicated)
        self._root_keys = jax.jit(jax.vmap(jax.random.key), out_shardings=self._by_seed)
        self.keys = self._root_keys(np.asarray(seeds, np.int32))
        initialise_seeds = vmap_seeds(lambda key: initialise(gan, key), len(self.seeds))
        self._initialise = jax.jit(initialise_seeds, out_shardings=self._by_seed)
        self._run = jax.jit(
            self._steps if steps_per_call > 1 else self._single_step,
            donate_argnums=0,
            # Metrics are small, and every process reads them.
            out_shardings=(self._by_seed, self._replicated),
        )
        self._copy = jax.jit(_copy, out_shardings=self._by_seed)
        self._gather = jax.jit(_copy, out_shardings=self._replicated)

    def for_seeds(self, seeds: Sequence[int]) -> "Program":
        """The same compiled functions and data for another group with the same number of seeds."""
        program = copy.copy(self)
        program.seeds = tuple(seeds)
        program.keys = self._root_keys(np.asarray(seeds, np.int32))
        return program

    @property
    def on_device(self) -> bool:
        """Whether the training split is on the devices, so that `run` takes indices into it."""
        return self._data is not None

    @property
    def local_slices(self) -> tuple[slice, slice]:
        """The slices of the seeds, and of each batch of real examples, that this process feeds to
        `run`."""
        shape = (len(self.seeds), 1, 1, self.gan.discriminator_batch_size)
        indices: list[Any] = list(self._given.addressable_devices_indices_map(shape).values())

        def union(axis: int) -> slice:
            spans = [index[axis].indices(shape[axis]) for index in indices]
            return slice(min(span[0] for span in spans), max(span[1] for span in spans))

        return union(0), union(3)

    def initialise(self) -> GanState:
        """The states before the first step."""
        return self._initialise(self.keys)

    def to_devices(self, tree: Any) -> Any:
        """Puts a tree of NumPy arrays [S, ...], equal in every process, on the devices."""

        def put(x: np.ndarray) -> jax.Array:
            return jax.make_array_from_callback(x.shape, self._by_seed, lambda index: x[index])

        # Copied, because the arrays may alias NumPy's memory, which must not be donated.
        return self._copy(jax.tree.map(put, tree))

    def to_host(self, tree: Any) -> Any:
        """Gathers a tree of this program's arrays, [S, ...], onto this process's first device.
        Every process must call it."""
        return jax.tree.map(lambda x: x.addressable_data(0), self._gather(tree))

    def _put(self, examples: Any) -> Any:
        """Builds a call's global arrays from this process's `local_slices` of the examples."""
        seeds, rows = self.local_slices

        def put(x: np.ndarray) -> jax.Array:
            batch_size = self.gan.discriminator_batch_size
            shape = (len(self.seeds), *x.shape[1:3], batch_size, *x.shape[4:])

            def shard(index: Any) -> np.ndarray:
                first_seed, last_seed, _ = index[0].indices(shape[0])
                first_row, last_row, _ = index[3].indices(shape[3])
                local_seeds = slice(first_seed - seeds.start, last_seed - seeds.start)
                return x[local_seeds, :, :, first_row - rows.start : last_row - rows.start]

            return jax.make_array_from_callback(shape, self._given, shard)

        return jax.tree.map(put, examples)

    def run(self, state: GanState, examples: np.ndarray | Batch) -> tuple[GanState, StepMetrics]:
        """Runs T steps; `state` is donated.

        Args:
          state: the group's state.
          examples: this process's `local_slices` of the real examples. They are int32 indices
            [S, T, k, B] if the training split is on the devices, otherwise the examples themselves,
            [S, T, k, B, ...].

        Returns:
          The new state, and the metrics, of which the first T steps are meant.
        """
        steps = jax.tree.leaves(examples)[0].shape[1]
        if self.steps_per_call <= 1:
            if steps != 1:
                raise ValueError(f"this program runs one step a call, not {steps}")
            result = self._run(state, self._data, self._put(examples), self.keys)
            return self._alone(result)

        # Padded to a fixed shape, so that the program is traced once and its bits do not depend on
        # how the steps are divided into calls.
        def pad(x: np.ndarray) -> np.ndarray:
            out = np.zeros((x.shape[0], self.steps_per_call, *x.shape[2:]), x.dtype)
            out[:, :steps] = x
            return out

        padded = self._put(jax.tree.map(pad, examples))
        return self._alone(self._run(state, self._data, padded, self.keys, np.int32(steps)))

    def _alone(self, result: Any) -> Any:
        """A call's result, once no other call may be in flight: CPU devices share the threads on
        which collectives wait, so that two calls can deadlock."""
        return jax.block_until_ready(result) if self._shares_threads else result

    def _shard(self, batch: Any) -> Any:
        sharding = NamedSharding(self.mesh, PartitionSpec(DATA))
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)

    def _step(
        self, state: GanState, examples: Any, key: jax.Array, data: Batch | None
    ) -> tuple[GanState, Metrics]:
        batch = examples if data is None else data.at(examples)
        return train_step(self.gan, state, batch, key, self._shard)

    def _single_step(
        self, state: GanState, data: Batch | None, examples: Any, keys: jax.Array
    ) -> tuple[GanState, StepMetrics]:
        def step(state: GanState, examples: Any, key: jax.Array) -> tuple[GanState, Metrics]:
            return self._step(state, jax.tree.map(lambda x: x[0], examples), key, data)

        state, metrics = vmap_seeds(step, len(self.seeds))(state, examples, keys)
        return state, StepMetrics.pack(metrics)

    def _steps(
        self, state: GanState, data: Batch | None, examples: Any, keys: jax.Array, steps: jax.Array
    ) -> tuple[GanState, StepMetrics]:
        step = vmap_seeds(
            lambda state, examples, key: self._step(state, examples, key, data), len(self.seeds)
        )
        first = jax.tree.map(lambda x: x[:, 0], examples)
        shape = jax.eval_shape(lambda *given: StepMetrics.pack(step(*given)[1]), state, first, keys)
        seeds, _, metrics = shape.values.shape
        packed = jnp.zeros((seeds, self.steps_per_call, metrics), shape.values.dtype)

        def body(i: jax.Array, carry: tuple[GanState, jax.Array]) -> tuple[GanState, jax.Array]:
            state, packed = carry
            current = jax.tree.map(
                lambda x: jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False), examples
            )
            state, metrics = step(state, current, keys)
            row = StepMetrics.pack(metrics).values
            return state, jax.lax.dynamic_update_slice_in_dim(packed, row, i, axis=1)

        state, packed = jax.lax.fori_loop(0, steps, body, (state, packed))
        return state, StepMetrics(packed, shape.names)
