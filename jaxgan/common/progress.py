"""Progress of a run, on a terminal or in a log."""

import sys
import time
from typing import Any


class Progress:
    """A progress bar on a terminal, plain lines elsewhere.

    Args:
      steps: number of steps at the end of the run.
      start: number of steps already done.
      bar: False for plain lines even on a terminal.
      unit: name of a step.
    """

    def __init__(self, steps: int, start: int, bar: bool = True, unit: str = "step") -> None:
        self._steps, self._start, self._began = steps, start, time.monotonic()
        self._unit = unit
        self._last_line = -1e9
        self._bar: Any = None
        if bar and sys.stdout.isatty():
            from rich import progress

            self._bar = progress.Progress(
                progress.TextColumn(unit),
                progress.MofNCompleteColumn(),
                progress.BarColumn(bar_width=24),
                progress.TimeRemainingColumn(),
                progress.TextColumn("{task.fields[text]}"),
            )
            self._task = self._bar.add_task("", total=steps, completed=start, text="compiling")
            self._bar.start()

    def show(self, step: int, text: str, force: bool = False) -> None:
        """Shows the current step; plain lines are at least two seconds apart unless forced."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, text=text)
            return
        now = time.monotonic()
        if force or now - self._last_line >= 2:
            self._last_line = now
            left = (now - self._began) / max(step - self._start, 1) * (self._steps - step)
            print(f"{self._unit} {step}/{self._steps}  {_duration(left)} left  {text}", flush=True)

    def say(self, text: str) -> None:
        """Prints a line above the progress bar."""
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
