"""`python -m jaxgan.sample --workdir=DIR [--label=9] [--n=64] [--seed=0] [--out=FILE]`

Samples from a trained run into a sheet (`--out` ends in .png), arrays (.npz), or a folder of
images. A run that tags images prints the tags of `--image` (an index into the dataset, a file, or
an .npy of features); without it, it draws a sheet of --n (8) test images with their own and the
generated tags. Exit status: 0; 1 the disk is full; 2 an error in the arguments.
"""

import functools
import math
import os

import numpy as np
from absl import app, flags

from jaxgan import cli, data
from jaxgan.cli import CHECKPOINT, DATA_DIR, MODULES, OUT, RUN_SEED, SEED, WORKDIR, N, start_command
from jaxgan.common import buckets
from jaxgan.common.errors import UserError, file_errors
from jaxgan.common.files import free_path, write_whole
from jaxgan.common.reading import as_numbers, read_array
from jaxgan.data.tagging.types import Tagged, Tags
from jaxgan.inference.loading import load, read_about
from jaxgan.inference.pictures import grid
from jaxgan.inference.tagging import generated_tags
from jaxgan.inference.trained_run import Run, check_asked
from jaxgan.models.conditions import Features, MaskedImage
from jaxgan.reporting.images import save_png, scatter
from jaxgan.reporting.sample_sheets import TAGGED, draw_tags
from jaxgan.training import jax_setup, run_folder

_LABEL = flags.DEFINE_string("label", None, "The class, by name or number; default all in turn.")
_CODE = flags.DEFINE_list("code", [], "Values of the first categorical codes, such as 3.")
_CONTINUOUS = flags.DEFINE_list("continuous", [], "Values of the first continuous codes: 0.5,-1.")
_IMAGE = cli.define_path("image", "The image to fill or to tag: a file, or to tag also its index.")

parse_flags = functools.partial(
    cli.parse_flags, own=(WORKDIR, MODULES, CHECKPOINT, DATA_DIR, OUT, RUN_SEED, SEED, N)
)


def main(argv: list[str]) -> int:
    """Samples as the flags say; returns the exit status."""
    del argv

    def command() -> None:
        with buckets.adding_copy(cli.required_workdir(WORKDIR.value)) as workdir:
            sample(workdir)

    return cli.run_command(command)


def sample(workdir: str) -> None:
    """Loads the run, samples, and writes."""
    out = OUT.value or free_path(workdir, "sampled", ".png")
    if os.path.exists(out):
        raise UserError(f"{out} exists already", "give another --out, or remove it")
    jax_setup.configure_jax(read_about(workdir)["config"]["dtype"])
    run = load(workdir, CHECKPOINT.value or "best", RUN_SEED.value, cli.own_modules())
    if isinstance(run.gan.condition, Features):
        tag(run, workdir, out)
        return
    if DATA_DIR.value is not None:
        raise UserError("--data_dir: only a run that tags images reads its data", "leave it out")
    if _IMAGE.value is not None and not isinstance(run.gan.condition, MaskedImage):
        raise UserError("--image: the run is not conditioned on an image", "leave it out")
    image = None if _IMAGE.value is None else read_image(_IMAGE.value, run)
    examples = run.sample(
        64 if N.value is None else N.value,
        seed=SEED.value or 0,
        label=_LABEL.value,
        code=numbers("code", _CODE.value, int),
        continuous=numbers("continuous", _CONTINUOUS.value, float),
        image=image,
    )
    write(out, examples, run, image)
    print(f"{len(examples)} sampled by {run.described}: {out}")


