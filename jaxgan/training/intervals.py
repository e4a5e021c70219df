"""How many steps a call runs, and when rows, sheets and checkpoints are due."""

import time

import jax
from ml_collections import ConfigDict

from jaxgan.training import distributed

# The host takes some milliseconds for each call, which a call of this length hides; a signal still
# stops the run soon.
CALL_SECONDS = 0.2
# The most calls whose metrics stay on the devices before they are fetched.
MOST_WAITING = 16
# On an accelerator sheets and checkpoints would otherwise take longer than the steps between them.
_ACCELERATOR_SECONDS = 10.0


def steps_to_next_cut(config: ConfigDict, step: int, limit: int) -> int:
    """How many steps, at most `limit`, one call can run before the networks are needed."""
    every = (config.sample_every, config.eval_every, config.checkpoint_every)
    return min(limit, config.steps - step, *(n - step % n for n in every))


def rows_due(config: ConfigDict, after: int, last: int) -> list[int]:
    """The steps after `after`, up to `last`, whose metrics become rows."""
    return [
        step
        for step in range(after + 1, last + 1)
        if step % config.log_every == 0 or step % config.eval_every == 0 or step == config.steps
    ]


def next_limit(seconds: float, limit: int, most: int) -> int:
    """The limit on the steps of the next call.

    Args:
      seconds: the measured time of a step; the call should take `CALL_SECONDS`.
      limit: the limit on this call; it at most doubles.
      most: the limit is never larger.

    Returns:
      The largest limit that any process has found.
    """
    wanted = min(max(int(CALL_SECONDS / seconds), 1), 2 * limit, most)
    return distributed.all_max(wanted)


class Spacing:
    """The least time between two sheets, or two checkpoints.

    Args:
      seconds: that time; 0 for none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, -float("inf")

    def due(self) -> bool:
        """Returns True, and restarts the clock, if that time has passed since it last returned
        True. The result is the same in every process, and every one must call it."""
        if self._seconds == 0:
            return True
        now = time.monotonic()
        if not distributed.all_max(now - self._last >= self._seconds):
            return False
        self._last = now
        return True


def spacings(config: ConfigDict) -> tuple[Spacing, Spacing]:
    """That of sheets and that of checkpoints; a run that may roll back saves every checkpoint."""
    default = 0.0 if jax.default_backend() == "cpu" else _ACCELERATOR_SECONDS
    sheets, saves = (
        default if seconds < 0 else seconds
        for seconds in (config.sample_seconds, config.checkpoint_seconds)
    )
    return Spacing(sheets), Spacing(0.0 if config.rollbacks else saves)
