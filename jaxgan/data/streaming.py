"""Images that are read when a batch needs them, and batches read ahead of the training loop."""

import atexit
import contextlib
import dataclasses
import math
import multiprocessing
import pickle
import queue
import signal
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any, Protocol

import numpy as np

from jaxgan.common.errors import ProcessDied, UserError
from jaxgan.common.stop_signals import stopping_signals

# Datasets of more bytes are streamed, unless dataset.streamed=no.
MAX_RESIDENT_BYTES = 2 * 2**30


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


def too_large(shape: tuple[int, ...]) -> bool:
    """Whether uint8 images of this shape exceed `MAX_RESIDENT_BYTES`."""
    return math.prod(shape) > MAX_RESIDENT_BYTES


def wanted(streamed: str, shape: tuple[int, ...]) -> bool:
    """Whether to stream a dataset of this shape, (N, H, W, C) with N over all splits. `streamed` is
    the key dataset.streamed; "auto" streams datasets above `MAX_RESIDENT_BYTES`."""
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
      UserError: from the source, also in a worker process.
      ProcessDied: if a worker process was killed.
    """
    read = _Read(images, indices_of)
    if workers > 0 and isinstance(images, Streamed) and images.source.processes:
        with contextlib.closing(_Workers(read, workers)) as read_elsewhere:
            yield from _read_ahead(read_elsewhere, start, stop, workers)
    else:
        yield from _read_ahead(read, start, stop, workers or 2)


def _read_ahead(
    read: Callable[[int], np.ndarray], start: int, stop: int, threads: int
) -> Iterator[np.ndarray]:
    """read(step) for each step, called from that many threads."""
    import grain

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    reads = grain.MapDataset.range(start, stop).map(read).to_iter_dataset(options)
    with contextlib.closing(iter(reads)) as iterator:
        yield from iterator


@dataclasses.dataclass(frozen=True)
class _Read:
    """Reads a step's batch; a class, so that it can be pickled."""

    images: Any
    indices_of: Callable[[int], np.ndarray]

    def __call__(self, step: int) -> np.ndarray:
        return self.images[self.indices_of(step)]


class _Workers:
    """Calls `read` in worker processes: `count` threads may call it at once, each in its own.

    Each process has a connection whose other end no other process holds, so that its death is an
    end of file here. With grain's `mp_prefetch`, whose queues stay open, the training loop waited
    for ever for the rest of a batch.

    Args:
      read: step -> batch; picklable.
      count: number of processes, each started when it is first needed.
    """

    def __init__(self, read: Callable[[int], np.ndarray], count: int) -> None:
        self._read = read
        self._processes: list[Any] = []
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)
        # Before the processes: starting this tracker along with the first would unblock signals.
        resource_tracker.ensure_running()
        # At exit Python terminates the processes and waits for them, but they ignore its SIGTERM.
        atexit.register(self.close)

    def __call__(self, step: int) -> np.ndarray:
        """Reads a batch; raises UserError from the source, and ProcessDied."""
        worker = self._free.get()
        try:
            worker = worker or self._start()
            process, connection = worker
            return _ask(process, connection, step)
        finally:
            self._free.put(worker)

    def _start(self) -> tuple[Any, Any]:
        """Starts a process; returns it and this end of its connection."""
        context = multiprocessing.get_context("spawn")
        connection, theirs = context.Pipe()
        process = context.Process(target=_answer, args=(self._read, theirs), daemon=True)
        with _block_signals():
            process.start()
        theirs.close()
        self._processes.append(process)
        return process, connection

    def close(self) -> None:
        """Ends the processes; they only read, so nothing is lost."""
        atexit.unregister(self.close)
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()


def _ask(process: Any, connection: Any, step: int) -> np.ndarray:
    """Lets a worker process read the batch of a step."""
    try:
        # As connection.send(step), whose error keeps a view of a BytesIO. Python 3.13 complains of
        # one when it is collected.
        connection.send_bytes(pickle.dumps(step))
        answer = connection.recv()
    except (EOFError, OSError) as error:
        process.join()
        status = process.exitcode
        how = f"exit code {status}" if status >= 0 else signal.Signals(-status).name
        raise ProcessDied(
            f"a worker process that reads images died ({how})",
            "the same command goes on; if memory is short, with --config.dataset.workers=0",
        ) from error
    if isinstance(answer, UserError):
        raise answer
    return answer


@contextlib.contextmanager
def _block_signals() -> Iterator[None]:
    """Blocks signals that stop a run in this thread, and in a process that it starts in this
    context, until `_answer` ignores them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(read: Callable[[int], np.ndarray], connection: Any) -> None:
    """A worker process: answers each step with its batch until the main process closes the
    connection or is killed."""
    # They often reach every process of the group; only the main one handles them.
    for number in stopping_signals():
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            step = connection.recv()
            try:
                answer: Any = read(step)
            except UserError as error:
                answer = error
            connection.send(answer)
