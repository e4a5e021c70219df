"""Images that stay where they are until a batch wants them, and batches read ahead of the loop."""

import contextlib
import dataclasses
import itertools
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any, Protocol

import numpy as np

from jaxgan.common.errors import UserError

# More bytes than this do not go into memory (nor onto a device) unless dataset.streamed says so.
MOST_RESIDENT = 2 * 2**30
_STOPPING = (signal.SIGINT, signal.SIGTERM)


class Source(Protocol):
    """Reads the images of one source by their places; safe to call from several threads."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""

    @property
    def dtype(self) -> Any:
        """The type of the images' numbers, mostly uint8."""

    @property
    def processes(self) -> bool:
        """Whether worker processes pay: the reading is slow, and the source cheap to pickle."""

    def read(self, places: np.ndarray) -> np.ndarray:
        """The images at `places`, int64 [n]: [n, H, W, C]. Raises UserError naming the file."""

    def fingerprint(self) -> str:
        """Tells the source's content apart from another's without reading it all."""


class Streamed:
    """Some images of a source, in some order, read when asked for; stands for [N, H, W, C].

    Args:
      source: reads the images.
      places: which of them, int64 [N]; None is all.
    """

    def __init__(self, source: Source, places: np.ndarray | None = None) -> None:
        self.source = source
        self._places = np.arange(source.shape[0]) if places is None else places

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self._places), *self.source.shape[1:]

    @property
    def dtype(self) -> Any:
        """As an array's."""
        return np.dtype(self.source.dtype)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Reads images into memory.

        Args:
          key: what NumPy takes for one axis: a number, a slice, integers of any shape, booleans.

        Returns:
          The images, [..., H, W, C].
        """
        places = np.asarray(self._places[key])
        return self.source.read(places.reshape(-1)).reshape(*places.shape, *self.source.shape[1:])

    def take(self, places: np.ndarray | slice) -> "Streamed":
        """The images at `places`, not read yet."""
        return Streamed(self.source, self._places[places])

    def fingerprint(self) -> str:
        """The source's, and how many of its images are here."""
        return f"{self.source.fingerprint()} {len(self)} images"


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """A source that is an array: streamed and resident training can be compared with it."""

    array: np.ndarray
    processes: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        n, height, width, channels = self.array.shape
        return n, height, width, channels

    @property
    def dtype(self) -> Any:
        """The array's."""
        return self.array.dtype

    def read(self, places: np.ndarray) -> np.ndarray:
        """The images at `places`."""
        return self.array[places]

    def fingerprint(self) -> str:
        """Nothing but the shape: an array's bytes are at hand."""
        return f"array {self.array.shape}"


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether uint8 images of that shape, [N, H, W, C], are too many for the memory."""
    return math.prod(shape) > MOST_RESIDENT


def wanted(streamed: str, shape: tuple[int, ...]) -> bool:
    """Whether images are streamed.

    Args:
      streamed: the key dataset.streamed: "yes", "no", or "auto" (where they are too many).
      shape: (N, H, W, C) of all splits together.
    """
    return streamed == "yes" or (streamed == "auto" and too_large(shape))


def batches(
    images: Any,
    places_of: Callable[[int], np.ndarray],
    start: int,
    stop: int,
    workers: int = 0,
) -> Iterator[np.ndarray]:
    """images[places_of(step)] for each step from `start` to `stop`, read ahead.

    The same batches whatever the number of workers. Close the iterator (`close()`, or run it out)
    to end the threads or processes.

    Args:
      images: an array or `Streamed`, [N, H, W, C].
      places_of: a step's places, integers of any shape; must be picklable where there are workers.
      start: the first step.
      stop: the step after the last.
      workers: how many processes read, where the source gains by it; how many threads, elsewhere.
        0 is two threads.

    Yields:
      [..., H, W, C], with the places' leading shape.

    Raises:
      UserError: from the source, naming the file, also where a worker process met it; or if a
        worker process was killed.
    """
    import grain

    reads = grain.MapDataset.range(start, stop).map(_Read(images, places_of))
    processes = workers > 0 and isinstance(images, Streamed) and images.source.processes
    if processes:
        _let_grain_start()
        # Through pipes, not shared memory, which is small in containers and outlives a killed run.
        pipes = grain.experimental.DatasetOptions(min_shm_size=2**62)
        ahead = grain.experimental.WithOptionsIterDataset(reads.to_iter_dataset(_ahead(1)), pipes)
        options = grain.multiprocessing.MultiprocessingOptions(
            num_workers=min(workers, max(1, stop - start)), per_worker_buffer_size=2
        )
        iterator = iter(ahead.mp_prefetch(options, worker_init_fn=_start_worker))
    else:
        iterator = iter(reads.to_iter_dataset(_ahead(workers or 2)))
    try:
        with _signals_held() if processes else contextlib.nullcontext():
            first = list(itertools.islice(iterator, 1))
        yield from first
        yield from iterator
    except RuntimeError as error:
        if "Worker process" not in str(error):
            raise
        raise UserError(
            f"a worker process that reads images ended by itself ({error})",
            "is memory short? dataset.workers=0 reads with threads",
        ) from error
    finally:
        iterator.close()


def _ahead(threads: int) -> Any:
    import grain

    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)


def _let_grain_start() -> None:
    # Grain asks a flag of its own, which raises where no command line has been parsed.
    from absl import flags

    name = "grain_enable_multiprocess_worker_profiling"
    if name in flags.FLAGS and not flags.FLAGS.is_parsed():
        flags.FLAGS[name].present = True


@dataclasses.dataclass(frozen=True)
class _Read:
    """A step's batch; a class, so that it can be pickled."""

    images: Any
    places_of: Callable[[int], np.ndarray]

    def __call__(self, step: int) -> np.ndarray:
        return self.images[self.places_of(step)]


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """SIGINT and SIGTERM wait for the end of the block; processes that are begun in it (grain does
    so for the first batch) hold them until they choose to ignore them."""
    # Begun now: multiprocessing lets the signals through again when it begins it for a process.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(index: int, count: int) -> None:
    del index, count
    # Ctrl-C, and many a SIGTERM, reaches every process of the group; it is the loop's to answer.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Else the workers of a killed run would wait for it for ever.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
