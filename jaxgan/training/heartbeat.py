"""Ends this process when another one is silent: it is stopped, or its network is lost. JAX would do
so too, but by an abort with a page of output that names no process."""

import contextlib
import os
import threading
import time
from typing import Any, NoReturn

import jax

REMEDY = "the same command on every host goes on from the last checkpoint"
# Beats without an answer after which a process counts as silent.
_BEATS = 30
_FOLDER = "jaxgan/heartbeat/"
# Stands for a beat when a process leaves: it is not silent.
_LEFT = "left"


class Heartbeat:
    """Increments this process's counter in a key-value store that all processes share, and watches
    the counters of the others.

    A thread does so, so that a long compilation, evaluation or checkpoint is not taken for silence.

    Args:
      store: JAX's key-value store; process 0 holds it.
      process: index of this process.
      processes: number of processes.
      timeout: seconds of silence after which this process ends.
    """

    def __init__(self, store: Any, process: int, processes: int, timeout: int) -> None:
        self._store, self._process, self._processes = store, process, processes
        self._timeout, self._period = timeout, timeout / _BEATS
        self._unanswered, self._failed = 0, False
        self._leaving, self._left = threading.Event(), threading.Event()
        # Taken for good by the thread that ends this process.
        self._ending = threading.RLock()
        self._beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Starts to count and to watch the other processes."""
        self._beating.start()
        threading.Thread(target=self._await_answers, name="heartbeat-store", daemon=True).start()

    def stop(self, patience: float | None = None, failed: bool = False) -> None:
        """Stops watching the other processes, and tells them that this one leaves. After a failure
        it only falls silent: the others may wait for it in a collective that never ends, and end by
        the same timeout. Waits at most `patience` seconds for process 0, by default until it is
        silent."""
        self._failed = failed
        self._leaving.set()
        self._beating.join(patience)
        self.mute()

    def mute(self) -> None:
        """Keeps this heartbeat from reporting; does not return if it is ending the process."""
        self._ending.acquire()

    def _beat(self) -> None:
        others = [_key(other) for other in range(self._processes) if other != self._process]
        silence, beat = Silence(others), 0
        while self._sleep(self._leaving):
            beat += 1
            counts = self._exchange(str(beat))
            silent = [] if counts is None else silence.read(counts)
            if silent:
                names = ", ".join(key.removeprefix(_FOLDER) for key in silent)
                self._end_because_of(names)
        if not self._failed:
            self._exchange(_LEFT)
        self._left.set()

    def _exchange(self, count: str) -> dict[str, str] | None:
        """Writes this process's count; returns all counts, or None if process 0 cannot be asked."""
        try:
            self._store.key_value_set(_key(self._process), count, allow_overwrite=True)
            counts = dict(self._store.key_value_dir_get(_FOLDER))
        except jax.errors.JaxRuntimeError:
            return None
        self._unanswered = 0
        return counts

    def _await_answers(self) -> None:
        """In a thread of its own, because asking a process 0 that is silent does not return."""
        while self._sleep(self._left):
            self._unanswered += 1
            if self._unanswered > _BEATS:
                self._end_because_of("0")

    def _sleep(self, until: threading.Event) -> bool:
        """Waits for the next beat; returns False if `until` is set."""
        before = time.monotonic()
        ended = until.wait(self._period)
        seconds = time.monotonic() - before
        if seconds > self._timeout:
            self._end(f"this process stood still for {seconds:.0f} s, so the others have ended")
        return not ended

    def _end_because_of(self, silent: str) -> NoReturn:
        # The others come to the same conclusion. If this process ended before, they would name it
        # instead; and without process 0, which holds the store, JAX would abort them.
        pause = 2 * self._period + (0 if self._process else 2) if self._processes > 2 else 0
        what = f"no answer from process {silent} for {self._timeout} s, so this one ends too"
        self._end(what, pause)

    def _end(self, what: str, pause: float = 0) -> NoReturn:
        self._ending.acquire()
        # JAX's own messages about the same failure are discarded.
        stderr = os.dup(2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with contextlib.suppress(OSError):  # The terminal may be gone.
            os.write(stderr, f"jaxgan: {what}\n{REMEDY}\n".encode())
        if pause:
            time.sleep(pause)
        os._exit(1)


class Silence:
    """Finds the processes that have stopped counting.

    Their silence is measured in readings, not in seconds: a process that was stopped for a while
    does not blame the others.

    Args:
      others: their keys in the store.
    """

    def __init__(self, others: list[str]) -> None:
        self._seen, self._missed = dict.fromkeys(others, ""), dict.fromkeys(others, 0)

    def read(self, counts: dict[str, str]) -> list[str]:
        """Takes a reading of the store; returns the keys of those that are silent."""
        for other, seen in self._seen.items():
            count = counts.get(other, "")
            alive = count != seen or count == _LEFT
            self._missed[other] = 0 if alive else self._missed[other] + 1
            self._seen[other] = count
        return [other for other, missed in self._missed.items() if missed >= _BEATS]


def _key(process: int) -> str:
    return f"{_FOLDER}{process}"
