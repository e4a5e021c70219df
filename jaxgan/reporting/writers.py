"""Writes metrics.jsonl, and TensorBoard's event files."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxgan.common.files import no_follow
from jaxgan.training import run_files


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

        def later(row: Mapping[str, Any]) -> bool:
            return row["step"] > after or row.get("attempt", 0) > attempts.get(row["seed"], 0)

        size, end = 0, 0  # Of the rows that stay, and of what was read.
        with open(path, "ab+", opener=no_follow) as file:
            file.seek(0)
            for line in file:
                row = run_files.read_row(line)
                if row is not None and later(row):
                    break
                end += len(line)
                # A damaged line stays if a row follows; a torn last one does not.
                if row is not None and line.endswith(b"\n"):
                    size = end
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
