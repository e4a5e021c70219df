"""The progress line on a terminal, or plain lines elsewhere."""

import sys
import time
from typing import Any


class Progress:
    """A progress bar on a terminal, plain lines elsewhere.

    Args:
      steps: at the end of the run.
      start: steps already done.
      bar: False for plain lines even on a terminal.
      unit: what a step is called.
    """

    def __init__(self, steps: int, start: int, bar: bool = True, unit: str = "step") -> None:
        self._steps, self._start, self._since = steps, start, time.monotonic()
        self._unit = unit
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
                TextColumn(unit),
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
            print(f"{self._unit} {step}/{self._steps}  {_duration(left)} left  {text}", flush=True)

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


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
