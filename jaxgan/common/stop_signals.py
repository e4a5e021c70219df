"""Signals that stop the training loop after the current step, or a command at once."""

import signal
import threading
from typing import Any


def stopping_signals() -> list[signal.Signals]:
    """SIGINT (Ctrl-C), SIGTERM, SIGHUP (a lost terminal), and SIGUSR1, by which Slurm announces the
    end of a job. nohup ignores SIGHUP, and that remains so."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return numbers if ignored else [*numbers, signal.SIGHUP]


class StopSignals:
    """Records `stopping_signals` inside a `with` block instead of ending the process. Only the main
    thread can handle signals: in others it records none.

    Attributes:
      asked: number of the first signal received, or 0. A second one raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> "StopSignals":
        main = threading.current_thread() is threading.main_thread()
        numbers = stopping_signals() if main else []
        self._before = {number: signal.signal(number, self._record) for number in numbers}
        return self

    def _record(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt(number)
        self.asked = number

    def __exit__(self, *unused: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
