"""`python -m jaxgan.walk --workdir=DIR [--seed=0] [--way=linear|spherical] [--concepts=A,B,C]`

Writes into the run's folder walk.png and walk.gif, from one noise to another; arithmetic.png, the
mean of three noises of A less that of B plus that of C (the labels that a run was told, or with
--concepts those that the reference classifier reads); training.gif, the run's sheets over its
training (`_seed_3` where there are several seeds). Made anew, they replace the older ones. Exit
status: 0, or 2 for a mistake in what was asked for.
"""

import functools
import os
from collections.abc import Callable

import jax
import numpy as np
from absl import app, flags

from jaxgan import command, data, folder, parallel, sheet_files, walks
from jaxgan.command import (
    CHECKPOINT,
    DATA_DIR,
    RUN_SEED,
    SEED,
    WORKDIR,
    complain,
    end_at_signals,
)
from jaxgan.conditions import KnownPart, Label
from jaxgan.config import UserError
from jaxgan.data.dataset import to_uint8
from jaxgan.image_measures import ImageMeasures
from jaxgan.images import GROUND, enlarged, grid, read_png, save_gif, save_png, titled
from jaxgan.latents import Latent
from jaxgan.loading import Run, load, read_about
from jaxgan.page import page
from jaxgan.reading import Instruments
from jaxgan.rng import stream

_WAY = flags.DEFINE_enum("way", None, walks.WAYS, "From noise to noise; default the prior's.")
_CONCEPTS = flags.DEFINE_list("concepts", [], "Three labels: A,B,C is drawn as A - B + C.")

Draw = Callable[[Latent], np.ndarray]
# Walks of a sheet, and the images of each; frames of the GIF on the way there.
ROWS, COLUMNS, FRAMES = 10, 10, 24
# Examples among which concepts are looked for.
CANDIDATES = 1_000

parse_flags = functools.partial(command.parse_flags, own=(CHECKPOINT, DATA_DIR, RUN_SEED, SEED))


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
    parallel.start(about["config"]["dtype"])
    run = load(workdir, CHECKPOINT.value or "best", RUN_SEED.value)
    seed, ending = SEED.value or 0, sheet_files.suffix(_named(run))
    # All is drawn before the first file is written: a mistake costs none of the older ones.
    write = []
    if run.draws_points or isinstance(run.gan.condition, KnownPart):
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
        page.renew(workdir, None, print)
    except OSError as error:
        raise UserError(f"{workdir}: {error.strerror or error}") from error
    print(f"by the {run.checkpoint} networks (step {run.step}): {workdir}")
    return 0


def _named(run: Run) -> int | None:
    return sheet_files.seed_in_names(run.run_seed, run.config.seeds)


def training(workdir: str, run: Run) -> list[np.ndarray]:
    """The run's own sheets in the order of their steps, each under its step."""
    files = sheet_files.of_seed(workdir, _named(run))
    return [titled(read_png(path), f"step {step:,}") for step, path in files.items()]


def walk(run: Run, draw: Draw, seed: int, way: str = "") -> tuple[np.ndarray, list[np.ndarray]]:
    """A sheet whose row i leads from noise i to noise i + 1, uint8 [H, W, C], and frames in which
    all rows walk there and back side by side. What else the generator is fed stands still in a
    row: its label (each in turn), its codes."""
    drawn, prior = run.latent(ROWS + 1, seed), run.gan.latent.noise_prior
    images = draw(walks.series(drawn, np.linspace(0, 1, COLUMNS), prior, way))
    there = draw(walks.series(drawn, np.linspace(0, 1, FRAMES), prior, way))
    steps = there.reshape(ROWS, FRAMES, *run.gan.image_shape).swapaxes(0, 1)
    side = run.gan.image_shape[0]
    frames = [enlarged(grid(one, 5), side) for one in steps]
    return grid(images, COLUMNS), [*frames, *frames[-2:0:-1]]


def candidates(
    run: Run, draw: Draw, seed: int, about: dict, workdir: str
) -> tuple[Latent, np.ndarray, tuple[str, ...]]:
    """Examples, what each of them shows (the label that it was told, or what the reference
    classifier reads), int [N], and the labels' names.

    Raises:
      UserError: if there are no labels, or the data of the classifier is not there.
    """
    drawn = run.latent(CANDIDATES, seed)
    if isinstance(run.gan.condition, Label):
        return drawn, np.asarray(drawn.condition).argmax(-1), run.label_names
    if DATA_DIR.value is not None:
        run.config.dataset.data_dir = DATA_DIR.value
    dataset = data.load(run.config)
    folder.refuse_other_data(workdir, about, dataset)
    classifier = ImageMeasures(Instruments(run.gan), dataset).classifier
    if classifier is None:
        raise UserError(f"{dataset.name} has no labels that name a concept")
    return drawn, classifier.predict(draw(drawn)), dataset.whole.label_names


def arithmetic(
    run: Run,
    draw: Draw,
    drawn: Latent,
    read: np.ndarray,
    names: tuple[str, ...],
    asked: list[str],
    seed: int,
) -> tuple[str, np.ndarray]:
    """A - B + C: above each concept's three examples that of their mean, beside them the result in
    the middle of eight that are moved a little (figure 7 of the paper).

    Args:
      run: whose images they are.
      draw: its `drawer`.
      drawn, read, names: `candidates`.
      asked: three names, or none for the first three labels of which there are enough.
      seed: of the moves.

    Returns:
      What was calculated, and the sheet, uint8 [H, W, C]; "" and nothing where no concept was asked
      for and there are not three labels.

    Raises:
      UserError: if there is no such label, or it is not shown often enough.
    """
    concepts = [_number(one, names) for one in asked] or [
        i for i in range(len(names)) if np.sum(read == i) >= walks.EACH
    ][:3]
    places = walks.pick(read, concepts) if len(concepts) == 3 else None
    if places is None and not asked:
        return "", np.zeros((0, 0, 1), np.uint8)
    if places is None:
        shown = [name for i, name in enumerate(names) if np.sum(read == i) >= walks.EACH]
        raise UserError(
            f"of {len(read)} examples too few show {', '.join(asked) or 'three labels'}",
            f"there are: {', '.join(shown)}",
        )
    mean = walks.means(drawn, places)
    key = stream(jax.random.key(seed), "arithmetic")
    result = draw(walks.around(key, walks.combined(mean)))
    single = draw(jax.tree.map(lambda x: x[places.T.reshape(-1)], drawn))
    left = grid(np.concatenate([single, draw(mean)]), 3)
    right = grid(result, 3)
    right = np.pad(right, ((0, len(left) - len(right)), (4, 0), (0, 0)), constant_values=GROUND)
    sheet = enlarged(np.concatenate([left, right], axis=1), run.gan.image_shape[0])
    said = "{} - {} + {}".format(*(names[one] for one in concepts))
    return said, titled(sheet, said)


def _number(name: str, names: tuple[str, ...]) -> int:
    if name not in names:
        raise UserError(f"--concepts: there is no {name}", f"there are: {', '.join(names)}")
    return names.index(name)


def drawer(run: Run) -> Draw:
    """What makes images of latents, uint8 [N, H, W, C]; compiled once."""
    instruments = Instruments(run.gan)
    return lambda latent: to_uint8(instruments.sample(run.networks.generator, latent), run.gan.low)


if __name__ == "__main__":
    end_at_signals()
    app.run(main, flags_parser=parse_flags)
