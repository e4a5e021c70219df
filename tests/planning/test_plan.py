"""`python -m jaxgan.plan`, and what its estimates and its advice say."""

import dataclasses
import json

import jax
import pytest
from conftest import load_config, run_python

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.planning import estimates, topologies
from jaxgan.planning.compiled import compile_program
from jaxgan.planning.examples import sizes
from jaxgan.planning.hlo import Collective
from jaxgan.planning.words import describe, size

SMALL = {"width": 0.05, "batch_size": 16, "seeds": 2}


@pytest.fixture(scope="module")
def planned():
    """A small GAN's config, and its program for eight fake devices."""
    config = update(load_config("gan", "mnist"), SMALL)
    return config, compile_program(config, sizes(config, None), jax.devices())


def test_plans_for_fake_devices(tmp_path):
    out = tmp_path / "plan.json"
    flags = ["--config=configs/gan.py:mnist", "--topology=cpu:4", f"--json={out}"]
    flags += [f"--config.{name}={value}" for name, value in SMALL.items()]
    result = run_python("-m", "jaxgan.plan", *flags)
    assert result.returncode == 0, result.stderr
    assert "4 cpu on 1 host, 4 used" in result.stdout
    assert "1 of 2 seeds, which take turns; 4 rows of each batch" in result.stdout
    plan = json.loads(out.read_text())
    assert plan["mesh"] == {"seed": 1, "data": 4}
    assert plan["data"] == 55_000 * 28 * 28
    assert plan["warnings"] == []
    again = run_python("-m", "jaxgan.plan", *flags)
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    "topology", ["v5e:3x3", "v9:2x2", "cpu", "cpu:0", "cpu:x", "v5e", "gpu:8", ":4"]
)
def test_an_unknown_topology_gets_the_known_ones(topology):
    with pytest.raises(UserError, match=r"unknown\n[\s\S]*v5e: 1x1, 2x2"):
        topologies.check(topology)


@pytest.mark.parametrize("topology", ["", "cpu:8", "v5e:4x4", "v4:2x2x1", "tpu7x:2x2x1"])
def test_known_topologies(topology):
    topologies.check(topology)


def test_a_plan_knows_what_lies_on_a_device(planned):
    config, program = planned
    assert program.mesh == {"seed": 1, "data": 8}
    # Two layers of each network, float32, of one seed: width .05 of 128 is 6.
    generator, discriminator = 101 * 6 + 7 * 784, 785 * 6 + 7
    parameters = 4 * (generator + discriminator)
    few = 64  # Counters and the like.
    assert parameters <= program.parameters <= parameters + few
    assert 2 * parameters <= program.optimizer <= 2 * parameters + few  # Adam's two moments.
    assert program.data == 55_000 * 784
    # Nothing but gradients (those of real and of fake examples each by themselves) and metrics.
    (reduced,) = program.collectives
    assert (reduced.kind, reduced.axes, reduced.each) == ("all-reduce", ("data",), "step")
    assert parameters <= reduced.bytes <= 2 * parameters
    assert program.flops > 2 * 2 * 3 * (generator + discriminator)
    assert estimates.roofline(program) is None  # Nothing is known of this CPU.
    assert "images/s" not in describe(config, program, None)


def on_tpu(program, **changes):
    return dataclasses.replace(program, kind="TPU v5 lite", **changes)


def test_estimates_by_hand(planned):
    config, program = planned
    heavy = on_tpu(program, flops=197e9, bytes=819_000_000, kernels=100)
    assert estimates.roofline(heavy).parts() == pytest.approx(
        {"products": 1e-3, "memory": 1e-3, "kernels": 1e-4}
    )
    assert estimates.roofline(on_tpu(heavy, kernels=5_000)).bound == "kernels"
    text = describe(config, on_tpu(heavy, bytes=8_190_000_000), 3.25)
    assert "at least 10 ms a step, bound by memory" in text
    assert "at most 1,600 images/s" in text
    assert "at most 3.2 times one device" in text
    # Two seeds one after the other here, together there.
    other = on_tpu(heavy, seeds_at_once=2)
    assert estimates.speedup(heavy, other, seeds=2) == pytest.approx(2)


def test_warns_of_what_is_wrong(planned):
    _, program = planned
    assert estimates.warnings(on_tpu(program)) == []
    gather = Collective("all-gather", ("seed",), 1, 64, "call")
    images = Collective("all-gather", ("seed", "data"), 4, 55_000 * 784, "step")
    bad = on_tpu(program, collectives=(gather, images), temporaries=16 * 2**30)
    crossing, dataset, memory = estimates.warnings(bad)
    assert crossing == "4 all-gather of 43,120,000 bytes cross seeds"
    assert "as large as the dataset" in dataset
    assert memory.startswith("100% of a device's memory")


def test_advises_on_unused_devices_and_few_rows(planned):
    config, program = planned
    said = estimates.advice(config, on_tpu(program, devices=9))
    assert said[0].startswith("8 of 9 devices are used")
    assert "seeds=9 would give every device a seed of its own" in said[0]
    assert estimates.advice(config, on_tpu(program))[0].startswith("2 rows a device are padded")


def test_sizes_of_datasets_before_they_are_read():
    config = load_config("dcgan", "folder,dataset.data_dir=here")
    with pytest.raises(UserError, match="its size is not known"):
        sizes(config, None)
    assert sizes(config, 300).examples == 300
    assert sizes(load_config("gan", "ring"), None).shape == (1, 1, 2)
    assert sizes(load_config("tags"), None).features == 256
    stacked = update(load_config("dcgan", "mnist"), {"dataset.name": "stacked_mnist"})
    assert sizes(stacked, None).shape == (28, 28, 3)


def test_sizes_in_words():
    assert [size(n) for n in (12, 3_000, 5 * 2**20, 2**34)] == ["12 B", "2.93 KB", "5 MB", "16 GB"]


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
