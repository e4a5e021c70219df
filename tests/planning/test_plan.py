"""`python -m jaxgan.plan`, and what its estimates and its advice say."""

import dataclasses
import json

import jax
import pytest
from conftest import load_config, run_python

from jaxgan import data, plan
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.data.streaming import Streamed
from jaxgan.planning import estimates, topologies
from jaxgan.planning.compiled import compile_program
from jaxgan.planning.examples import sizes
from jaxgan.planning.hlo import Collective
from jaxgan.planning.words import describe, size

SMALL = {"width": 0.05, "batch_size": 16, "seeds": 2}


def small(**values):
    return update(load_config("gan", "mnist"), SMALL | values)


@pytest.fixture(scope="module")
def planned():
    """A small GAN's config, and its program for eight fake devices."""
    config = small()
    return config, compile_program(config, sizes(config, None), jax.devices())


def test_plans_for_fake_devices(tmp_path):
    out = tmp_path / "plan.json"
    flags = ["--config=configs/gan.py:mnist", "--topology=cpu:4", f"--json={out}"]
    flags += [f"--config.{name}={value}" for name, value in SMALL.items()]
    result = run_python("-m", "jaxgan.plan", *flags)
    assert result.returncode == 0, result.stderr
    assert "4 cpu on 1 host, 4 used" in result.stdout
    assert "1 of 2 seeds, which take turns; 4 rows of each batch" in result.stdout
    written = json.loads(out.read_text())
    assert written["mesh"] == {"seed": 1, "data": 4}
    assert written["memory"]["data"] == 55_000 * 28 * 28
    assert written["warnings"] == []


def test_a_file_that_cannot_be_made_is_refused_before_anything_is_compiled(tmp_path):
    here = tmp_path / "plan.json"
    here.write_text("kept")
    for out, said in ((here, "exists already"), (tmp_path / "none" / "x", "can be written")):
        with pytest.raises(UserError, match=said):
            plan.plan(small(), "", None, None, str(out))
    assert here.read_text() == "kept"


@pytest.mark.parametrize(
    "topology", ["v5e:3x3", "v9:2x2", "cpu", "cpu:0", "cpu:x", "v5e", "gpu:8", ":4"]
)
def test_an_unknown_topology_gets_the_known_ones(topology):
    with pytest.raises(UserError, match=r"unknown\n[\s\S]*v5e: 1x1, 2x2"):
        topologies.check(topology)


@pytest.mark.parametrize("topology", ["", "cpu:8", "v5e:4x4", "v4:2x2x1", "tpu7x:2x2x1"])
def test_known_topologies(topology):
    topologies.check(topology)


def test_plan_counts_parameters_optimizer_data_and_collectives(planned):
    config, program = planned
    assert program.mesh == {"seed": 1, "data": 8}
    # Two layers of each network, float32: width .05 of 128 is 6. Two seeds take turns on a CPU.
    generator, discriminator = 101 * 6 + 7 * 784, 785 * 6 + 7
    parameters = 4 * (generator + discriminator)
    few = 64  # Counters and the like of a seed.
    memory = program.memory
    assert 2 * parameters <= memory["networks"] <= 2 * (parameters + few)
    assert 4 * parameters <= memory["optimiser"] <= 4 * (parameters + few)  # Adam's two moments.
    assert memory["best networks"] == 2 * parameters
    assert memory["data"] == 55_000 * 784
    assert 8 * parameters <= memory["gathered"] <= 8 * (parameters + few)
    # Nothing but gradients (those of real and of fake examples each by themselves) and metrics.
    (reduced,) = program.collectives
    assert (reduced.kind, reduced.axes, reduced.per) == ("all-reduce", ("data",), "step")
    assert parameters <= reduced.bytes <= 2 * parameters
    # Two rows a device. Forward and backward passes of D on real and fake, of G through D.
    products = 2 * 2 * (3 * 2 * discriminator + 3 * generator + 3 * discriminator)
    # Adam, activations and losses are not products.
    assert products <= program.flops <= 2 * products
    assert estimates.estimate(config, program) is None  # Nothing is known of this CPU.
    assert "images/s" not in describe(config, program, None)


def on_tpu(program, **changes):
    return dataclasses.replace(program, kind="TPU v5 lite", **changes)


def test_estimates_by_hand(planned):
    config, program = planned
    heavy = on_tpu(program, flops=197e9, bytes=819_000_000, kernels=100)
    assert estimates.estimate(config, heavy).parts() == pytest.approx(
        {"products": 1e-3, "memory": 1e-3, "kernels": 1e-4}
    )
    for values, factor in (
        ({"precision": "high"}, 3),
        ({"precision": "highest"}, 6),
        ({"precision": "highest", "dtype": "bfloat16"}, 1),
    ):
        found = estimates.estimate(small(**values), heavy)
        assert found.products == pytest.approx(factor * 1e-3)
    h100 = dataclasses.replace(heavy, kind="NVIDIA H100 80GB HBM3", flops=989e9)
    assert estimates.estimate(config, h100).products == pytest.approx(2e-3)
    tpu7x = dataclasses.replace(heavy, kind="TPU7x", flops=1153e9)
    assert estimates.estimate(config, tpu7x).products == pytest.approx(1e-3)
    assert estimates.estimate(small(dtype="float64"), heavy) is None
    assert estimates.estimate(config, on_tpu(heavy, kernels=5_000)).bound == "kernels"
    text = describe(config, on_tpu(heavy, bytes=8_190_000_000), 3.25)
    assert "about 10 ms a step, bound by memory" in text
    assert "some 1,600 images/s over all seeds" in text
    assert "about 3.2 times one device" in text
    # Two seeds one after the other here, together there.
    other = on_tpu(heavy, seeds_at_once=2)
    assert estimates.speedup(config, heavy, other) == pytest.approx(2)


