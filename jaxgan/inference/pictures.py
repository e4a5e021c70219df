"""The picture by which a notebook shows a trained run; arrays as Pillow images and as PNG files."""

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxgan.models import conditions

if TYPE_CHECKING:
    from jaxgan.inference.trained_run import Run

COLUMNS, MOST_ROWS, GAP, GROUND = 10, 10, 2, 32
# Pixels that an image should have at least on each side.
_SIDE = 56


def sheet(run: "Run") -> np.ndarray:
    """Samples, uint8 [H, W, C], whole times enlarged if they are small: a row for each label or
    value of the first categorical code, at most ten, or five rows."""
    codes = [prior.values for prior in run.gan.latent.codes if prior.categorical]
    condition = run.gan.condition
    if isinstance(condition, conditions.Label):
        labels = condition.members[:MOST_ROWS]
        rows = [run.sample(COLUMNS, label=run.label_names[i]) for i in labels]
    elif codes:
        rows = [run.sample(COLUMNS, code=i) for i in range(min(codes[0], MOST_ROWS))]
    else:
        rows = np.split(run.sample(5 * COLUMNS), 5)
    edges = ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0))
    images = np.pad(np.stack(rows), edges, constant_values=GROUND)
    picture = np.concatenate([np.concatenate(list(row), axis=1) for row in images])
    times = -(-_SIDE // images.shape[2])
    return picture.repeat(times, axis=0).repeat(times, axis=1)


def to_png(picture: np.ndarray) -> bytes:
    """A picture, uint8 [H, W, C] with C 1 or 3, as the bytes of a PNG file."""
    file = io.BytesIO()
    to_pil(picture).save(file, "PNG")
    return file.getvalue()


def to_pil(picture: np.ndarray) -> Any:
    """A Pillow image of uint8 [H, W, C], C 1 or 3."""
    from PIL import Image

    return Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
