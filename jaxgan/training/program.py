"""Where a run's arrays lie and how its step is compiled: devices, seeds, steps a call.

One jitted SPMD program over a mesh of two axes: `seed`, along which whole runs lie side by side,
and `data`, along which a batch is split and the state repeated; gradients and BatchNorm's
statistics are those of the global batch. (Data-parallel training by `jax.pmap` computes the same;
JAX has built pmap from jit and shard_map since 0.8 and advises these directly.)

With several hosts (`hosts.py`) each runs the same program, on its own devices and its own part of
each batch.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgan.common.errors import UserError
from jaxgan.data.batches import Batch
from jaxgan.training.gan import Gan
from jaxgan.training.state import GanState, initialise
from jaxgan.training.step import Metrics, train_step

SEED, DATA = "seed", "data"


# --- The mesh


def seed_groups(seeds: Sequence[int], platform: str) -> list[tuple[int, ...]]:
    """Which seeds share a program: all of them on an accelerator, each by itself on the CPU.

    On the CPU, XLA runs a convolution over several sets of weights at a quarter of the speed of
    as many single ones, so there the seeds take turns, step by step, through one compiled program.
    """
    return [(seed,) for seed in seeds] if platform == "cpu" else [tuple(seeds)]


def make_mesh(seeds: int, batch_sizes: Sequence[int], devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh for `seeds` runs side by side: as many devices along `seed` as divide the seeds,
    the rest along `data`.

    Raises:
      UserError: if the devices along `data` do not divide every batch size.
    """
    devices = jax.devices() if devices is None else devices
    # A host's devices side by side: its part of a batch is one piece.
    devices = sorted(devices, key=lambda device: (device.process_index, device.id))
    along_seed = math.gcd(seeds, len(devices))
    along_data = len(devices) // along_seed
    for size in batch_sizes:
        if size % along_data:
            raise UserError(
                f"a batch of {size} cannot be split over {along_data} devices",
                f"make batch_size and discriminator_batch_size multiples of {along_data}",
            )
    return Mesh(
        np.array(devices).reshape(along_seed, along_data),
        (SEED, DATA),
        axis_types=(AxisType.Auto, AxisType.Auto),
    )


def vmap_seeds(function: Callable[..., Any], seeds: int) -> Callable[..., Any]:
    """`function` of one seed's arguments, over a leading axis of seeds in each of them."""
    if seeds > 1:
        return jax.vmap(function, spmd_axis_name=SEED)

    def single(*arguments: Any) -> Any:
        # Not a vmap of one: a batched convolution is another, slower program.
        result = function(*jax.tree.map(lambda x: x[0], arguments))
        return jax.tree.map(lambda x: x[None], result)

    return single


