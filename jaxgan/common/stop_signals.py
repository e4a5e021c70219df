"""SIGINT and SIGTERM stop the training loop after the current step."""

import signal
from typing import Any


class StopSignals:
    """Records SIGINT and SIGTERM inside a `with` block instead of ending the process.

    Attributes:
      asked: number of the first signal received, or 0. A second one raises KeyboardInterrupt.
    """

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> "StopSignals":
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._record) for number in numbers}
        return self

    def _record(self, number: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt(number)
        self.asked = number

    def __exit__(self, *unused: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
