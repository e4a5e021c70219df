"""`python -m jaxgan.export --workdir=DIR --format=onnx|stablehlo|safetensors [--checkpoint=best]
[--seed=N] [--out=FOLDER]`

Writes a run's generator as a file that needs no jaxgan, and `model_card.md`, which says how it is
used, into a new folder: DIR/export, DIR/export_2, …, or --out. Exit status: 0; 1 the disk is full;
2 an error in the arguments, a package is missing, or the run's generator cannot be exported.
"""

import functools
import os

from absl import app, flags

from jaxgan import cli
from jaxgan.cli import CHECKPOINT, MODULES, OUT, SEED, WORKDIR, start_command
from jaxgan.common import buckets
from jaxgan.common.errors import UserError, file_errors
from jaxgan.common.files import free_path, write_text, write_whole
from jaxgan.exporting.formats import FORMATS, check_installed, largest_difference
from jaxgan.exporting.generator import SamplingGenerator
from jaxgan.exporting.model_card import model_card
from jaxgan.inference.loading import load, read_about
from jaxgan.training import jax_setup

# Of a pixel in [0, 1]; rounding makes some 1e-7.
TOLERANCE = 1e-4

_FORMAT = flags.DEFINE_enum("format", None, list(FORMATS), "The format of the generator's file.")

parse_flags = functools.partial(cli.parse_flags, own=(WORKDIR, MODULES, CHECKPOINT, OUT, SEED))


def main(argv: list[str]) -> int:
    """Exports as the flags say; returns the exit status."""
    del argv

    def command() -> None:
        if _FORMAT.value is None:
            raise UserError("--format is missing", f"there are: {', '.join(FORMATS)}")
        check_installed(_FORMAT.value)
        with buckets.adding_copy(cli.required_workdir(WORKDIR.value)) as workdir:
            export(workdir, _FORMAT.value)

    return cli.run_command(command)


def export(workdir: str, format: str) -> None:
    """Loads the run, and writes its generator and the card."""
    out = OUT.value or free_path(workdir, "export")
    if os.path.lexists(out):
        raise UserError(f"{out} exists already", "give another --out, or remove it")
    jax_setup.configure_jax(read_about(workdir)["config"]["dtype"])
    modules = cli.own_modules()
    if modules is not None and format == "safetensors":
        what = "--format=safetensors: its card would build jaxgan's networks, not --modules'"
        raise UserError(what, "choose onnx or stablehlo")
    run = load(workdir, CHECKPOINT.value or "best", SEED.value, modules)
    generator, file = SamplingGenerator(run), FORMATS[format].file
    content = FORMATS[format].write(generator)
    difference = largest_difference(generator, format, content)
    if difference is not None and not difference < TOLERANCE:
        what = f"{file}: its images differ by {difference:.1e} from the network's"
        raise UserError(what, "nothing was written; give another --format")
    card = model_card(generator, workdir, format, file, difference)
    with file_errors(out, "give another --out"):
        os.makedirs(out)
        write_whole(os.path.join(out, file), lambda stream: stream.write(content))
        write_text(os.path.join(out, "model_card.md"), card)
    print(f"{run.described}: {os.path.join(out, file)}")


if __name__ == "__main__":
    start_command()
    app.run(main, flags_parser=parse_flags)
