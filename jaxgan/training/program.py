"""How the step is compiled and sharded: devices, seeds, steps per call.

One jitted SPMD program runs over the mesh (`mesh.py`). Along `seed` it is mapped by shard_map: the
seeds cannot communicate. Along `data` XLA splits it: gradients and BatchNorm statistics are those
of the global batch, as with `jax.pmap` and pmean. (Since JAX 0.8, pmap is built from jit and
shard_map, which JAX advises using directly.) With several hosts (`distributed.py`) each process
runs the program on its own devices and its own slice of each batch.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.experimental.layout import Format, Layout
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jaxgan.data.batches import Batch
from jaxgan.training.gan import Gan
from jaxgan.training.mesh import DATA, SEED
from jaxgan.training.state import GanState, initialise
from jaxgan.training.step import train_step
from jaxgan.training.terms import Metrics


def vmap_seeds(function: Callable[..., Any], seeds: int) -> Callable[..., Any]:
    """Maps a function of one seed over a leading axis of `seeds` in every argument."""
    if seeds > 1:
        return jax.vmap(function)

    def single(*arguments: Any) -> Any:
        # Not a vmap of size one, which compiles to a slower, batched convolution.
        result = function(*jax.tree.map(lambda x: x[0], arguments))
        return jax.tree.map(lambda x: x[None], result)

    return single


def _copy(tree: Any) -> Any:
    return jax.tree.map(jnp.copy, tree)


def flat_images(data: Batch) -> Batch:
    """The training split with its images as rows, [N, H * W * C].

    XLA otherwise lays all images out anew in each call, with N innermost on a TPU: of 200,000
    64x64x3 images on a v5e (`jaxgan.plan`), 4.7 GB of temporaries become .08 GB.
    """
    return data._replace(images=data.images.reshape(len(data.images), -1))


def row_major(sharding: Sharding, dimensions: int) -> Format:
    """Where an array of the training split lies: example after example.

    A TPU's default layout of [N, H * W * C] puts N innermost if that needs less padding, and each
    call then begins with a copy in row-major order, from which rows are gathered (`jaxgan.plan` of
    `tags.py` on a v5e: 156 -> 10 MiB of temporaries).
    """
    return Format(Layout(tuple(range(dimensions))), sharding)


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


class StepFunctions:
    """The functions that train one group of seeds, jitted for a mesh. They hold no arrays, so that
    they can be compiled for devices that are not there.

    Every array has a leading axis of seeds, [S, ...], except the training split.

    Args:
      gan: networks and config.
      seeds: number of seeds, S, a multiple of the devices along `seed`.
      mesh: the mesh, from `make_mesh`.
      steps_per_call: the most steps that one call runs.

    Attributes:
      by_seed: sharding of states, P("seed").
      replicated: that of the training split, P().
      given: that of examples, or their indices, [S, T, k, B, ...]: P("seed", None, None, "data").
      initialise: keys [S] -> the states before the first step.
      run: (states, training split or None, examples, keys [S], number of steps if `steps_per_call`
        is not 1) -> the new states and the `StepMetrics`. The states are donated.
    """

    def __init__(self, gan: Gan, seeds: int, mesh: Mesh, steps_per_call: int) -> None:
        self.gan, self.seeds, self.mesh, self.steps_per_call = gan, seeds, mesh, steps_per_call
        self.by_seed = NamedSharding(mesh, PartitionSpec(SEED))
        self.replicated = NamedSharding(mesh, PartitionSpec())
        self.given = NamedSharding(mesh, PartitionSpec(SEED, None, None, DATA))
        self._seeds_here = seeds // mesh.shape[SEED]
        over_seeds, everywhere = PartitionSpec(SEED), PartitionSpec()
        initialise_here = vmap_seeds(lambda key: initialise(gan, key), self._seeds_here)
        self.initialise = jax.jit(
            self._map_seeds(initialise_here, (over_seeds,)), out_shardings=self.by_seed
        )
        several = steps_per_call > 1
        specs = (over_seeds, everywhere, over_seeds, over_seeds) + (everywhere,) * several
        self.run = jax.jit(
            self._map_seeds(self._steps if several else self._single_step, specs),
            donate_argnums=0,
            # Metrics are small, and every process reads them.
            out_shardings=(self.by_seed, self.replicated),
        )

    def _map_seeds(self, function: Callable[..., Any], in_specs: Any) -> Callable[..., Any]:
        """Runs the function on each device's own seeds; along `data` XLA partitions it."""
        function = self.gan.in_precision(function)
        if self.mesh.shape[SEED] == 1:
            # There is nothing to map; layers read the platform from the mesh.
            def on_mesh(*arguments: Any) -> Any:
                with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
                    return function(*arguments)

            return on_mesh
        return jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=in_specs,
            out_specs=PartitionSpec(SEED),
            # XLA partitions the computation along `data`.
            axis_names={SEED},
            # The step's conditionals mix what is the same for all seeds with what is not.
            check_vma=False,
        )

    def _shard(self, batch: Any) -> Any:
        split = PartitionSpec(DATA)
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, split), batch)

    def _step(
        self, state: GanState, examples: Any, key: jax.Array, data: Batch | None
    ) -> tuple[GanState, Metrics]:
        batch = examples
        if data is not None:
            batch = data.at(examples)
            batch = batch._replace(
                images=batch.images.reshape(*examples.shape, *self.gan.image_shape)
            )
        return train_step(self.gan, state, batch, key, self._shard)

    def _single_step(
        self, state: GanState, data: Batch | None, examples: Any, keys: jax.Array
    ) -> tuple[GanState, StepMetrics]:
        def step(state: GanState, examples: Any, key: jax.Array) -> tuple[GanState, Metrics]:
            return self._step(state, jax.tree.map(lambda x: x[0], examples), key, data)

        state, metrics = vmap_seeds(step, self._seeds_here)(state, examples, keys)
        return state, StepMetrics.pack(metrics)

    def _steps(
        self, state: GanState, data: Batch | None, examples: Any, keys: jax.Array, steps: jax.Array
    ) -> tuple[GanState, StepMetrics]:
        step = vmap_seeds(
            lambda state, examples, key: self._step(state, examples, key, data), self._seeds_here
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


class Program:
    """One group of seeds, its training split on the devices, and the functions that train it.

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
        self.gan, self.seeds, self.steps_per_call = gan, tuple(seeds), steps_per_call
        self.functions = StepFunctions(gan, len(self.seeds), mesh, steps_per_call)
        self._shares_threads = mesh.size > 1 and mesh.devices.flat[0].platform == "cpu"
        by_seed, replicated = self.functions.by_seed, self.functions.replicated
        self._data = jax.tree.map(
            # Not device_put, which would compare the data of all hosts: that is done already.
            lambda x: jax.make_array_from_callback(
                x.shape, row_major(replicated, x.ndim), lambda index: x[index]
            ),
            None if data is None else flat_images(data),
        )
        self._root_keys = jax.jit(jax.vmap(jax.random.key), out_shardings=by_seed)
        self.keys = self._root_keys(np.asarray(seeds, np.int32))
        self._copy = jax.jit(_copy, out_shardings=by_seed)
        self._gather = jax.jit(_copy, out_shardings=replicated)

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
        given = self.functions.given
        indices: list[Any] = list(given.addressable_devices_indices_map(shape).values())

        def union(axis: int) -> slice:
            spans = [index[axis].indices(shape[axis]) for index in indices]
            return slice(min(span[0] for span in spans), max(span[1] for span in spans))

        return union(0), union(3)

    def initialise(self) -> GanState:
        """The states before the first step."""
        return self.functions.initialise(self.keys)

    def to_devices(self, tree: Any) -> Any:
        """Puts a tree of NumPy arrays [S, ...], equal in every process, on the devices."""

        def put(x: np.ndarray) -> jax.Array:
            sharding = self.functions.by_seed
            return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

        # Copied, because the arrays may alias NumPy's memory, which must not be donated.
        return self._copy(jax.tree.map(put, tree))

    def gather(self, tree: Any) -> Any:
        """A tree of this program's arrays, [S, ...], whole on this process's first device. Every
        process must call it."""
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

            return jax.make_array_from_callback(shape, self.functions.given, shard)

        return jax.tree.map(put, examples)

    def run(self, state: GanState, examples: np.ndarray | Batch) -> tuple[GanState, StepMetrics]:
        """Runs T steps; `state` is donated.

        Args:
          state: the group's state.
          examples: this process's `local_slices` of the real examples. They are int32 indices
            [S, T, k, B] if the training split is on the devices, otherwise the examples themselves,
            [S, T, k, B, ...].

        Returns:
          The new state, and the metrics; only those of the first T steps are valid.
        """
        steps = jax.tree.leaves(examples)[0].shape[1]
        if self.steps_per_call <= 1:
            if steps != 1:
                raise ValueError(f"this program runs one step a call, not {steps}")
            result = self.functions.run(state, self._data, self._put(examples), self.keys)
            return self._wait_on_shared_threads(result)

        # Padded to a fixed shape, so that the program is traced once and its bits do not depend on
        # how the steps are divided into calls.
        def pad(x: np.ndarray) -> np.ndarray:
            out = np.zeros((x.shape[0], self.steps_per_call, *x.shape[2:]), x.dtype)
            out[:, :steps] = x
            return out

        padded = self._put(jax.tree.map(pad, examples))
        result = self.functions.run(state, self._data, padded, self.keys, np.int32(steps))
        return self._wait_on_shared_threads(result)

    def _wait_on_shared_threads(self, result: Any) -> Any:
        """A call's result, once no other call may be in flight: CPU devices share the threads on
        which collectives wait, so that two calls can deadlock."""
        return jax.block_until_ready(result) if self._shares_threads else result
