"""Signals that ask the training loop to stop after the current step."""

import signal
from typing import Any


class StopSignals:
    """Notes SIGINT and SIGTERM inside a `with` block instead of ending the process.

    Attributes:
      asked: the number of the first signal that came, or 0. A second one raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> "StopSignals":
        self._before = {
            name: signal.signal(name, self._note) for name in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt(number)
        self.asked = number

    def __exit__(self, *unused: Any) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
