"""The model card of an exported generator: `model_card.md`."""

from collections.abc import Iterable, Sequence
from typing import Any

import jaxgan.config as config_lib
from jaxgan.common.errors import printable
from jaxgan.exporting.formats import PLATFORMS
from jaxgan.exporting.generator import Input, SamplingGenerator
from jaxgan.training import run_files

# Of each format: imports, and what makes `images` of `inputs`.
_CODE = {
    "onnx": (
        "import numpy as np\nimport onnxruntime",
        """
session = onnxruntime.InferenceSession("generator.onnx")
images = session.run(["images"], inputs)[0]
""",
    ),
    "stablehlo": (
        "import numpy as np\nfrom jax import export",
        """
with open("generator.stablehlo", "rb") as file:
    generator = export.deserialize(bytearray(file.read()))
images = np.asarray(generator.call(**inputs))
""",
    ),
    "safetensors": (
        """import json

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from safetensors import safe_open

from jaxgan.config import base, update
from jaxgan.models.latents import Latent, parse_codes
from jaxgan.models.registry import make_modules""",
        """
with safe_open("generator.safetensors", "numpy") as file:
    about = {key: json.loads(value) for key, value in file.metadata().items()}
    arrays = {path: file.get_tensor(path) for path in file.keys()}
config, low = update(base(), about["config"]), about["low"]
codes = parse_codes(config.latent.codes)
generator = make_modules(config, tuple(about["image_shape"]), codes, "float32").generator

label = None
if "label" in inputs:
    label = jax.nn.one_hot(inputs["label"], len(about["label_names"]))
values = [inputs[f"code_{i}"] for i in range(len(codes))]
values = [
    jax.nn.one_hot(value, code.values) if code.categorical else value[:, None]
    for code, value in zip(codes, values)
]
images = generator.apply(
    unflatten_dict(arrays, sep="/"),
    Latent(inputs["noise"], tuple(values), label),
    train=False,
    rngs={"dropout": jax.random.key(0)},
)
images = (np.asarray(images) - low) / (1 - low)
""",
    ),
}
_READERS = {
    "onnx": "any runtime of ONNX, such as ONNX Runtime",
    "stablehlo": f"`jax.export` on {', '.join(PLATFORMS)}, without jaxgan",
    "safetensors": "any reader of safetensors; the network itself is jaxgan's",
}


def snippet(generator: SamplingGenerator, format: str) -> str:
    """Python code that runs the exported file, from the folder where it lies: it sets `images`."""
    inputs = [f'    "{x.name}": {_drawn(x)},' for x in _inputs(generator, format)]
    imports, run = _CODE[format]
    draws = ["n, rng = 16, np.random.default_rng(0)", "inputs = {", *inputs, "}"]
    return "\n".join([imports, "", *draws, run.removeprefix("\n")])


def _inputs(generator: SamplingGenerator, format: str) -> list[Input]:
    """What a caller draws; the Linen module of the safetensors draws what it drops itself."""
    own = {"dropout"} if format == "safetensors" else set()
    return [x for x in generator.inputs if x.name not in own]


def _drawn(input: Input) -> str:
    """The expression of `Input.draw`."""
    shape = "n" if input.size is None else f"(n, {input.size})"
    if input.values:
        every = range(len(input.values))
        values = len(every) if input.values == tuple(every) else list(input.values)
        return f"rng.choice({values}, n).astype(np.int32)"
    if input.low is None:
        return f"rng.standard_normal({shape}, np.float32)"
    return f"rng.uniform({input.low}, {input.high}, {shape}).astype(np.float32)"


def model_card(
    generator: SamplingGenerator, workdir: str, format: str, file: str, difference: float | None
) -> str:
    """The card in Markdown.

    Args:
      generator: the exported generator.
      workdir: the folder of its run, whose `config.json` and `results.json` are read.
      format, file: the format, and the file's name.
      difference: largest difference between the file's images and the generator's, or None.

    Raises:
      UserError: if one of the files that are read is damaged.
    """
    run = generator.run
    about = run_files.read_info(workdir) or {}
    results = run_files.read_results(workdir) or {"measures": []}
    height, width, channels = run.gan.image_shape
    checked = ""
    if difference is not None:
        checked = f" When it was written, its images differed by at most {difference:.1e} from the"
        checked += " network's in jaxgan."
    sections = [
        "---\nlibrary_name: jaxgan\nlicense: unknown\n---",
        f"# The generator of {run.config.system} on {_text(about['dataset']['name'])}",
        f"`{file}` is for {_READERS[format]}. It holds {_text(run.described)}, float32, with"
        f" BatchNorm on its moving statistics.{checked}",
        "## Licence",
        "jaxgan's code has the Apache License 2.0. A run does not record the licence of its data,"
        " on which that of these weights may depend: fill in `license` above before you publish"
        " them.",
        "## Inputs and output",
        _table(
            ("input", "dtype", "shape", "values", "what it is"), map(_input_row, generator.inputs)
        )
        + f"\n\nOutput: `images`, float32, [B, {height}, {width}, {channels}], from 0 (black) to 1."
        " B is any batch size, from 1. "
        + (
            "The network itself ends with images in [-1, 1], which the code below maps to [0, 1]."
            if format == "safetensors" and run.gan.low < 0
            else "Integers are not checked: another value gives a meaningless image."
        ),
        *_labels(generator),
        "## Use",
        f"```python\n{snippet(generator, format)}```",
        "## Data",
        _data(about["dataset"]),
        "## Training",
        _training(about),
        "## Measures",
        _measures(generator, results["measures"]),
    ]
    return "\n\n".join(sections) + "\n"


