"""Writes and reads metrics.jsonl, and writes TensorBoard's event files."""

import itertools
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class MetricsFile:
    """Writes `metrics.jsonl`: one row for each (step, seed), and one for each rollback of a seed.

    Args:
      path: the file, which is created if it is missing.
      after: rows after this step and a torn last line are cut when the file is opened; in place,
        because a full disk has no space for a copy.
      attempts: the number of times that each seed had been rolled back by that step; rows of later
        rollbacks are cut.
    """

    def __init__(self, path: str, after: int, attempts: Mapping[int, int] | None = None) -> None:
        self.path, attempts = path, attempts or {}

        def stays(line: bytes) -> bool:
            try:
                row = json.loads(line)
            except ValueError:
                return False
            later = row["step"] > after or row.get("attempt", 0) > attempts.get(row["seed"], 0)
            return line.endswith(b"\n") and not later

        with open(path, "ab+") as file:
            file.seek(0)
            size = sum(len(line) for line in itertools.takewhile(stays, file))
            file.truncate(size)
        self._file = open(path, "a")

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Returns once every row is on disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


class Metrics(NamedTuple):
    """The lines of a `metrics.jsonl`: rows of metrics, rollbacks, the number of damaged lines."""

    rows: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]
    damaged: int = 0


def read_metrics(path: str) -> Metrics:
    """Reads a `metrics.jsonl`, whose last line may be torn.

    Raises:
      OSError: if the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    rollbacks: list[dict[str, Any]] = []
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().split("\n")[:-1]
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and all(isinstance(row.get(x), int) for x in ("step", "seed")):
            (rollbacks if "rolled_back" in row else rows).append(row)
    return Metrics(rows, rollbacks, len(lines) - len(rows) - len(rollbacks))


class TensorBoard:
    """Writes event files for TensorBoard, through tensorboardX (no TensorFlow).

    Args:
      folder: the folder of the event files.
      after: TensorBoard hides the earlier events after this step.
      seeds: the run's seeds; if there are several, each has its own group of curves.
    """

    def __init__(self, folder: str, after: int, seeds: Sequence[int]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        os.makedirs(folder, exist_ok=True)
        # SummaryWriter writes in a thread: a full disk ends the thread, and the run would wait for
        # it forever. The nanoseconds distinguish two files of one second.
        self._file = EventsWriter(os.path.join(folder, "events"), f".{time.time_ns()}")
        self._event(after + 1, session_log=SessionLog(status=SessionLog.START))
        self._many = len(seeds) > 1
        self.flush()

    def _event(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        self._file.write_event(Event(step=step, wall_time=time.time(), **content))

    def _tag(self, name: str, seed: int) -> str:
        return f"seed_{seed}/{name}" if self._many else name

    def row(self, row: Mapping[str, Any]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=self._tag(name, row["seed"]), simple_value=value)
            for name, value in row.items()
            if name not in ("step", "seed") and value is not None
        ]
        # One event for all of them: sixteen take four to five times as long.
        self._event(row["step"], summary=Summary(value=values))
        if time.monotonic() - self._flushed > 30:
            self.flush()

    def image(self, name: str, step: int, seed: int, sheet: np.ndarray) -> None:
        from tensorboardX.summary import image

        summary = image(self._tag(name, seed), sheet, dataformats="HWC")
        self._event(step, summary=summary)

    def flush(self) -> None:
        """Returns once everything is on disk, where a running TensorBoard reads it."""
        self._flushed = time.monotonic()
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class NullWriter:
    """A writer whose methods do nothing, for processes that do not write."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None
