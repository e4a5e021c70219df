"""Invariants, in one process: numbers of devices agree; seed i of many equals seed i alone."""

import dataclasses
import functools
import re

import jax
import numpy as np
import pytest
from conftest import load_config
from small_networks import small_infogan

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.batches import Batch, indices_of_steps
from jaxgan.data.dataset import Split
from jaxgan.data.loader import BatchLoader, ExampleIndices
from jaxgan.data.streaming import ArraySource, Streamed
from jaxgan.models import layers
from jaxgan.models.conditions import Label
from jaxgan.planning import hlo
from jaxgan.training import mesh as mesh_lib
from jaxgan.training import program as program_lib
from jaxgan.training import step as step_lib
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import build_gan

# Adam divides by the root of the second moment plus epsilon: with the usual 1e-8 the rounding of a
# gradient that is zero by rights (a bias in front of BatchNorm) would come out larger than 1e-9.
EPSILON = 1e-4
IMAGES = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)
LABELS = np.random.default_rng(1).integers(0, 10, 100, dtype=np.int32)


@pytest.fixture(scope="module", autouse=True)
def float64():
    """64-bit types for the whole file: its programs are shared."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def infogan(**values):
    """Convolutions, BatchNorm, Adam, two kinds of codes; nothing dropped."""
    values = {"dtype": "float64", "convolutional": True} | values
    values |= {"discriminator__epsilon": EPSILON, "generator__epsilon": EPSILON}
    return small_infogan("continuous", **values), Batch(IMAGES)


def cgan():
    """Dense layers and maxout, dropout in both networks, labels and SGD."""
    config = update(
        load_config("cgan", "mlp"), {"width": 0.05, "batch_size": 16, "dtype": "float64"}
    )
    assert config.generator.dropout == config.discriminator.dropout == 0.5
    gan = build_gan(config, IMAGES.shape[1:], Label(10, tuple(range(10)), config.condition.prior))
    return gan, Batch(IMAGES, LABELS)


SYSTEMS = {
    "infogan": infogan,
    "cgan": cgan,
    "float32": lambda: infogan(dtype="float32", convolutional=False),
}


@functools.cache
def program(system="infogan", seeds=(3,), devices=1, steps_per_call=1):
    gan, data = SYSTEMS[system]()
    mesh = mesh_lib.make_mesh(len(seeds), [gan.config.batch_size], jax.devices()[:devices])
    return program_lib.Program(gan, seeds, data, mesh, steps_per_call)


def places(program, step, count=1):
    shape = (1, program.gan.discriminator_batch_size)
    return np.stack(
        [indices_of_steps(seed, step, count, 100, shape, False) for seed in program.seeds]
    )


def train(program, steps):
    state, rows, step = program.initialise(), [], 0
    while step < steps:
        count = min(program.steps_per_call, steps - step)
        state, metrics = program.run(state, places(program, step, count))
        rows.append(metrics.by_name(count))
        step += count
    losses = {name: np.concatenate([row[name] for row in rows], axis=1) for name in rows[0]}
    return jax.device_get(state), losses


@functools.cache
def alone(system, seed):
    """A seed by itself on one device: 20 steps in float64."""
    first = program(system)
    result = train(first.for_seeds((seed,)), 20)
    assert first.functions.run._cache_size() == 1
    # A step that is not finite would freeze both sides of a comparison.
    assert result[0].alive.tolist() == [True]
    assert result[0].step.tolist() == [20]
    return result


def assert_close(a, b, tolerance=1e-9):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("system", "devices"),
    [("cgan", 2), ("infogan", 4), ("cgan", 8)],
)
def test_numbers_of_devices_agree(system, devices):
    assert_close(train(program(system, devices=devices), 20), alone(system, 3))


def test_the_first_losses_in_float32_agree():
    _, one = train(program("float32"), 1)
    _, four = train(program("float32", devices=4), 1)
    for name in one:
        np.testing.assert_allclose(four[name], one[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_pmap_twin_agrees(monkeypatch):
    """`jax.pmap` of the step on four devices: each takes its slice of the batch; BatchNorm's
    moments and the gradients are averaged."""
    devices = jax.devices()[:4]
    expected, _ = alone("infogan", 3)
    apply_gradients = step_lib._apply_gradients

    def batch_norm(self, name, train, scale=True):
        return layers.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=scale,
            axis_name="data",
            name=name,
            **self.dtypes(),
        )

    def averaged(gan, state, players, gradients, stats, metrics):
        gradients, metrics = jax.lax.pmean((gradients, metrics), "data")
        return apply_gradients(gan, state, players, gradients, stats, metrics)

    def local_slice(batch):
        def take(x):
            size = len(x) // len(devices)
            return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index("data") * size, size)

        return jax.tree.map(take, batch)

    def twin(state, batch, key):
        return step_lib.train_step(single.gan, state, batch, key, local_slice)[0]

    monkeypatch.setattr(layers.Network, "batch_norm", batch_norm)
    monkeypatch.setattr(step_lib, "_apply_gradients", averaged)
    single = program("infogan")
    step = jax.pmap(twin, axis_name="data", in_axes=(0, None, None), devices=devices)
    state = jax.tree.map(lambda x: np.stack([x[0]] * len(devices)), single.initialise())
    for i in range(20):
        state = step(state, Batch(IMAGES).at(places(single, i)[0, 0]), single.keys[0])
    assert_close(jax.tree.map(lambda x: x[:1], state), expected)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_saved_on_eight_devices_goes_on_on_fewer(tmp_path, devices):
    eight = program("cgan", devices=8)
    state = eight.initialise()
    for step in range(10):
        state, _ = eight.run(state, places(eight, step))
    checkpoints = Checkpoints(str(tmp_path), 2)
    checkpoints.save(10, eight.gather(state))
    checkpoints.wait()
    fewer = program("cgan", devices=devices)
    start, saved = checkpoints.restore(jax.eval_shape(fewer.initialise))
    checkpoints.close()
    state = fewer.to_devices(saved)
    for step in range(start, 20):
        state, _ = fewer.run(state, places(fewer, step))
    assert_close(state, alone("cgan", 3)[0])


def test_hosts_together_read_the_whole_batch():
    """Each its rows, of the places and of the examples."""
    whole = ExampleIndices((3, 4), 100, (2, 16), False)
    parts = [dataclasses.replace(whole, rows=slice(i, i + 8)) for i in (0, 8)]
    np.testing.assert_array_equal(
        np.concatenate([part(step=9) for part in parts], axis=2), whole(step=9)
    )
    split = Split(IMAGES, np.arange(100, dtype=np.int32))
    feed = BatchLoader(split, parts[1], 9, 11, workers=0)
    images, labels, *_ = feed.next(2)
    feed.close()
    expected = np.stack([whole(step=step)[:, :, 8:] for step in (9, 10)], axis=1)
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(images, IMAGES[expected])


def test_one_host_reads_all():
    assert program(seeds=(3, 4), devices=4).local_slices == (slice(0, 2), slice(0, 16))


def test_devices_hold_parts_of_the_batch():
    """Each of four devices holds a quarter of the rows of the real images."""
    compiled = program(devices=4)
    text = (
        compiled.functions.run.lower(
            compiled.initialise(),
            compiled._data,
            jax.device_put(places(compiled, 0), compiled.functions.given),
            compiled.keys,
        )
        .compile()
        .as_text()
    )
    assert "8,8,1" in text
    assert "[4,8,8,1]" in text
    assert "[16,8,8,1]" not in text


@pytest.mark.parametrize(("precision", "attribute"), [("highest", "HIGHEST"), ("high", "HIGH")])
def test_every_product_has_the_configs_precision(precision, attribute):
    """Those of gradients too."""
    gan = small_infogan("continuous", convolutional=True, precision=precision)
    mesh = mesh_lib.make_mesh(1, [gan.config.batch_size], jax.devices()[:1])
    one = program_lib.Program(gan, (3,), Batch(IMAGES), mesh, 1)
    state = jax.eval_shape(one.initialise)
    text = one.functions.run.lower(state, one._data, places(one, 0), one.keys).as_text()
    products = re.findall(r"stablehlo\.(?:dot_general|convolution)\b.*", text)
    assert len(products) > 30
    assert [line for line in products if not re.search(rf"\b{attribute}\b", line)] == []


@pytest.mark.parametrize("system", ["infogan"])
def test_seeds_exchange_nothing_but_metrics(system):
    """In the program that XLA makes for two seeds, each on two devices."""
    both = program(system, (3, 4), devices=4)
    examples = jax.device_put(places(both, 0), both.functions.given)
    lowered = both.functions.run.lower(both.initialise(), both._data, examples, both.keys)
    compiled = hlo.Program(lowered.compile().as_text(), loops=False)
    found = compiled.collectives(dict(both.functions.mesh.shape))
    assert {one.axes for one in found} == {("seed",), ("data",)}
    (gathered,) = [one for one in found if "seed" in one.axes]
    _, metrics = both.functions.run.eval_shape(
        jax.eval_shape(both.initialise), both._data, examples, both.keys
    )
    assert (gathered.kind, gathered.number) == ("all-gather", 1)
    assert gathered.bytes == metrics.values.size * 8


@pytest.mark.parametrize(
    ("system", "seeds", "devices"),
    [("infogan", (3, 4, 5), 1), ("infogan", (3, 4), 4), ("cgan", (3, 4), 4)],
)
def test_seeds_of_many_equal_seeds_alone(system, seeds, devices):
    together = train(program(system, seeds, devices), 20)
    for i, seed in enumerate(seeds):
        assert_close(jax.tree.map(lambda x, i=i: x[i : i + 1], together), alone(system, seed))


def test_several_steps_a_call_are_the_same_steps():
    assert_close(train(program(steps_per_call=8), 20), alone("infogan", 3))


def test_calls_cut_elsewhere_give_the_same_bits():
    whole = program(steps_per_call=8)
    state = whole.initialise()
    for start, count in ((0, 8), (8, 1), (9, 3)):
        state, _ = whole.run(state, places(whole, start, count))
    other = whole.initialise()
    for start, count in ((0, 2), (2, 2), (4, 8)):
        other, _ = whole.run(other, places(whole, start, count))
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert whole.functions.run._cache_size() == 1


def test_groups_and_meshes():
    assert mesh_lib.seed_groups((1, 2), "cpu") == [(1,), (2,)]
    assert mesh_lib.seed_groups((1, 2), "gpu") == [(1, 2)]
    mesh = mesh_lib.make_mesh(6, [16])
    assert dict(mesh.shape) == {"seed": 2, "data": 4}


class _Device:
    def __init__(self, number, process, platform="gpu"):
        self.id, self.process_index, self.platform = number, process, platform


@pytest.mark.parametrize(
    ("seeds", "batches", "hosts", "expected"),
    [
        (1, [20], 1, (1, 5)),
        (1, [100, 32], 1, (1, 4)),
        (3, [100], 1, (3, 2)),
        (8, [100], 1, (8, 1)),
        (16, [3], 1, (8, 1)),
        (1, [7], 1, (1, 7)),
        (1, [100], 2, (1, 10)),
        (5, [64], 2, (1, 16)),
        (5, [6], 2, (5, 2)),
    ],
)
def test_the_most_devices_that_divide_evenly(seeds, batches, hosts, expected):
    devices = [_Device(i, i // 8) for i in range(8 * hosts)]
    mesh = mesh_lib.make_mesh(seeds, batches, devices[::-1])
    assert mesh.devices.shape == expected
    used = [device.process_index for device in mesh.devices.flat]
    assert used == sorted(used)
    assert {used.count(host) for host in range(hosts)} == {mesh.size // hosts}


def test_a_batch_smaller_than_the_hosts_is_refused():
    devices = [_Device(i, i) for i in range(4)]
    said = "batches of 6 and 12 cannot be split over 4 devices of 4 hosts\nmake batch_size and"
    with pytest.raises(UserError, match=said):
        mesh_lib.make_mesh(1, [6, 12], devices)
    said = "of 6 and 12 and seeds=3 cannot be split over 4 devices of 4 hosts\nmake seeds, or"
    with pytest.raises(UserError, match=said):
        mesh_lib.make_mesh(3, [6, 12], devices)


def test_several_hosts_of_tpus_use_every_device():
    devices = [_Device(i, i // 4, "tpu") for i in range(16)]
    assert mesh_lib.make_mesh(4, [100], devices).devices.shape == (4, 4)
    with pytest.raises(UserError, match="over 16 devices of 4 hosts"):
        mesh_lib.make_mesh(1, [100], devices)
    assert mesh_lib.make_mesh(1, [100], devices[:4]).size == 4


def test_place_owns_its_memory():
    """A NumPy array that was put on a device may be given up without harm to the array."""
    compiled = program()
    buffer = np.zeros(4096 + 64, np.uint8)
    # Aligned as device_put likes it: it would take the array as it is.
    aligned = buffer[-buffer.ctypes.data % 64 :][:4096].view(np.float32)[None]
    (alias,) = jax.device_put(aligned, compiled.functions.by_seed).addressable_shards
    (placed,) = compiled.to_devices(aligned).addressable_shards
    assert alias.data.unsafe_buffer_pointer() == aligned.ctypes.data
    assert placed.data.unsafe_buffer_pointer() != aligned.ctypes.data


def test_streamed_examples_train_as_resident_ones_do():
    """The very same examples, and the same parameters but for how the two programs round."""
    resident = program()
    streamed = program_lib.Program(resident.gan, (3,), None, resident.functions.mesh, 1)
    shape = (1, resident.gan.discriminator_batch_size)
    split = Split(Streamed(ArraySource(IMAGES)), None)
    feed = BatchLoader(split, ExampleIndices((3,), 100, shape, False), 0, 3, workers=0)
    expected, _ = train(resident, 3)
    state = streamed.initialise()
    for step in range(3):
        given = feed.next(1)
        np.testing.assert_array_equal(given.images, IMAGES[places(resident, step)])
        state, _ = streamed.run(state, given)
    feed.close()
    assert_close(expected, jax.device_get(state))
