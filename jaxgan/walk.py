"""`python -m jaxgan.walk --workdir=DIR [--seed=0] [--way=linear|spherical] [--concepts=A,B,C]`

Writes into the run's folder walk.png and walk.gif, from one noise to another; arithmetic.png, the
mean of three noises of A less that of B plus that of C (the labels of the run's condition, or with
--concepts those that the reference classifier reads); training.gif, the run's sheets over its
training (`_seed_3` where there are several seeds). Made anew, they replace the older ones. Exit
status: 0, or 2 for a mistake in what was asked for.
"""

import functools
import os

from absl import app, flags

from jaxgan import cli
from jaxgan.cli import CHECKPOINT, DATA_DIR, RUN_SEED, SEED, WORKDIR, complain, end_at_signals
from jaxgan.common.errors import UserError
from jaxgan.inference import interpolation
from jaxgan.inference.trained_run import load, read_about
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.images import save_gif, save_png
from jaxgan.reporting.latent_figures import (
    arithmetic,
    candidates,
    drawer,
    seed_in_names,
    training,
    walk,
)
from jaxgan.training import jax_setup

_WAY = flags.DEFINE_enum(
    "way", None, interpolation.WAYS, "From noise to noise; default the prior's."
)
_CONCEPTS = flags.DEFINE_list("concepts", [], "Three labels: A,B,C is drawn as A - B + C.")


parse_flags = functools.partial(cli.parse_flags, own=(CHECKPOINT, DATA_DIR, RUN_SEED, SEED))


def main(argv: list[str]) -> int:
    """Writes what the flags ask for; returns the exit status."""
    del argv
    workdir = WORKDIR.value
    try:
        if not workdir:
            raise UserError("--workdir is missing", "it names a run's folder, under runs/")
        if len(_CONCEPTS.value) not in (0, 3):
            raise UserError(
                f"--concepts={','.join(_CONCEPTS.value)}: three labels are wanted",
                "--concepts=A,B,C is drawn as A - B + C",
            )
        return write_all(workdir)
    except UserError as error:
        return complain(error, 2)


def write_all(workdir: str) -> int:
    """Loads the run, draws, writes, and says what was left out and why."""
    about = read_about(workdir)
    jax_setup.configure_jax(about["config"]["dtype"])
    run = load(workdir, CHECKPOINT.value or "best", RUN_SEED.value)
    seed, ending = SEED.value or 0, sheet_paths.suffix(seed_in_names(run))
    # All is drawn before the first file is written: a mistake costs none of the older ones.
    write = []
    if run.draws_points or isinstance(run.gan.condition, MaskedImage):
        print("walk.png, walk.gif and arithmetic.png are left out: they are of whole images")
    else:
        draw = drawer(run)
        sheet, frames = walk(run, draw, seed, _WAY.value or "")
        write += [
            (f"walk{ending}.png", functools.partial(save_png, sheet=sheet)),
            (f"walk{ending}.gif", functools.partial(save_gif, frames=frames, seconds=0.06)),
        ]
        if not _CONCEPTS.value and not isinstance(run.gan.condition, Label):
            print(
                "arithmetic.png is left out: it wants labels, and this run's data has none"
                if not run.label_names
                else "arithmetic.png is left out: --concepts=A,B,C names three labels; images are"
                " read by the reference classifier, which may have to be trained"
            )
        else:
            if DATA_DIR.value is not None:
                run.config.dataset.data_dir = DATA_DIR.value
            drawn, read, names = candidates(run, draw, seed, about, workdir)
            said, sheet = arithmetic(run, draw, drawn, read, names, _CONCEPTS.value, seed)
            if said:
                write.append((f"arithmetic{ending}.png", functools.partial(save_png, sheet=sheet)))
            print(f"arithmetic: {said or 'left out, for it wants three labels'}")
    try:
        frames = training(workdir, run)
        if frames:
            write.append(
                (
                    f"training{ending}.gif",
                    functools.partial(save_gif, frames=frames, seconds=0.4, last=2.0),
                )
            )
        else:
            print("training.gif is left out: there are no sheets in samples/")
        for name, save in write:
            save(os.path.join(workdir, name))
        renew_report(workdir, None, print)
    except OSError as error:
        raise UserError(f"{workdir}: {error.strerror or error}") from error
    print(f"by the {run.checkpoint} networks (step {run.step}): {workdir}")
    return 0


if __name__ == "__main__":
    end_at_signals()
    app.run(main, flags_parser=parse_flags)