def tag(run: Run, workdir: str, out: str) -> None:
    """Prints the tags of an image, or draws a sheet of test images."""
    for flag in (_LABEL, _CODE, _CONTINUOUS):
        if flag.value:
            raise UserError(f"--{flag.name}: the run tags images; it takes only their features")
    count, seed = TAGGED if N.value is None else N.value, SEED.value or 0
    check_asked(count, seed)
    if DATA_DIR.value is not None:
        run.config.dataset.data_dir = DATA_DIR.value
    dataset = data.load(run.config)
    run_folder.check_same_data(workdir, read_about(workdir), dataset)
    tags = dataset.tags
    assert tags is not None
    if _IMAGE.value is None:
        images = tags.split("test")[1].first(count)
        draw_sheet(run, tags, images, out)
        print(f"{len(images)} images tagged by the {run.checkpoint} networks: {out}")
        return
    features, own_tags = read_features(_IMAGE.value, run, tags)
    words = tags.vocabulary.words
    generated = generated_tags(
        run.functions, run.networks.generator, tags.vocabulary, features[None], seed
    )
    print(" ".join(words[i] for i in generated[0]))
    if len(own_tags):
        print(f"its own: {' '.join(words[i] for i in own_tags)}")
    if OUT.value:
        index = int(_IMAGE.value) if _IMAGE.value.isdecimal() else -1
        draw_sheet(run, tags, Tagged(features[None], (own_tags,), np.array([index])), out)


def read_features(image: str, run: Run, tags: Tags) -> tuple[np.ndarray, np.ndarray]:
    """The features of the image that --image names, and its own tags if they are known; UserError
    if there is no such image, or its features cannot be read or computed."""
    assert isinstance(run.gan.condition, Features)
    no_tags = np.zeros(0, np.int32)
    if image.isdecimal():
        found = tags.find(int(image))
        if found is None:
            raise UserError(f"--image={image}: the data has no tagged image of that number")
        return found
    if not image.endswith(".npy"):
        return tags.read(image), no_tags
    named, remedy = f"--image={image}", f"give an .npy of {run.gan.condition.size} features"
    features = as_numbers(read_array(image, named, remedy), named, remedy).reshape(-1)
    if len(features) != run.gan.condition.size:
        raise UserError(f"{named}: {len(features)} features", remedy)
    return features, no_tags


def draw_sheet(run: Run, tags: Tags, images: Tagged, out: str) -> None:
    """Writes a sheet of images with their own and the generated tags."""
    if os.path.splitext(out)[1].lower() != ".png":
        raise UserError(f"--out={out}: tags are drawn on a sheet", "end it in .png")
    seed = SEED.value or 0
    sheet = draw_tags(run.functions, run.networks.generator, tags, images, seed)
    with file_errors(out, "give another --out"):
        save_png(out, sheet)


def numbers(name: str, texts: list[str], kind: type) -> list:
    """The values of a flag as numbers; UserError if one is not a number."""
    try:
        return [kind(text) for text in texts]
    except ValueError:
        raise UserError(f"--{name}={','.join(texts)}: not numbers") from None


def read_image(path: str, run: Run) -> np.ndarray:
    """Reads an image file in the run's shape, uint8 [H, W, C]."""
    from jaxgan.data.sources import image_folder

    if not os.path.isfile(path):
        raise UserError(f"--image={path}: no such file")
    size, _, channels = run.gan.image_shape
    return image_folder.decode(path, size, channels, run.gan.config.dataset.fit)


def write(out: str, examples: np.ndarray, run: Run, image: np.ndarray | None) -> None:
    """Writes the examples as a sheet, arrays or single images, by the ending of `out`.

    A sheet of filled images begins with the given image.
    """
    ending = os.path.splitext(out)[1].lower()
    if ending not in ("", ".png", ".npz"):
        raise UserError(f"--out={out}: cannot write {ending}", "end it in .png or .npz")
    with file_errors(out, "give another --out"):
        if ending == ".npz":
            os.makedirs(os.path.dirname(out) or ".", exist_ok=True)
            write_whole(out, lambda file: np.savez_compressed(file, images=examples))
        elif ending == ".png" and run.draws_points:
            save_png(out, scatter(examples.reshape(len(examples), -1)))
        elif ending == ".png":
            shown = examples if image is None else np.concatenate([image[None], examples])
            save_png(out, grid(shown, math.ceil(math.sqrt(len(shown)))))
        elif run.draws_points:
            raise UserError(f"--out={out}: points are not images", "end it in .png or .npz")
        else:
            digits = len(str(len(examples) - 1))
            for i, example in enumerate(examples):
                save_png(os.path.join(out, f"{i:0{digits}}.png"), example)


if __name__ == "__main__":
    start_command()
    app.run(main, flags_parser=parse_flags)
