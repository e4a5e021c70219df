"""`python -m jaxgan.sample --workdir=DIR [--label=9] [--n=64] [--seed=0] [--out=FILE]`

Draws from a trained run. `--out` ending in .png is a sheet, in .npz arrays, anything else a folder
of single images. A run that tags images prints the tags of `--image` (its number in the dataset, a
file, or an .npy of features), and without it draws a sheet of --n unseen images, 8, with their own
tags and generated ones. Exit status: 0, or 2 for a mistake in what was asked for.
"""

import functools
import itertools
import math
import os

import numpy as np
from absl import app, flags

from jaxgan import cli, data
from jaxgan.cli import CHECKPOINT, RUN_SEED, SEED, WORKDIR, N, complain, end_at_signals
from jaxgan.common.errors import UserError
from jaxgan.data.tagging.types import Tagged, Tags
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.tagging import generated_tags
from jaxgan.inference.trained_run import Run, load, read_about
from jaxgan.models.conditions import Features
from jaxgan.reporting.images import grid, save_png, scatter
from jaxgan.reporting.sample_sheets import TAGGED, draw_tags
from jaxgan.training import jax_setup, run_folder

_LABEL = flags.DEFINE_string("label", None, "The class, by name or number; default each in turn.")
_CODE = flags.DEFINE_list("code", [], "Values of the first categorical codes, such as 3.")
_CONTINUOUS = flags.DEFINE_list("continuous", [], "Values of the first continuous codes: 0.5,-1.")
_IMAGE = flags.DEFINE_string(
    "image", None, "The image whose hole is filled, or that is tagged: a file, or its number."
)
_OUT = flags.DEFINE_string(
    "out",
    None,
    "FILE.png, FILE.npz or a folder; default sampled.png in the workdir, or sampled_2.png, …",
)

parse_flags = functools.partial(cli.parse_flags, own=(CHECKPOINT, RUN_SEED, SEED, N))


def main(argv: list[str]) -> int:
    """Draws what the flags ask for; returns the exit status."""
    try:
        del argv
        if not WORKDIR.value:
            raise UserError("--workdir is missing", "it names a run's folder, under runs/")
        return sample(WORKDIR.value)
    except UserError as error:
        return complain(error, 2)


def sample(workdir: str) -> int:
    """Loads the run, draws, and writes."""
    out = _OUT.value or free_name(workdir)
    if os.path.exists(out):
        raise UserError(f"{out} is there already", "give another --out, or remove it")
    jax_setup.configure_jax(read_about(workdir)["config"]["dtype"])
    run = load(workdir, CHECKPOINT.value or "best", RUN_SEED.value)
    if isinstance(run.gan.condition, Features):
        return tag(run, workdir, out)
    image = None if _IMAGE.value is None else read_image(_IMAGE.value, run)
    made = run.sample(
        64 if N.value is None else N.value,
        seed=SEED.value or 0,
        label=_LABEL.value,
        code=numbers("code", _CODE.value, int),
        continuous=numbers("continuous", _CONTINUOUS.value, float),
        image=image,
    )
    write(out, made, run, image)
    print(f"{len(made)} drawn by the {run.checkpoint} networks (step {run.step}): {out}")
    return 0


def tag(run: Run, workdir: str, out: str) -> int:
    """Prints the tags of an image, or draws a sheet of some unseen ones."""
    asked = {"label": _LABEL.value, "code": _CODE.value, "continuous": _CONTINUOUS.value}
    for name, value in asked.items():
        if value:
            raise UserError(f"--{name}: the run tags images, and takes their features only")
    dataset = data.load(run.config)
    run_folder.check_same_data(workdir, read_about(workdir), dataset)
    tags, seed = dataset.tags, SEED.value or 0
    assert tags is not None
    if _IMAGE.value is None:
        images = tags.split("test")[1].first(TAGGED if N.value is None else N.value)
        draw_sheet(run, tags, images, out)
        print(f"{len(images)} images tagged by the {run.checkpoint} networks: {out}")
        return 0
    features, own = read_features(_IMAGE.value, run, tags)
    words = tags.vocabulary.words
    made = generated_tags(
        NetworkFunctions(run.gan), run.networks.generator, tags.vocabulary, features[None], seed
    )
    print(" ".join(words[i] for i in made[0]))
    if len(own):
        print(f"its own: {' '.join(words[i] for i in own)}")
    if _OUT.value:
        number = int(_IMAGE.value) if _IMAGE.value.isdigit() else -1
        draw_sheet(run, tags, Tagged(features[None], (own,), np.array([number])), out)
    return 0


