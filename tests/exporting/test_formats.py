"""Exported generators against the suite's own samples of the same inputs."""

import functools
import os
import tomllib

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import ROOT, load_config, run_python

from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.config.presets import update
from jaxgan.exporting import formats
from jaxgan.exporting.generator import SamplingGenerator
from jaxgan.exporting.model_card import snippet
from jaxgan.inference.networks import _normalised_by_batch
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

DIGITS = Label(10, (3, 7, 9))
KEY = jax.random.key(3)
# config, ARG, condition, width: wide enough for the special forms of convolutions on the CPU.
FAMILIES = {
    "gan": ("gan", "", None, 0.1),
    "dcgan": ("dcgan", "", None, 0.1),
    "cgan": ("cgan", "", DIGITS, 0.1),
    "cgan mlp": ("cgan", "mlp", DIGITS, 0.05),
    "infogan": ("infogan", "continuous", None, 0.1),
    "infogan document": ("infogan", "mnist,document", None, 0.15),
}


@functools.cache
def exported(family):
    """The generator of untrained networks, whose moving statistics are those of a batch."""
    name, arg, condition, width = FAMILIES[family]
    config = update(load_config(name, arg), {"width": width})
    return SamplingGenerator(run_of(config, condition))


def run_of(config, condition, shape=(28, 28, 1)):
    gan = build_gan(config, shape, condition)
    made = jax.jit(lambda key: networks(initialise(gan, key)))(jax.random.key(0))
    if made.generator.batch_stats:
        latent = gan.latent.sample(KEY, 64)
        if condition is not None:
            latent = latent._replace(condition=condition.draw(KEY, 64, gan.latent.dtype))
        normalise = jax.jit(functools.partial(_normalised_by_batch, gan.generator))
        statistics = normalise(made.generator, latent)[1]
        made = made._replace(generator=made.generator._replace(batch_stats=statistics))
    return Run(config, gan, made, tuple("abcdefghij"), 5, "last")


@functools.cache
def sizes(family):
    """The batch has no size in a file: one example is tried in one family."""
    return (1, 3) if family == "gan" else (3,)


def own_samples(family, n):
    """The exported generator's inputs, and the images that `Run.sample` makes of them."""
    run = exported(family).run
    latent = run.latent(n, seed=1)
    inputs = {"noise": latent.noise}
    if latent.condition is not None:
        inputs["label"] = latent.condition.argmax(-1)
    for i, (code, value) in enumerate(zip(run.gan.latent.codes, latent.codes, strict=True)):
        inputs[f"code_{i}"] = value.argmax(-1) if code.categorical else value[:, 0]
    if run.config.sample_dropout:
        inputs["dropout"] = dropped(run, latent)
    images = run.functions.sample(run.networks.generator, latent, KEY)
    dtypes = {x.name: x.dtype for x in exported(family).inputs}
    assert list(dtypes) == list(inputs)
    inputs = {name: np.asarray(x, dtypes[name]) for name, x in inputs.items()}
    return inputs, (images - run.gan.low) / (1 - run.gan.low)


def dropped(run, latent):
    """Random numbers by which the mlp's layers drop what `KEY` drops."""
    generator = run.networks.generator
    _, seen = run.gan.generator.apply(
        {"params": generator.params, "batch_stats": generator.batch_stats},
        latent,
        train=False,
        rngs={"dropout": stream(KEY, "sample/dropout", 0)},
        capture_intermediates=lambda module, _: isinstance(module, nn.Dropout),
        mutable=["intermediates"],
    )
    layers = [seen["intermediates"][f"{x}_dropout"] for x in ("noise", "condition", "joint")]
    outputs = np.concatenate([layer["__call__"][0] for layer in layers], axis=1)
    kept = 1 - run.config.generator.dropout
    return np.where(outputs > 0, kept - 0.001, kept + 0.001)


