"""Progress of a run, on a terminal, in a notebook or in a log."""

import sys
import time
from typing import Any

from jaxgan.common.notebook import rewritable_output

# Cells of a notebook's bar.
_CELLS = 24


class Progress:
    """A progress bar on a terminal or in a notebook, plain lines elsewhere.

    Args:
      steps: number of steps at the end of the run.
      start: number of steps already done.
      bar: False for plain lines everywhere.
      unit: name of a step.
    """

    def __init__(self, steps: int, start: int, bar: bool = True, unit: str = "step") -> None:
        self._steps = steps
        # The step and the time from which the time left is estimated.
        self._began: tuple[int, float] | None = None
        self._unit = unit
        self._last_line = -1e9
        self._bar: Any = None
        # The output of a notebook's cell that is rewritten.
        self._output = rewritable_output("compiling") if bar else None
        if bar and self._output is None and sys.stdout.isatty():
            self._bar = _terminal_bar(unit, steps)
        if self._bar is not None:
            self._task = self._bar.add_task("", total=steps, completed=start, text="compiling")
            self._bar.start()

    def show(self, step: int, text: str, force: bool = False) -> None:
        """Shows the current step; plain lines are at least two seconds apart unless forced."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step, text=text)
            return
        now = time.monotonic()
        if self._output is not None:
            done = round(_CELLS * step / self._steps)
            drawn = "█" * done + "░" * (_CELLS - done)
            # Two lines, because a cell is narrower than a terminal.
            lines = f"{self._unit} {drawn} {self._place(now, step)}\n{text}"
            self._output.update({"text/plain": lines}, raw=True)
            return
        if force or now - self._last_line >= 2:
            self._last_line = now
            print(f"{self._unit} {self._place(now, step)}  {text}", flush=True)

    def begin(self, step: int) -> None:
        """Starts the clock of the estimated time left at `step`, so that what is done once, such as
        compiling, does not count. By default the first `show` starts it. (Rich's bar has its own
        clock.)"""
        self._began = step, time.monotonic()

    def _place(self, now: float, step: int) -> str:
        if self._began is None:
            self._began = step, now
        first, began = self._began
        left = "-:--"
        if step > first or step >= self._steps:
            left = _duration((now - began) / max(step - first, 1) * (self._steps - step))
        return f"{step}/{self._steps}  {left} left"

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


def _terminal_bar(unit: str, steps: int) -> Any:
    """A bar of one line at any width: only the text at its end is cut. None on a terminal that
    cannot rewrite a line."""
    from rich import console, progress
    from rich.table import Column

    if console.Console().is_dumb_terminal:
        return None
    place = 2 * len(str(steps)) + 1
    return progress.Progress(
        progress.TextColumn(unit, table_column=Column(no_wrap=True, min_width=len(unit))),
        progress.MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=place)),
        progress.BarColumn(bar_width=12),
        progress.TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        progress.TextColumn(
            "{task.fields[text]}",
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
        expand=True,
    )


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