def test_warns_of_seed_crossing_dataset_sized_and_full_memory(planned):
    _, program = planned
    assert estimates.warnings(on_tpu(program)) == []
    gather = Collective("all-gather", ("seed",), 1, program.metrics_bytes, "call")
    assert estimates.warnings(on_tpu(program, collectives=(gather,))) == []
    images = Collective("all-gather", ("seed", "data"), 1, 55_000 * 784, "step")
    gradients = images._replace(kind="all-reduce", axes=("data",))
    assert estimates.warnings(on_tpu(program, collectives=(gradients,))) == []
    state = gather._replace(bytes=99_999)
    full = program.memory | {"temporaries": 16 * 2**30}
    bad = on_tpu(program, collectives=(state, images), memory=full)
    crossing, another, dataset, memory = estimates.warnings(bad)
    assert crossing == "1 all-gather of 99,999 bytes cross seeds"
    assert another == "1 all-gather of 43,120,000 bytes cross seeds"
    assert "as large as the dataset" in dataset
    assert memory.startswith("100% of a device's memory")


def test_advises_on_unused_devices_and_seeds(planned):
    config, program = planned
    unused, seeds, *_ = estimates.advice(config, on_tpu(program, devices=9))
    assert unused.startswith("8 of 9 devices are used, the most that divide seeds=1")
    assert seeds.startswith("seeds=9 would give every device a seed of its own")
    # On a CPU seeds take turns.
    assert estimates.advice(config, program) == []


@pytest.mark.parametrize(
    ("config", "arg"),
    [("gan", "ring"), ("gan", "digits"), ("infogan", "glyphs"), ("dcgan", "stacked_digits")],
)
def test_known_sizes_are_those_of_the_data(config, arg):
    config = load_config(config, arg)
    dataset = data.load(config)
    found = sizes(config, None)
    assert (found.examples, found.shape) == (len(dataset.train), dataset.image_shape)
    assert found.resident == (not isinstance(dataset.train.images, Streamed))
    if not dataset.points:
        assert found.classes == len(dataset.classes)


def test_sizes_that_are_not_known_are_asked_for():
    folder = load_config("dcgan", "folder,dataset.data_dir=here")
    with pytest.raises(UserError, match="number of images is not known"):
        sizes(folder, None)
    assert sizes(folder, 300).examples == 300
    some = update(load_config("gan", "mnist"), {"dataset.classes": "3+7"})
    with pytest.raises(UserError, match=r"of classes=3\+7: the number of images is not known"):
        sizes(some, None)
    assert sizes(some, 9_000).classes == 10
    files = update(load_config("gan", "mnist"), {"dataset.name": "idx"})
    assert sizes(files, 9_000).shape == (28, 28, 1)
    labelled = update(load_config("cgan"), {"dataset.name": "emnist/letters"})
    with pytest.raises(UserError, match=r"number of labels is not known[\s\S]*--classes"):
        sizes(labelled, 9_000)
    assert sizes(labelled, 9_000, 26).classes == 26
    held_out = update(load_config("gan", "mnist"), {"dataset.validation": 10_000})
    assert sizes(held_out, None).examples == 50_000
    for wrong, said in (
        ({"dataset.validation": 70_000}, r"dataset\.validation=70000"),
        ({"batch_size": 60_000}, "a batch of 60000 is larger than mnist's 55000"),
    ):
        with pytest.raises(UserError, match=said):
            sizes(update(load_config("gan", "mnist"), wrong), None)
    with pytest.raises(UserError, match="its features are not known"):
        sizes(load_config("tags", "table,dataset.data_dir=here"), 100)
    assert sizes(load_config("tags"), None)[0] == 150_000


def test_a_streamed_split_is_not_planned_on_the_devices():
    config = small(**{"dataset.streamed": "yes"})
    program = compile_program(config, sizes(config, None), jax.devices()[:1])
    assert program.memory["data"] == 0
    assert program.steps_per_call == 16


def test_sizes_in_words():
    sizes_in_words = [size(n) for n in (12, 3_000, 5 * 2**20, 2**34)]
    assert sizes_in_words == ["12 B", "2.93 KiB", "5 MiB", "16 GiB"]


def test_without_libtpu_a_line_says_so(monkeypatch):
    from jax.experimental import topologies as jax_topologies

    def absent(*_, **__):
        raise RuntimeError("no libtpu\nand a long trace")

    monkeypatch.setattr(jax_topologies, "get_topology_desc", absent)
    with pytest.raises(
        UserError, match=r"describe it: no libtpu\npip install 'jaxgan\[tpu-plan\]'"
    ):
        topologies.devices("v5e:2x2")


def test_plans_for_a_tpu_where_libtpu_is_installed():
    pytest.importorskip("libtpu")
    flags = ["--config=configs/gan.py:mnist", "--topology=v5e:2x4", "--config.seeds=8"]
    result = run_python("-m", "jaxgan.plan", *flags)
    assert result.returncode == 0, result.stderr
    assert "8 TPU v5 lite on 1 host, 8 used" in result.stdout
    assert "8 along seed, 1 along data" in result.stdout
    assert "WARNING" not in result.stdout
    assert "1 all-gather over seed a call" in result.stdout
