"""What the commands share: flags read, a mistake said in a line or two, and a signal's end."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from jaxgan.config import UserError

# Flags of several commands: two definitions could not live in one process.
WORKDIR = flags.DEFINE_string(
    "workdir", None, "The run's folder; for training the default is runs/<config>[-ARG]."
)
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint", None, ["best", "last"], "Which networks; sampling: best, evaluating: both."
)
SEED = flags.DEFINE_integer(
    "seed", None, "Sampling, walking: of the noise, 0. Evaluating: which of the run's seeds, all."
)
RUN_SEED = flags.DEFINE_integer("run_seed", None, "Which seed of a run of many.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data is now; default where it was.")
N = flags.DEFINE_integer("n", None, "How many images are drawn; sampling: 64, evaluating: 10,000.")


def complain(error: Any, status: int) -> int:
    """Says what is wrong on stderr and hands the exit status on."""
    print(f"jaxgan: {error}", file=sys.stderr, flush=True)
    return status


def end_at_signals() -> None:
    """From now on SIGINT (Ctrl-C) and SIGTERM end the process with one line and 128 + the signal.

    At once, as a kill would: a run's folder bears that at any moment. An exception would wait for
    the threads that decode images, and a library's callback may swallow it.
    """

    def end(number: int, frame: Any) -> None:
        # Not through sys.stderr: the signal may have come while it was being written to.
        os.write(2, f"jaxgan: {_ended_by(number)}\n".encode())
        os._exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def ended_by(number: int = signal.SIGINT) -> int:
    """Says which signal it was, and hands the exit status on."""
    return complain(_ended_by(number), 128 + number)


def _ended_by(number: int) -> str:
    return (
        f"ended by {signal.Signals(number).name}; called again, the same command starts or goes on"
    )


def parse_flags(argv: list[str], own: Sequence[flags.FlagHolder] = ()) -> list[str]:
    """absl's parsing, with a line in place of its pages; exits with 2 at a mistake.

    Args:
      argv: the command line.
      own: those of the shared flags that the command takes besides `--workdir`.
    """
    try:
        rest: list[str] = flags.FLAGS(argv)
    except (UserError, flags.Error) as error:  # A config file's get_config reads ARG in there.
        sys.exit(complain(error, 2))
    except SystemExit:  # absl's own end after a --help: with 1, as if that were a mistake.
        sys.exit(0)
    for holder in (CHECKPOINT, SEED, RUN_SEED, DATA_DIR, N):
        if holder.present and holder.name not in [one.name for one in own]:
            sys.exit(complain(f"--{holder.name}: this command has no such flag\n--help", 2))
    if len(rest) > 1:
        sys.exit(complain(f"unknown argument {rest[1]!r}\nflags begin with --", 2))
    return rest
