"""The formats of an exported generator: ONNX, StableHLO and safetensors."""

import contextlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.extend
import numpy as np
from flax.traverse_util import flatten_dict

import jaxgan.config as config_lib
from jaxgan.common.errors import UserError
from jaxgan.exporting.generator import SamplingGenerator
from jaxgan.models.cpu import for_any_platform

PLATFORMS = ("cpu", "cuda", "tpu")
Arrays = Mapping[str, np.ndarray]


class Format(NamedTuple):
    """A format.

    Attributes:
      file: name of the file.
      packages: what the extra `export` must have installed.
      write: the file's content.
      run: (content, inputs) -> images, as another program runs the file; None for parameters alone.
    """

    file: str
    packages: tuple[str, ...]
    write: Callable[[SamplingGenerator], bytes]
    run: Callable[[bytes, Arrays], np.ndarray] | None = None


def check_installed(name: str) -> None:
    """Raises UserError if a package that the format needs is not installed."""
    missing = [x for x in FORMATS[name].packages if importlib.util.find_spec(x) is None]
    if missing:
        what = f"--format={name} needs {' and '.join(missing)}"
        raise UserError(f"{what}: pip install 'jaxgan[export]'")


def to_onnx(generator: SamplingGenerator) -> bytes:
    """An ONNX model with the generator's inputs, the output `images` and a free batch size."""
    import jax2onnx

    names = [input.name for input in generator.inputs]
    batch = jax.export.symbolic_shape("B")[0]
    shapes = [jax.ShapeDtypeStruct(x.shape(batch), x.dtype) for x in generator.inputs]

    def generate(*arrays: jax.Array) -> jax.Array:
        return generator(**dict(zip(names, arrays, strict=True)))

    with _quiet(), jax.enable_x64(False), for_any_platform():
        # Traced first: jax2onnx replaces methods of Linen's layers while it traces.
        traced = jax.make_jaxpr(generate)(*shapes)
        model = jax2onnx.to_onnx(
            jax.extend.core.jaxpr_as_fun(traced),
            shapes,
            model_name="generator",
            input_names=names,
            output_names=["images"],
        )
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps jax2onnx from logging what it loads, and warning of shapes computed at run time."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def run_onnx(content: bytes, inputs: Arrays) -> np.ndarray:
    """Runs a model of `to_onnx` in ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["images"], dict(inputs))[0])


def to_stablehlo(generator: SamplingGenerator) -> bytes:
    """An artifact of `jax.export` for `PLATFORMS`: StableHLO with a free batch size, called with
    the generator's inputs by keyword."""
    batch = jax.export.symbolic_shape("B")[0]
    with jax.enable_x64(False), for_any_platform():
        exported = jax.export.export(jax.jit(generator), platforms=PLATFORMS)(
            **{x.name: jax.ShapeDtypeStruct(x.shape(batch), x.dtype) for x in generator.inputs}
        )
    return bytes(exported.serialize())


def run_stablehlo(content: bytes, inputs: Arrays) -> np.ndarray:
    """Runs an artifact of `to_stablehlo` on JAX's default device."""
    return np.asarray(jax.export.deserialize(bytearray(content)).call(**inputs))


def to_safetensors(generator: SamplingGenerator) -> bytes:
    """The parameters and moving statistics, float32, by their paths in the network, such as
    `params/image/kernel`. The metadata, each value JSON, describe the network."""
    from safetensors import numpy

    run = generator.run
    metadata = {
        # These networks compute in float32, whatever the run did.
        "config": dict(config_lib.leaves(run.config)) | {"dtype": "float32"},
        "image_shape": run.gan.image_shape,
        "low": run.gan.low,
        "label_names": run.label_names,
        "checkpoint": run.checkpoint,
        "step": run.step,
        "seed": run.run_seed,
    }
    arrays = flatten_dict(generator.variables._asdict(), sep="/")
    # A transposed array would be written in the order of its memory.
    arrays = {path: np.ascontiguousarray(array) for path, array in arrays.items()}
    return numpy.save(arrays, {key: json.dumps(value) for key, value in metadata.items()})


def largest_difference(generator: SamplingGenerator, name: str, content: bytes) -> float | None:
    """The largest difference, in [0, 1], between pixels of the exported file and of the generator
    itself for three random inputs; None for a format of parameters alone."""
    run = FORMATS[name].run
    if run is None:
        return None
    rng = np.random.default_rng(0)
    inputs = {input.name: input.draw(rng, 3) for input in generator.inputs}
    images = np.asarray(jax.jit(generator)(**inputs))
    return float(np.abs(run(content, inputs) - images).max())


FORMATS = {
    "onnx": Format("generator.onnx", ("jax2onnx", "onnxruntime"), to_onnx, run_onnx),
    "stablehlo": Format("generator.stablehlo", (), to_stablehlo, run_stablehlo),
    "safetensors": Format("generator.safetensors", (), to_safetensors),
}