def read_features(asked: str, run: Run, tags: Tags) -> tuple[np.ndarray, np.ndarray]:
    """The features of the image that --image names, and its own tags, as far as they are known.

    Raises:
      UserError: if there is no such image, or its features are not to be had.
    """
    assert isinstance(run.gan.condition, Features)
    unknown = np.zeros(0, np.int32)
    if asked.isdigit():
        found = tags.find(int(asked))
        if found is None:
            raise UserError(f"--image={asked}: the data has no tagged image of that number")
        return found
    if not asked.endswith(".npy"):
        return tags.read(asked), unknown
    try:
        features = np.load(asked, allow_pickle=False).reshape(-1)
    except (OSError, ValueError) as error:
        raise UserError(f"--image={asked}: cannot be read ({error})") from None
    if len(features) != run.gan.condition.size or features.dtype.kind not in "fiu":
        raise UserError(
            f"--image={asked}: {features.dtype} {list(features.shape)}, the run takes"
            f" {run.gan.condition.size} features"
        )
    return features, unknown


def draw_sheet(run: Run, tags: Tags, images: Tagged, out: str) -> None:
    """Writes a sheet of images with their own tags and generated ones."""
    if os.path.splitext(out)[1].lower() != ".png":
        raise UserError(f"--out={out}: tags are drawn on a sheet", "end it in .png")
    seed = SEED.value or 0
    picture = draw_tags(NetworkFunctions(run.gan), run.networks.generator, tags, images, seed)
    try:
        save_png(out, picture)
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror})", "another --out") from error


def free_name(workdir: str) -> str:
    """sampled.png in the run's folder; where that is there, sampled_2.png, and so on."""
    names = itertools.chain(["sampled.png"], (f"sampled_{i}.png" for i in itertools.count(2)))
    paths = (os.path.join(workdir, name) for name in names)
    return next(path for path in paths if not os.path.lexists(path))


def numbers(name: str, texts: list[str], kind: type) -> list:
    """The numbers of a flag.

    Raises:
      UserError: if one is none.
    """
    try:
        return [kind(text) for text in texts]
    except ValueError:
        raise UserError(f"--{name}={','.join(texts)}: not numbers") from None


def read_image(path: str, run: Run) -> np.ndarray:
    """The image of a file, brought to the run's shape: uint8 [H, W, C]."""
    from jaxgan.data.sources import image_folder

    if not os.path.isfile(path):
        raise UserError(f"--image={path}: no such file")
    return image_folder.decode(path, run.gan.image_shape[0], run.gan.image_shape[2])


def write(out: str, made: np.ndarray, run: Run, image: np.ndarray | None) -> None:
    """Writes the examples as a sheet, as arrays, or as single images, by the ending of `out`.

    A sheet of fillings begins with the image as it was given.
    """
    ending = os.path.splitext(out)[1].lower()
    if ending not in ("", ".png", ".npz"):
        raise UserError(f"--out={out}: {ending} is not written", "end it in .png or .npz")
    try:
        if ending == ".npz":
            os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
            np.savez_compressed(out, images=made)
        elif ending == ".png" and run.draws_points:
            save_png(out, scatter(made.reshape(len(made), -1)))
        elif ending == ".png":
            shown = made if image is None else np.concatenate([image[None], made])
            save_png(out, grid(shown, math.ceil(math.sqrt(len(shown)))))
        elif run.draws_points:
            raise UserError(f"--out={out}: points are no images", "end it in .png or .npz")
        else:
            for i, one in enumerate(made):
                save_png(os.path.join(out, f"{i:0{len(str(len(made) - 1))}}.png"), one)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror})", "give another --out"
        ) from error


if __name__ == "__main__":
    end_at_signals()
    app.run(main, flags_parser=parse_flags)
