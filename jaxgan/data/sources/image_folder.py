"""A folder of images of any size and mode: flat, or with one folder a class."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import os
import struct
import sys
import time
import zlib
from typing import Any

import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.data import streaming
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.streaming import Streamed

# What Pillow raises at a damaged file, by format; DecompressionBombError comes to these.
_DAMAGED: tuple[type[Exception], ...] = (OSError, SyntaxError, ValueError, EOFError, IndexError)
_DAMAGED += (KeyError, TypeError, OverflowError, struct.error, zlib.error)
# Images decoded at once by a thread, and seconds after which the reading says how far it is.
_CHUNK, _PATIENCE = 64, 5.0


def load(
    data_dir: str, size: int, validation: int = -1, channels: int = 0, streamed: str = "auto"
) -> Dataset:
    """The images of a folder, in the order of their sorted paths; hidden files are left out.

    Where the folder holds folders, each of them is a class and its name the label (images may lie
    deeper in it); where it holds images, there are no labels.

    Args:
      data_dir: the folder.
      size: an image's central square is brought to size x size (bicubic, antialiased), after its
        EXIF orientation.
      validation: how many images are held out, the last ones of a fixed permutation; -1 is a tenth.
      channels: 1 for greyscale; 3 or 0 for RGB. What is transparent becomes white.
      streamed: the key dataset.streamed; "no" and, up to 2 GiB, "auto" decode all images now.

    Raises:
      UserError: if the folder is not there, has no images, or has images beside folders; and naming
        the file that is no image or is damaged (for streamed images, once it is read).
    """
    folder = os.path.abspath(os.path.expanduser(data_dir))
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder", "dataset.data_dir names it")
    files, labels, names = _scan(folder)
    source = FolderSource(
        folder, tuple(name for name, _ in files), size, channels or 3, _sha(files)
    )
    images: Any = Streamed(source)
    if not streaming.wanted(streamed, images.shape):
        images = _decode_all(source)
    whole = Split(images, None if labels is None else np.asarray(labels, np.int32))
    name = os.path.basename(folder)
    count = len(whole) // 10 if validation < 0 else validation
    train, held_out = whole.hold_out(count, name, shuffled=True)
    return Dataset(name, train, held_out, whole.first(0), names, source.fingerprint())


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Decodes images by their places.

    Args:
      folder: holds them.
      files: their paths in it.
      size: H and W.
      channels: 1 or 3.
      digest: of the files' paths and sizes.
    """

    folder: str
    files: tuple[str, ...]
    size: int
    channels: int
    digest: str
    dtype: Any = np.uint8
    processes: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self.files), self.size, self.size, self.channels

    def read(self, places: np.ndarray) -> np.ndarray:
        """Decodes the images at `places`, int [n]: uint8 [n, H, W, C]."""
        out = np.empty((len(places), *self.shape[1:]), np.uint8)
        for i, place in enumerate(places):
            path = os.path.join(self.folder, self.files[place])
            out[i] = decode(path, self.size, self.channels)
        return out

    def fingerprint(self) -> str:
        """Of the files' paths and sizes, and of what is made of them."""
        return f"folder {self.digest} {self.size}x{self.size}x{self.channels}"


def decode(path: str, size: int, channels: int) -> np.ndarray:
    """One image file as uint8 [size, size, channels].

    Raises:
      UserError: naming the file, if it is no image or is damaged.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    damaged: tuple[type[Exception], ...] = (*_DAMAGED, Image.DecompressionBombError)
    try:
        with Image.open(path) as file:
            image = _eight_bits(ImageOps.exif_transpose(file), channels)
    except damaged as error:
        what = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(
            f"{path}: cannot be read as an image ({what})", "mend it, or take it out of the folder"
        ) from None
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    # Cut first: `resize` with a box would look at pixels outside it.
    small = image.crop(box).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(small).reshape(size, size, channels)


def _eight_bits(image: Any, channels: int) -> Any:
    """A Pillow image of any mode as "L" or "RGB"."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits; Pillow would cut them off at 255.
        values = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating point")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _scan(folder: str) -> tuple[list[tuple[str, int]], list[int] | None, tuple[str, ...]]:
    """Each image's path and size in bytes, its label, and the labels' names."""
    files, folders = _entries(folder)
    if files and folders:
        raise UserError(
            f"{folder}: the file {files[0][0]} beside the folder {folders[0]}",
            "either images only, or one folder a class",
        )
    if not folders:
        if not files:
            raise UserError(f"{folder}: no images", "dataset.data_dir names their folder")
        return files, None, ()
    labels = []
    for label, name in enumerate(folders):
        members = _members(folder, name)
        if not members:
            raise UserError(f"{os.path.join(folder, name)}: no images", "every class wants one")
        files += members
        labels += [label] * len(members)
    return files, labels, tuple(folders)


def _members(folder: str, inner: str) -> list[tuple[str, int]]:
    files, folders = _entries(folder, inner)
    for name in folders:
        files += _members(folder, os.path.join(inner, name))
    return sorted(files)


def _entries(folder: str, inner: str = "") -> tuple[list[tuple[str, int]], list[str]]:
    """The image files (path in `folder`, bytes) and the folders' names in folder/inner, sorted."""
    files, folders = [], []
    try:
        with os.scandir(os.path.join(folder, inner)) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                if os.path.splitext(entry.name)[1].lower() not in _endings():
                    raise UserError(f"{entry.path}: not an image", "take it out of the folder")
                files.append((os.path.join(inner, entry.name), entry.stat().st_size))
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return sorted(files), sorted(folders)


@functools.cache
def _endings() -> frozenset[str]:
    from PIL import Image

    return frozenset(Image.registered_extensions())


def _sha(files: list[tuple[str, int]]) -> str:
    digest = hashlib.sha256()
    for name, size in files:
        digest.update(f"{name}\0{size}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _decode_all(source: FolderSource) -> np.ndarray:
    """All images, uint8 [N, H, W, C]; threads, because Pillow decodes outside Python's lock."""
    count = len(source.files)
    out = np.empty(source.shape, np.uint8)
    chunks = [np.arange(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]
    said = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for places, images in zip(chunks, pool.map(source.read, chunks), strict=True):
                out[places] = images
                if time.monotonic() - said > _PATIENCE:
                    said = time.monotonic()
                    print(
                        f"{source.folder}: {places[-1] + 1:,} of {count:,} images decoded",
                        file=sys.stderr,
                        flush=True,
                    )
        except UserError:
            pool.shutdown(cancel_futures=True)
            raise
    return out