def _copied(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


class Program:
    """The compiled functions of one group of seeds.

    Everything it takes and returns has a leading axis of seeds, [S, ...].

    Args:
      gan: the rules.
      seeds: of this group.
      data: the training split, images [N, H, W, C] and perhaps labels [N], kept on every device; or
        None where each call brings its own examples, as with several hosts.
      mesh: from `make_mesh`.
      steps_per_call: the most steps that one call runs on an accelerator; on the CPU, where XLA
        runs convolutions inside a loop some 20 times slower, a call is one step.
    """

    def __init__(
        self, gan: Gan, seeds: Sequence[int], data: Batch | None, mesh: Mesh, steps_per_call: int
    ) -> None:
        self.gan, self.seeds, self.mesh = gan, tuple(seeds), mesh
        self.steps_per_call = steps_per_call
        self._shares_threads = mesh.size > 1 and mesh.devices.flat[0].platform == "cpu"
        self._by_seed = NamedSharding(mesh, PartitionSpec(SEED))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._given = NamedSharding(mesh, PartitionSpec(SEED, None, None, DATA))
        self._data = jax.device_put(data, self._everywhere)
        self._root_keys = jax.jit(jax.vmap(jax.random.key), out_shardings=self._by_seed)
        self.keys = self._root_keys(np.asarray(seeds, np.int32))
        self._initialise = jax.jit(
            vmap_seeds(lambda key: initialise(gan, key), len(self.seeds)),
            out_shardings=self._by_seed,
        )
        self._run = jax.jit(
            self._steps if steps_per_call > 1 else self._single_step,
            donate_argnums=0,
            # Metrics are few, and every process looks at them.
            out_shardings=(self._by_seed, self._everywhere),
        )
        self._copy = jax.jit(_copied, out_shardings=self._by_seed)
        self._gather = jax.jit(_copied, out_shardings=self._everywhere)

    def for_seeds(self, seeds: Sequence[int]) -> "Program":
        """The same compiled functions and data for as many other seeds."""
        twin = copy.copy(self)
        twin.seeds = tuple(seeds)
        twin.keys = self._root_keys(np.asarray(seeds, np.int32))
        return twin

    @property
    def resident(self) -> bool:
        """Whether the data lies on the devices, and a call is given places in it."""
        return self._data is not None

    @property
    def part(self) -> tuple[slice, slice]:
        """Which of the seeds, and which rows of each batch of real examples, `run` is to be given
        by this process."""
        shape = (len(self.seeds), 1, 1, self.gan.discriminator_batch_size)
        indices: list[Any] = list(self._given.addressable_devices_indices_map(shape).values())

        def reach(axis: int) -> slice:
            spans = [index[axis].indices(shape[axis]) for index in indices]
            return slice(min(span[0] for span in spans), max(span[1] for span in spans))

        return reach(0), reach(3)

    def initialise(self) -> GanState:
        """The states before the first step."""
        return self._initialise(self.keys)

    def place(self, tree: Any) -> Any:
        """A tree of NumPy arrays [S, ...], the same in every process, on the devices."""

        def put(x: np.ndarray) -> jax.Array:
            return jax.make_array_from_callback(x.shape, self._by_seed, lambda index: x[index])

        # The copy owns its memory: that of a NumPy array may be aliased and must not be donated.
        return self._copy(jax.tree.map(put, tree))

    def local(self, tree: Any) -> Any:
        """The whole of a tree of this program's arrays, [S, ...], on the first device of this
        process; every process must call it."""
        return jax.tree.map(lambda x: x.addressable_data(0), self._gather(tree))

    def _put(self, given: Any) -> Any:
        """This process's part of a call's examples, as part of the whole."""
        seeds, rows = self.part
        whole = (len(self.seeds), self.gan.discriminator_batch_size)

        def put(x: np.ndarray) -> jax.Array:
            shape = (whole[0], *x.shape[1:3], whole[1], *x.shape[4:])

            def piece(index: Any) -> np.ndarray:
                of_seeds, of_rows = index[0].indices(whole[0]), index[3].indices(whole[1])
                return x[
                    of_seeds[0] - seeds.start : of_seeds[1] - seeds.start,
                    :,
                    :,
                    of_rows[0] - rows.start : of_rows[1] - rows.start,
                ]

            return jax.make_array_from_callback(shape, self._given, piece)

        return jax.tree.map(put, given)

    def run(self, state: GanState, given: np.ndarray | Batch) -> tuple[GanState, Metrics]:
        """Runs T steps; `state` is given up.

        Args:
          state: of this group.
          given: the real examples of each step, this process's `part` of them: int32
            [S, T, k, B], places in the data, or the examples themselves, [S, T, k, B, ...], where
            there is none.

        Returns:
          The new state, and the metrics by name, each [S, T].
        """
        steps = jax.tree.leaves(given)[0].shape[1]
        if self.steps_per_call <= 1:
            if steps != 1:
                raise ValueError(f"this program runs one step a call, not {steps}")
            placed = self._put(given)
            after = self._run(state, self._data, placed, self.keys)
            # Several CPU devices share the threads that a collective waits for: two steps under
            # way at once can wait for one another without end.
            return jax.block_until_ready(after) if self._shares_threads else after

        # Always the same shapes, whatever the number of steps: one trace, and the same bits
        # wherever the calls are cut.
        def padded(x: np.ndarray) -> np.ndarray:
            out = np.zeros((x.shape[0], self.steps_per_call, *x.shape[2:]), x.dtype)
            out[:, :steps] = x
            return out

        placed = self._put(jax.tree.map(padded, given))
        state, metrics = self._run(state, self._data, placed, self.keys, np.int32(steps))
        return state, {name: value[:, :steps] for name, value in metrics.items()}

    def _shard(self, batch: Any) -> Any:
        sharding = NamedSharding(self.mesh, PartitionSpec(DATA))
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)

    def _step(
        self, state: GanState, given: Any, key: jax.Array, data: Batch | None
    ) -> tuple[GanState, Metrics]:
        batch = given if data is None else data.at(given)
        return train_step(self.gan, state, batch, key, self._shard)

    def _single_step(
        self, state: GanState, data: Batch | None, given: Any, keys: jax.Array
    ) -> tuple[GanState, Metrics]:
        def one(state: GanState, given: Any, key: jax.Array) -> tuple[GanState, Metrics]:
            return self._step(state, jax.tree.map(lambda x: x[0], given), key, data)

        state, metrics = vmap_seeds(one, len(self.seeds))(state, given, keys)
        return state, {name: value[:, None] for name, value in metrics.items()}

    def _steps(
        self,
        state: GanState,
        data: Batch | None,
        given: Any,
        keys: jax.Array,
        steps: jax.Array,
    ) -> tuple[GanState, Metrics]:
        step = vmap_seeds(
            lambda state, given, key: self._step(state, given, key, data), len(self.seeds)
        )
        first = jax.tree.map(lambda x: x[:, 0], given)
        shapes = jax.eval_shape(step, state, first, keys)[1]
        buffers = {
            name: jnp.zeros((shape.shape[0], self.steps_per_call), shape.dtype)
            for name, shape in shapes.items()
        }

        def body(i: jax.Array, carry: tuple[GanState, Metrics]) -> tuple[GanState, Metrics]:
            state, buffers = carry
            here = jax.tree.map(
                lambda x: jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False), given
            )
            state, metrics = step(state, here, keys)
            return state, {name: buffers[name].at[:, i].set(metrics[name]) for name in buffers}

        return jax.lax.fori_loop(0, steps, body, (state, buffers))
