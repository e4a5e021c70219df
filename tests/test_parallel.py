"""One program on every device, and many seeds at once (laws 2 and 3 in one process)."""

import jax
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan import parallel
from jaxgan.build import build_gan
from jaxgan.config import UserError
from jaxgan.data.batches import Batch, indices
from jaxgan.data.dataset import Split
from jaxgan.data.feed import Feed, Places
from jaxgan.data.streaming import ArraySource, Streamed

# Adam divides by the root of the second moment plus epsilon: with the usual 1e-8 the rounding of a
# gradient that is zero by rights (a bias in front of BatchNorm) would come out larger than 1e-9.
EPSILON = 1e-4
IMAGES = np.random.default_rng(0).integers(0, 256, (100, 28, 28, 1), dtype=np.uint8)


def program(seeds=(0,), devices=1, steps_per_call=1, dtype="float64"):
    config = tiny_config(
        "continuous",
        dtype=dtype,
        discriminator__epsilon=EPSILON,
        generator__epsilon=EPSILON,
    )
    gan = build_gan(config, (28, 28, 1))
    mesh = parallel.make_mesh(len(seeds), [gan.batch_size], jax.devices()[:devices])
    return parallel.Program(gan, seeds, Batch(IMAGES), mesh, steps_per_call)


def places(program, step, count=1):
    shape = (1, program.gan.discriminator_batch_size)
    return np.stack(
        [
            np.stack([indices(seed, s, 100, shape, False) for s in range(step, step + count)])
            for seed in program.seeds
        ]
    )


def train(program, steps):
    state, rows, step = program.initialise(), [], 0
    while step < steps:
        count = min(program.steps_per_call, steps - step)
        state, metrics = program.run(state, places(program, step, count))
        rows.append(jax.device_get(metrics))
        step += count
    losses = {name: np.concatenate([row[name] for row in rows], axis=1) for name in rows[0]}
    return jax.device_get(state), losses


@pytest.fixture(scope="module")
def alone():
    """Seeds 3, 4 and 5, each by itself on one device: 20 steps in float64."""
    jax.config.update("jax_enable_x64", True)
    first = program(seeds=(3,))
    results = {seed: train(first.for_seeds((seed,)), 20) for seed in (3, 4, 5)}
    assert first._run._cache_size() == 1
    jax.config.update("jax_enable_x64", False)
    return results


def assert_close(a, b, tolerance=1e-9):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=0, atol=tolerance)


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_agree(alone, float64, devices):
    assert_close(train(program(seeds=(3,), devices=devices), 20), alone[3])


def test_the_batch_really_is_split():
    """Each of four devices holds a quarter of the rows of the real images."""
    compiled = program(devices=4, dtype="float32")
    text = (
        compiled._run.lower(
            compiled.initialise(),
            compiled._data,
            jax.device_put(places(compiled, 0), compiled._given),
            compiled.keys,
        )
        .compile()
        .as_text()
    )
    assert "28,28,1" in text
    assert "[4,28,28,1]" in text
    assert "[16,28,28,1]" not in text


@pytest.mark.parametrize(("seeds", "devices"), [((3, 4, 5), 1), ((3, 4), 4)])
def test_seeds_side_by_side_equal_seeds_alone(alone, float64, seeds, devices):
    together = train(program(seeds=seeds, devices=devices), 20)
    for i, seed in enumerate(seeds):
        assert_close(jax.tree.map(lambda x, i=i: x[i : i + 1], together), alone[seed])


def test_several_steps_a_call_are_the_same_steps(alone, float64):
    assert_close(train(program(seeds=(3,), steps_per_call=8), 20), alone[3])


def test_calls_cut_elsewhere_give_the_same_bits():
    whole = program(steps_per_call=4, dtype="float32")
    state = whole.initialise()
    for start, count in ((0, 4), (4, 1), (5, 3)):
        state, _ = whole.run(state, places(whole, start, count))
    other = whole.initialise()
    for start, count in ((0, 2), (2, 2), (4, 4)):
        other, _ = whole.run(other, places(whole, start, count))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole._run._cache_size() == 1


def test_groups_and_meshes():
    assert parallel.seed_groups((1, 2), "cpu") == [(1,), (2,)]
    assert parallel.seed_groups((1, 2), "gpu") == [(1, 2)]
    mesh = parallel.make_mesh(6, [16])
    assert dict(mesh.shape) == {"seed": 2, "data": 4}
    with pytest.raises(UserError, match="multiples of 8"):
        parallel.make_mesh(1, [20])


def test_place_owns_its_memory():
    """A NumPy array that was put on a device may be given up without harm to the array."""
    compiled = program(dtype="float32")
    buffer = np.zeros(4096 + 64, np.uint8)
    # Aligned as device_put likes it: it would take the array as it is.
    aligned = buffer[-buffer.ctypes.data % 64 :][:4096].view(np.float32)[None]
    (alias,) = jax.device_put(aligned, compiled._by_seed).addressable_shards
    (placed,) = compiled.place(aligned).addressable_shards
    assert alias.data.unsafe_buffer_pointer() == aligned.ctypes.data
    assert placed.data.unsafe_buffer_pointer() != aligned.ctypes.data


def test_streamed_examples_train_as_resident_ones_do():
    """The same bits, wherever the examples come from."""
    resident = program(dtype="float32")
    streamed = parallel.Program(resident.gan, (0,), None, resident.mesh, 1)
    shape = (1, resident.gan.discriminator_batch_size)
    split = Split(Streamed(ArraySource(IMAGES)), None)
    feed = Feed(split, Places((0,), 100, shape, False), 0, 3, workers=0)
    expected, _ = train(resident, 3)
    state = streamed.initialise()
    for _ in range(3):
        state, _ = streamed.run(state, feed.next(1))
    feed.close()
    for a, b in zip(jax.tree.leaves(expected), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(a, b)
