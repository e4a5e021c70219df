"""`python -m jaxgan.walk --workdir=DIR [--seed=0] [--way=linear|spherical] [--concepts=A,B,C]`

Writes figures into the run's folder: walk.png and walk.gif, which interpolate between noises;
arithmetic.png, A - B + C of the mean noises of three labels (the labels that the run is conditioned
on, or with --concepts those predicted by the reference classifier); training.gif, the sample sheets
over the course of training. In a run of several seeds the names end in `_seed_3`. Existing files
are replaced. Exit status: 0; 1 the disk is full; 2 an error in the arguments.
"""

import functools
import os
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags

from jaxgan import cli
from jaxgan.cli import CHECKPOINT, DATA_DIR, MODULES, RUN_SEED, SEED, WORKDIR, start_command
from jaxgan.common import buckets
from jaxgan.common.errors import UserError, file_errors
from jaxgan.inference import interpolation
from jaxgan.inference.loading import load, read_about
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.reporting import latent_figures, sheet_paths
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.images import save_gif, save_png
from jaxgan.training import jax_setup

_WAY = flags.DEFINE_enum(
    "way", None, interpolation.WAYS, "Path between noises; default by the prior."
)
_CONCEPTS = flags.DEFINE_list("concepts", [], "Three labels: A,B,C is drawn as A - B + C.")

parse_flags = functools.partial(
    cli.parse_flags, own=(WORKDIR, MODULES, CHECKPOINT, DATA_DIR, RUN_SEED, SEED)
)


def main(argv: list[str]) -> int:
    """Writes the figures; returns the exit status."""
    del argv
    return cli.run_command(_write_figures)


def _write_figures() -> None:
    with buckets.adding_copy(cli.required_workdir(WORKDIR.value)) as workdir:
        _write_figures_of(workdir)


def _write_figures_of(workdir: str) -> None:
    concepts = _CONCEPTS.value
    if len(concepts) not in (0, 3):
        what = f"--concepts={','.join(concepts)}: three labels are wanted"
        raise UserError(what, "--concepts=A,B,C is drawn as A - B + C")
    about = read_about(workdir)
    if DATA_DIR.value is not None and not concepts:
        raise UserError("--data_dir: only --concepts=A,B,C reads the data", "leave it out")
    jax_setup.configure_jax(about["config"]["dtype"])
    modules = cli.own_modules()
    run = load(workdir, CHECKPOINT.value or "best", RUN_SEED.value, modules)
    # Everything is drawn before the first file is written, so that an error replaces no file.
    figures = [*_latent_figures(run, workdir, about, concepts)]
    with file_errors(workdir):
        frames = latent_figures.training(workdir, run)
        if frames:
            save_frames = functools.partial(save_gif, frames=frames, seconds=0.4, last=2.0)
            figures.append(("training", ".gif", save_frames))
        else:
            print("training.gif is left out: there are no sheets in samples/")
        suffix = sheet_paths.suffix(latent_figures.seed_in_names(run))
        for name, ending, save in figures:
            save(os.path.join(workdir, f"{name}{suffix}{ending}"))
        renew_report(workdir, print, modules=modules)
    print(f"by {run.described}: {workdir}")


def _latent_figures(
    run: Run, workdir: str, about: dict[str, Any], concepts: list[str]
) -> Iterator[tuple[str, str, Callable[[str], None]]]:
    """Each figure's name, ending and writer. Prints which figures are left out, and why."""
    if run.draws_points or isinstance(run.gan.condition, MaskedImage):
        print("walk.png, walk.gif and arithmetic.png are left out: they need whole images")
        return
    draw, seed = latent_figures.drawer(run), SEED.value or 0
    sheet, frames = latent_figures.walk(run, draw, seed, _WAY.value or "")
    yield "walk", ".png", functools.partial(save_png, sheet=sheet)
    yield "walk", ".gif", functools.partial(save_gif, frames=frames, seconds=0.06)
    if not concepts and not isinstance(run.gan.condition, Label):
        print(
            "arithmetic.png is left out: it needs labels, and this run's data has none"
            if not run.label_names
            else "arithmetic.png is left out: --concepts=A,B,C names three labels; the reference"
            " classifier, which may have to be trained, then labels the images"
        )
        return
    if DATA_DIR.value is not None:
        run.config.dataset.data_dir = DATA_DIR.value
    candidates = latent_figures.candidates(run, draw, seed, about, workdir)
    expression, sheet = latent_figures.arithmetic(run, draw, *candidates, concepts, seed)
    if expression:
        yield "arithmetic", ".png", functools.partial(save_png, sheet=sheet)
    print(f"arithmetic: {expression or 'left out, because it needs three labels'}")


if __name__ == "__main__":
    start_command()
    app.run(main, flags_parser=parse_flags)
