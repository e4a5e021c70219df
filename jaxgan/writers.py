"""Where a run's words and numbers go: JSON lines, TensorBoard, the terminal."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np


def write_text(path: str, text: str) -> None:
    """Writes a text file, whole or not at all."""
    with open(path + ".part", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".part", path)


def write_json(path: str, value: Any) -> None:
    """Writes JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def _whole(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return line.endswith("\n")


class MetricsFile:
    """`metrics.jsonl`: one row for each (step, seed).

    Args:
      path: of the file; made where it is missing.
      after: rows after this step, and a torn last line, are cut on opening.
    """

    def __init__(self, path: str, after: int) -> None:
        self.path = path
        kept = []
        if os.path.exists(path):
            with open(path) as file:
                for line in file:
                    if not _whole(line) or json.loads(line)["step"] > after:
                        break
                    kept.append(line)
            write_text(path, "".join(kept))
        self._file = open(path, "a")

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()

    def sync(self) -> None:
        """Returns once every row is on disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read_rows(path: str) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.endswith("\n")]


class TensorBoard:
    """Event files for TensorBoard, through tensorboardX (no TensorFlow).

    Args:
      folder: of the event files.
      after: events after this step are hidden from here on.
      seeds: of the run; with several, each has its own group of curves.
    """

    def __init__(self, folder: str, after: int, seeds: Sequence[int]) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(folder, purge_step=after + 1)
        self._many = len(seeds) > 1

    def _tag(self, name: str, seed: int) -> str:
        return f"seed_{seed}/{name}" if self._many else name

    def row(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name not in ("step", "seed") and value is not None:
                self._writer.add_scalar(self._tag(name, row["seed"]), value, row["step"])

    def image(self, name: str, step: int, seed: int, sheet: np.ndarray) -> None:
        self._writer.add_image(self._tag(name, seed), sheet, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


class Progress:
    """A progress bar on a terminal, plain lines elsewhere.

    Args:
      steps: at the end of the run.
      start: steps already done.
      bar: False for plain lines even on a terminal.
    """

    def __init__(self, steps: int, start: int, bar: bool = True) -> None:
        self._steps, self._start, self._since = steps, start, time.monotonic()
        self._last_line = -1e9
        self._bar: Any = None
        if bar and sys.stdout.isatty():
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._bar = Progress(
                TextColumn("step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"),
            )
            self._task = self._bar.add_task("", total=steps, completed=start, text="compiling")
            self._bar.start()

    def show(self, step: int, text: str, force: bool = False) -> None:
        """Shows where the run stands; plain lines come at most every two seconds."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, text=text)
            return
        now = time.monotonic()
        if force or now - self._last_line >= 2:
            self._last_line = now
            left = (now - self._since) / max(step - self._start, 1) * (self._steps - step)
            print(f"step {step}/{self._steps}  {_duration(left)} left  {text}", flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            print(text, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class Silent:
    """In place of any writer in a process that writes nothing: whatever it is told, it is still."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *told, **named: None


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