def assert_same(images, expected):
    assert images.dtype == np.float32
    assert images.shape == expected.shape
    assert expected.std() > 1e-4
    np.testing.assert_allclose(images, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_runtime_draws_the_same_images(family):
    for package in formats.FORMATS["onnx"].packages:
        pytest.importorskip(package)
    content = formats.to_onnx(exported(family))
    for n in sizes(family):
        inputs, images = own_samples(family, n)
        assert_same(formats.run_onnx(content, inputs), images)


WITHOUT_JAXGAN = """
import pathlib, sys
for name in ("jaxgan", "flax"):
    sys.modules[name] = None
import numpy as np
from jax import export
for name in sys.argv[1:]:
    generator = export.deserialize(bytearray(open(f"{name}.stablehlo", "rb").read()))
    assert generator.platforms == ("cpu", "cuda", "tpu")
    for path in pathlib.Path().glob(f"{name}_*.npz"):
        np.save(path.with_suffix(".npy"), generator.call(**np.load(path)))
exec(open("snippet.py").read())
np.save("snippet.npy", images)
"""


def test_stablehlo_draws_the_same_images_without_jaxgan(tmp_path):
    for name in FAMILIES:
        (tmp_path / f"{name}.stablehlo").write_bytes(formats.to_stablehlo(exported(name)))
        for n in sizes(name):
            np.savez(tmp_path / f"{name}_{n}.npz", **own_samples(name, n)[0])
    (tmp_path / "generator.stablehlo").symlink_to(tmp_path / "infogan.stablehlo")
    (tmp_path / "snippet.py").write_text(snippet(exported("infogan"), "stablehlo"))
    path = os.environ.get("PYTHONPATH", "")
    done = run_python("-c", WITHOUT_JAXGAN, *FAMILIES, cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    for name in FAMILIES:
        for n in sizes(name):
            assert_same(np.load(tmp_path / f"{name}_{n}.npy"), own_samples(name, n)[1])
    assert np.load(tmp_path / "snippet.npy").shape == (16, 28, 28, 1)


def test_stablehlo_has_the_plain_forms_of_convolutions():
    """No product for each position of a kernel, as on the CPU."""
    generator = exported("dcgan")
    inputs = {x.name: x.draw(np.random.default_rng(0), 2) for x in generator.inputs}
    on_cpu = str(jax.make_jaxpr(lambda x: generator(**x))(inputs))
    with formats.for_any_platform():
        plain = str(jax.make_jaxpr(lambda x: generator(**x))(inputs))
    assert on_cpu.count("dot_general") > 1
    assert plain.count("dot_general") == 1


@pytest.mark.parametrize("family", ["cgan mlp", "infogan"])
def test_safetensors_make_the_same_network(tmp_path, monkeypatch, family):
    """By the code of the model card."""
    generator = exported(family)
    (tmp_path / "generator.safetensors").write_bytes(formats.to_safetensors(generator))
    monkeypatch.chdir(tmp_path)
    code = snippet(generator, "safetensors")
    made = {}
    exec(code, made)
    if family == "cgan mlp":
        assert made["images"].shape == (16, 28, 28, 1)
        return
    assert_same(made["images"], np.asarray(jax.jit(generator)(**made["inputs"])))


def test_the_code_for_onnx_runs(tmp_path, monkeypatch):
    for package in formats.FORMATS["onnx"].packages:
        pytest.importorskip(package)
    generator = exported("cgan mlp")
    (tmp_path / "generator.onnx").write_bytes(formats.to_onnx(generator))
    monkeypatch.chdir(tmp_path)
    made = {}
    exec(snippet(generator, "onnx"), made)
    assert set(made["inputs"]["label"]) <= {3, 7, 9}
    assert_same(made["images"], np.asarray(jax.jit(generator)(**made["inputs"])))


@pytest.mark.parametrize("dtype", ["bfloat16", "float64"])
def test_every_dtype_becomes_float32(dtype):
    with jax.enable_x64(dtype == "float64"):
        config = update(load_config("gan"), {"width": 0.1, "dtype": dtype})
        generator = SamplingGenerator(run_of(config, None))
        content = formats.to_stablehlo(generator)
    assert formats.largest_difference(generator, "stablehlo", content) < 1e-5
    assert {x.dtype for x in jax.tree.leaves(generator.variables)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("name", "arg", "condition", "shape", "said"),
    [
        ("gan", "ring", None, (1, 1, 2), "points"),
        ("tags", "", Features(8), (1, 1, 4), "word vectors"),
        ("cgan", "inpaint", MaskedImage(0.5), (28, 28, 1), "fills a hole"),
    ],
)
def test_refuses_what_are_no_whole_images(name, arg, condition, shape, said):
    config = update(load_config(name, arg), {"width": 0.02})
    run = Run(config, build_gan(config, shape, condition), None, (), 5, "last")
    with pytest.raises(UserError, match=said):
        SamplingGenerator(run)


def test_names_what_is_not_installed(monkeypatch):
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"onnx needs jax2onnx and onnxruntime: pip install 'jaxg"):
        formats.check_installed("onnx")


@pytest.mark.parametrize("name", ["flatbuffers", "safetensors"])
def test_the_small_formats_come_with_every_installation(name):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert any(one.startswith(f"{name}>=") for one in project["dependencies"])
    for format in ("stablehlo", "safetensors"):
        formats.check_installed(format)