def _input_row(input: Input) -> tuple[str, ...]:
    if input.values:
        values = ", ".join(map(str, input.values))
        if len(input.values) > 2 and input.values == tuple(range(len(input.values))):
            values = f"0 to {len(input.values) - 1}"
    elif input.low is None:
        values = "drawn from N(0, 1)"
    else:
        values = f"uniform on ({input.low:.6g}, {input.high:.6g})"
    shape = f"[{', '.join(map(str, input.shape('B')))}]"
    return f"`{input.name}`", input.dtype, shape, values, input.meaning


def _labels(generator: SamplingGenerator) -> list[str]:
    names = generator.run.label_names
    values = [x.values for x in generator.inputs if x.name == "label"]
    if not values or all(names[i] == str(i) for i in values[0]):
        return []
    return ["Labels: " + ", ".join(f"{i} {_text(names[i])}" for i in values[0]) + "."]


def _data(dataset: dict[str, Any]) -> str:
    lines = [
        f"- dataset: {_text(dataset['name'])}, {dataset['train']:,} training images",
        f"- SHA-256 (16 hex digits) of its images and labels: `{_text(dataset['sha256'])}`",
    ]
    if dataset.get("content_sha256"):
        lines.append(
            f"- SHA-256 (16 hex digits) of its files: `{_text(dataset['content_sha256'])}`"
        )
    return "\n".join(lines)


def _training(about: dict[str, Any]) -> str:
    versions = about.get("versions", {})
    words = [f"{name} {version}" for name, version in versions.items()]
    if about.get("device"):
        words.append(f"on {about['device']}")
    lines = []
    if about.get("command"):
        lines += ["Command:", _block([about["command"]])]
    if words:
        lines.append(_text(f"With {', '.join(words)}; commit {about.get('commit') or 'unknown'}."))
    defaults = dict(config_lib.leaves(config_lib.base()))
    changed = [f"{k}={v}" for k, v in about["config"].items() if defaults.get(k) != v]
    lines += ["Keys of the config that differ from the defaults:", _block(changed)]
    return "\n\n".join(lines)


def _measures(generator: SamplingGenerator, measures: list[dict[str, Any]]) -> str:
    """The rows of `results.json` on these networks."""
    run = generator.run
    networks = {"seed": run.run_seed, "step": run.step, "checkpoint": run.checkpoint}
    rows = [
        (
            _text(x["name"] if x["code"] is None else f"{x['name']} (code {x['code']})"),
            _text(f"{x['value']:.4g} {'' if x['unit'] == '1' else x['unit']}".strip()),
            "" if x["reference"] is None else f"{x['reference']:.4g}",
            _text(x["split"]),
            f"{x.get('n_real', 0):,}",
            f"{x.get('n_generated', 0):,}",
            _text(" ".join(filter(None, (x.get("extractor"), x.get("extractor_hash"))))),
            _text(x.get("protocol", "")),
        )
        for x in measures
        if all(x[key] == value for key, value in networks.items())
    ]
    if not rows:
        return "These networks have none yet: `python -m jaxgan.evaluate` takes them."
    head = ("measure", "value", "reference", "split", "real", "generated", "extractor", "protocol")
    return _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(printable, line))} |" for line in lines)


def _text(text: str) -> str:
    """A text of the run as Markdown shows it literally, unless it is code already."""
    return "".join(f"\\{x}" if x in "\\`*[]<>|#" else x for x in printable(text))


def _block(lines: Iterable[str]) -> str:
    """Lines as an indented block, which no text ends."""
    return "\n".join(f"    {printable(line)}" for line in lines)
