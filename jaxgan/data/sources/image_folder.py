"""A folder of images of any size and mode, flat or with one subfolder per class."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import math
import os
import stat
import struct
import sys
import time
import zlib
from typing import Any

import numpy as np

from jaxgan.common.errors import UserError, printable
from jaxgan.data import streaming
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.streaming import Streamed

# Pillow's errors at damaged files of different formats; `decode` adds DecompressionBombError.
_DAMAGED: tuple[type[Exception], ...] = (OSError, SyntaxError, ValueError, EOFError, IndexError)
_DAMAGED += (KeyError, TypeError, OverflowError, RuntimeError, struct.error, zlib.error)
# What file managers, archivers and file systems leave behind, in lower case.
_LEFT_BEHIND = {
    "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found",
    "desktop.ini", "thumbs.db", "ehthumbs.db", "icon\r",
}  # fmt: skip
# Names of splits, which are no classes.
_SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev", "eval"}
# Readable images that may replace a damaged one while images are streamed.
_REPLACEMENTS = 100
# Images that a thread decodes at once, and seconds between progress reports.
_CHUNK, _PATIENCE = 64, 5.0


def load(
    data_dir: str,
    size: int,
    validation: int = -1,
    channels: int = 0,
    streamed: str = "auto",
    fit: str = "crop",
) -> Dataset:
    """Reads the images of a folder in the order of their sorted paths, without hidden files.

    Each subfolder is a class, named after it, and may contain further folders. Without subfolders
    there are no labels. While images are streamed, one that is damaged is replaced by the next of
    its class, so that it does not end a run of many hours; a line names it.

    Args:
      data_dir: the folder.
      size: H and W to which images are resized (bicubic, antialiased), after their EXIF
        orientation is applied.
      validation: number of images held out, by a fixed permutation; -1 is a tenth.
      channels: 1 for greyscale; 3 or 0 for RGB. Transparent areas become white.
      streamed: the key dataset.streamed; "no" and, up to 2 GiB, "auto" decode all images now.
      fit: the key dataset.fit, as in `decode`.

    Raises:
      UserError: if the folder is missing or empty, mixes images and subfolders, or holds splits
        instead of classes; or naming a file that is damaged or not an image.
    """
    folder = os.path.abspath(data_dir)
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: no such folder", "set dataset.data_dir to an existing folder")
    files, labels, names = _scan(folder)
    listing = "".join(f"{name}\0{length}\n" for name, length in files)
    digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()[:16]
    paths = tuple(name for name, _ in files)
    source = FolderSource(folder, paths, size, channels or 3, digest, fit)
    images: Any = Streamed(source)
    content = ""
    if not streaming.wanted(streamed, images.shape):
        images, content = _decode_all(source)
    whole = Split(images, None if labels is None else np.asarray(labels, np.int32))
    name = printable(os.path.basename(folder))
    count = len(whole) // 10 if validation < 0 else validation
    train, held_out = whole.hold_out(count, name, shuffled=True)
    fingerprint = source.fingerprint()
    return Dataset(name, train, held_out, whole.first(0), names, fingerprint, content)


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """A `streaming.Source` that decodes image files.

    Attributes:
      folder: path of the folder.
      files: paths of the images in the folder.
      size: H and W.
      channels: 1 or 3.
      digest: hash of the files' paths and sizes.
      fit: "crop" or "pad", as in `decode`.
    """

    folder: str
    files: tuple[str, ...]
    size: int
    channels: int
    digest: str
    fit: str = "crop"
    dtype: Any = np.uint8
    processes: bool = True

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self.files), self.size, self.size, self.channels

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Reads images, and others of their class for those that are damaged."""
        out = np.empty((len(indices), *self.shape[1:]), np.uint8)
        for i, index in enumerate(indices):
            try:
                out[i] = self.decode(index)
            except DamagedImage as error:
                out[i] = self._replacement(index, error)
        return out

    def decode(self, index: int) -> np.ndarray:
        """Reads one image; UserError naming the file if it is damaged."""
        return decode(self._path(index), self.size, self.channels, self.fit)

    def hash(self, index: int) -> bytes:
        """SHA-256 of one file."""
        with open(self._path(index), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def _path(self, index: int) -> str:
        return os.path.join(self.folder, self.files[index])

    def _replacement(self, index: int, error: UserError) -> np.ndarray:
        def of_class(i: int) -> str:
            folder, inner, _ = self.files[i].partition(os.sep)
            return folder if inner else ""

        following = itertools.chain(range(index + 1, len(self.files)), range(index))
        same = (i for i in following if of_class(i) == of_class(index))
        for other in itertools.islice(same, _REPLACEMENTS):
            with contextlib.suppress(DamagedImage):
                image = self.decode(other)
                _say_once(f"{error.what}; {printable(self.files[other])} is shown instead")
                return image
        raise error

    def fingerprint(self) -> str:
        # Cropped images keep the fingerprint that they had before there was a choice.
        padded = "" if self.fit == "crop" else f" {self.fit}"
        return f"folder {self.digest} {self.size}x{self.size}x{self.channels}{padded}"


class DamagedImage(UserError):
    """A file that is not an image; no error of reading, which may pass."""


@functools.cache
def _say_once(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def decode(path: str, size: int, channels: int, fit: str = "crop") -> np.ndarray:
    """Decodes an image file to uint8 [size, size, channels].

    Args:
      path: the file.
      size: H and W of the result.
      channels: 1 for greyscale, 3 for RGB.
      fit: "crop" resizes the central square; "pad" the whole image, and fills the rest with the
        mean colour of the two edges that it adjoins.

    Raises:
      DamagedImage: naming the file.
      UserError: naming the file if it cannot be read now.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    bombs = (Image.DecompressionBombError, Image.DecompressionBombWarning)
    damaged: tuple[type[Exception], ...] = (*_DAMAGED, *bombs)
    Image.init()
    # PostScript is a program, which Pillow would hand to Ghostscript, whatever the file's ending.
    formats = [name for name in Image.ID if name != "EPS"]
    try:
        with Image.open(path, formats=formats) as file:
            # Above 89 million pixels Pillow only warns, and a picture takes more than 300 MB.
            if file.width * file.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                raise ValueError(f"{file.width} x {file.height} pixels are too many")
            # Pillow scales the integers of a PPM to 16 bits, in a mode of 32.
            sixteen = file.mode.startswith("I;16") or (file.mode, file.format) == ("I", "PPM")
            image = _eight_bits(ImageOps.exif_transpose(file), channels, sixteen)
    except damaged as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise UserError(f"{path}: {error.strerror}", "make it readable") from None
        what = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise DamagedImage(
            f"{path}: cannot be read as an image ({what})", "remove it from the folder"
        ) from None
    return _padded(image, size, channels) if fit == "pad" else _cropped(image, size, channels)


def _cropped(image: Any, size: int, channels: int) -> np.ndarray:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Cropped first: `resize` with a box would read pixels outside it.
    square = image.crop((left, top, left + side, top + side))
    return _resized(square, size, size, channels)


def _padded(image: Any, size: int, channels: int) -> np.ndarray:
    """Fills with the edges' mean, not with white, so that a plain background continues and no bars
    appear."""
    height, width = (
        max(1, round(side * size / max(image.size))) for side in (image.height, image.width)
    )
    pixels = _resized(image, height, width, channels)
    edges = pixels[[0, -1]] if width == size else pixels[:, [0, -1]]
    fill = np.rint(edges.mean((0, 1))).astype(np.uint8)
    out = np.broadcast_to(fill, (size, size, channels)).copy()
    top, left = (size - height) // 2, (size - width) // 2
    out[top : top + height, left : left + width] = pixels
    return out


def _resized(image: Any, height: int, width: int, channels: int) -> np.ndarray:
    from PIL import Image

    small = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(small).reshape(height, width, channels)


def _eight_bits(image: Any, channels: int, sixteen: bool) -> Any:
    """Converts a Pillow image of any mode to "L" or "RGB"; `sixteen`: its integers have 16 bits."""
    from PIL import Image

    if sixteen:  # Pillow would clip them at 255.
        values = np.asarray(image)
        if values.min() < values.max() < 4096:
            raise ValueError("16 bits a pixel of which at most 12 are used: it would be black")
        image = Image.fromarray(np.rint(values.astype(np.float32) / 257).astype(np.uint8))
    if image.mode in ("F", "I"):
        kind = "floating point" if image.mode == "F" else "integers of 32 bits"
        raise ValueError(f"{kind}, whose range is not known: convert it to 8 bits")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _scan(folder: str) -> tuple[list[tuple[str, int]], list[int] | None, tuple[str, ...]]:
    """Returns each image's path and size in bytes, the labels, and their names."""
    files, folders = _entries(folder)
    if files and folders:
        raise UserError(
            f"{folder}: the file {files[0][0]} next to the folder {folders[0]}",
            "use either images only, or one folder per class",
        )
    if not folders:
        if not files:
            raise UserError(f"{folder}: no images", "set dataset.data_dir to their folder")
        return files, None, ()
    splits = [name for name in folders if name.lower() in _SPLITS]
    if len(splits) == len(folders) > 1:
        what = f"{folder}: its folders are splits ({', '.join(splits)}), not classes"
        training = next((x for x in splits if x.lower().startswith("train")), splits[0])
        raise UserError(what, f"set dataset.data_dir to {os.path.join(folder, training)}")
    labels = []
    for label, name in enumerate(folders):
        members = _members(folder, name)
        if not members:
            raise UserError(f"{os.path.join(folder, name)}: no images", "every class needs one")
        files += members
        labels += [label] * len(members)
    return files, labels, tuple(map(printable, folders))


def inner_folders(data_dir: str, name: str) -> list[str]:
    """The folders in the class `name` of an image folder, sorted."""
    folder = os.path.abspath(os.path.expanduser(data_dir))
    return [printable(inner) for inner in _entries(folder, name)[1]]


def _members(folder: str, inner: str) -> list[tuple[str, int]]:
    files, folders = _entries(folder, inner)
    for name in folders:
        files += _members(folder, os.path.join(inner, name))
    return sorted(files)


def _entries(folder: str, inner: str = "") -> tuple[list[tuple[str, int]], list[str]]:
    """Lists folder/inner: image files (path in `folder`, bytes) and names of folders, sorted."""
    from PIL import Image

    extensions = Image.registered_extensions()
    files, folders = [], []
    try:
        with os.scandir(os.path.join(folder, inner)) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name.lower() in _LEFT_BEHIND:
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                    continue
                if os.path.splitext(entry.name)[1].lower() not in extensions:
                    raise UserError(f"{entry.path}: not an image", "remove it from the folder")
                status = entry.stat()
                if not stat.S_ISREG(status.st_mode):  # Reading a pipe would wait for ever.
                    raise UserError(f"{entry.path}: not a file", "remove it from the folder")
                files.append((os.path.join(inner, entry.name), status.st_size))
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None
    return sorted(files), sorted(folders)


def _decode_all(source: FolderSource) -> tuple[np.ndarray, str]:
    """Decodes all images, uint8 [N, H, W, C], and hashes the files; in threads, because Pillow and
    hashlib work without Python's lock."""
    count = len(source.files)
    out = np.empty(source.shape, np.uint8)
    chunks = [np.arange(i, min(i + _CHUNK, count)) for i in range(0, count, _CHUNK)]

    def decoded(indices: np.ndarray) -> tuple[np.ndarray, bytes]:
        images = np.stack([source.decode(index) for index in indices])
        return images, b"".join(source.hash(index) for index in indices)

    content = hashlib.sha256()
    reported = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        # On an error, `map` cancels the chunks that have not begun.
        for indices, (images, hashes) in zip(chunks, pool.map(decoded, chunks), strict=True):
            out[indices] = images
            content.update(hashes)
            if time.monotonic() - reported > _PATIENCE:
                reported = time.monotonic()
                done = f"{indices[-1] + 1:,} of {count:,} images decoded"
                print(f"{source.folder}: {done}", file=sys.stderr, flush=True)
    return out, content.hexdigest()[:16]
