"""Images that are read when a batch needs them, and batches read ahead of the training loop."""

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
from jaxgan.common.stop_signals import stopping_signals

# Larger datasets are streamed unless dataset.streamed=no.
MOST_RESIDENT = 2 * 2**30


class Source(Protocol):
    """Reads the images of one source by index; safe to call from several threads.

    `processes` says whether worker processes pay off: they do where reading is slow and pickling
    the source is fast.
    """

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""

    @property
    def dtype(self) -> Any: ...

    @property
    def processes(self) -> bool: ...

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Reads images, [n, H, W, C], by index, int [n]; raises UserError naming the file."""

    def fingerprint(self) -> str:
        """Identifies the source's content without reading it all."""


class Streamed:
    """Some images of a source in some order, read on access; behaves like an array [N, H, W, C].

    Args:
      source: reads the images.
      indices: indices in the source, int64 [N]; None selects all.
    """

    def __init__(self, source: Source, indices: np.ndarray | None = None) -> None:
        self.source = source
        self._indices = np.arange(source.shape[0]) if indices is None else indices

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        return len(self._indices), *self.source.shape[1:]

    @property
    def dtype(self) -> Any:
        return np.dtype(self.source.dtype)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Reads images [..., H, W, C] into memory; `key` is a NumPy index along the first axis."""
        indices = np.asarray(self._indices[key])
        images = self.source.read(indices.reshape(-1))
        return images.reshape(*indices.shape, *self.source.shape[1:])

    def take(self, indices: np.ndarray | slice) -> "Streamed":
        """Selects images without reading them."""
        return Streamed(self.source, self._indices[indices])

    def fingerprint(self) -> str:
        """Identifies the source and the number of selected images."""
        return f"{self.source.fingerprint()} {len(self)} images"


@dataclasses.dataclass(frozen=True)
class Concatenated:
    """The images of several splits, one after the other, as one source."""

    parts: tuple[Streamed, ...]
    processes: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return sum(map(len, self.parts)), *self.parts[0].shape[1:]

    @property
    def dtype(self) -> Any:
        return self.parts[0].dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        images, start = np.empty((len(indices), *self.shape[1:]), self.dtype), 0
        for part in self.parts:
            of_part = (indices >= start) & (indices < start + len(part))
            images[of_part] = part[indices[of_part] - start]
            start += len(part)
        return images

    def fingerprint(self) -> str:
        return " and ".join(part.fingerprint() for part in self.parts)


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """A source in memory, for comparing streamed training with resident training."""

    array: np.ndarray
    processes: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        n, height, width, channels = self.array.shape
        return n, height, width, channels

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    def read(self, indices: np.ndarray) -> np.ndarray:
        return self.array[indices]

    def fingerprint(self) -> str:
        return f"array {self.array.shape}"


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether uint8 images of this shape exceed `MOST_RESIDENT` bytes."""
    return math.prod(shape) > MOST_RESIDENT


def wanted(streamed: str, shape: tuple[int, ...]) -> bool:
    """Whether to stream a dataset of this shape, (N, H, W, C) with N over all splits. `streamed` is
    the key dataset.streamed; "auto" streams datasets above `MOST_RESIDENT` bytes."""
    return streamed == "yes" or (streamed == "auto" and too_large(shape))


def batches(
    images: Any, indices_of: Callable[[int], np.ndarray], start: int, stop: int, workers: int = 0
) -> Iterator[np.ndarray]:
    """Reads images[indices_of(step)] ahead, for each step from `start` to `stop`.

    The number of workers does not change the batches. Exhaust or `close()` the iterator to end its
    threads or processes.

    Args:
      images: array or `Streamed`, [N, H, W, C].
      indices_of: step -> int [...]; must be picklable for worker processes.
      start, stop: first step, and the step after the last.
      workers: number of processes if the source gains by them, else of threads; 0 is two threads.

    Yields:
      Images [..., H, W, C].

    Raises:
      UserError: from the source, also in a worker process; or if a worker process was killed.
    """
    import grain

    def ahead(threads: int) -> Any:
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        return reads.to_iter_dataset(options)

    reads = grain.MapDataset.range(start, stop).map(_Read(images, indices_of))
    processes = workers > 0 and isinstance(images, Streamed) and images.source.processes
    if processes:
        _let_grain_start()
        # Pipes, because shared memory is small in containers and outlives a killed run.
        pipes = grain.experimental.DatasetOptions(min_shm_size=2**62)
        examples = grain.experimental.WithOptionsIterDataset(ahead(1), pipes)
        options = grain.multiprocessing.MultiprocessingOptions(
            num_workers=min(workers, max(1, stop - start)), per_worker_buffer_size=2
        )
        iterator = iter(examples.mp_prefetch(options, worker_init_fn=_start_worker))
    else:
        iterator = iter(ahead(workers or 2))
    try:
        with _block_signals() if processes else contextlib.nullcontext():
            first = list(itertools.islice(iterator, 1))
        yield from first
        yield from iterator
    except RuntimeError as error:
        if "Worker process" not in str(error):
            raise
        raise UserError(
            f"a worker process that reads images died ({error})",
            "if memory is short, read with threads: dataset.workers=0",
        ) from error
    finally:
        iterator.close()


def _let_grain_start() -> None:
    # Grain reads one of its absl flags, which raises if no command line has been parsed.
    from absl import flags

    name = "grain_enable_multiprocess_worker_profiling"
    if name in flags.FLAGS and not flags.FLAGS.is_parsed():
        flags.FLAGS[name].present = True


@dataclasses.dataclass(frozen=True)
class _Read:
    """Reads a step's batch; a class, so that it can be pickled."""

    images: Any
    indices_of: Callable[[int], np.ndarray]

    def __call__(self, step: int) -> np.ndarray:
        return self.images[self.indices_of(step)]


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Blocks signals that stop a run, also in the processes that grain starts in this context (for
    the first batch), until `_start_worker` ignores them."""
    # Before the workers: starting this tracker along with the first would unblock the signals.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(index: int, count: int) -> None:
    del index, count
    # They often reach every process of the group; only the main one handles them.
    for number in stopping_signals():
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # Otherwise the workers of a killed run would never end.
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
