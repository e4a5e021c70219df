"""`python -m jaxgan.main --config=configs/infogan.py[:ARG] [--workdir=DIR] [--config.KEY=VALUE …]`

Trains a run, or goes on with it. Several hosts that no cluster joins take besides
`--coordinator=HOST:PORT --processes=N --process=I`. Exit status: 0 finished; 1 the losses ceased to
be finite, the disk is full, or another process was lost; 2 a mistake in what was asked for; 128 + n
stopped by signal n, and saved if it had begun to step.
"""

import errno
import os
import sys

from absl import app, flags
from ml_collections import config_flags

from jaxgan import cli
from jaxgan.cli import (
    WORKDIR,
    check_config_file,
    check_hosts,
    check_values,
    complain,
    config_argument,
)
from jaxgan.common.errors import UserError

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The config file, and after a colon its ARG."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "HOST:PORT of process 0, where several hosts are started by hand."
)
_PROCESSES = flags.DEFINE_integer("processes", 0, "How many processes there are.")
_PROCESS = flags.DEFINE_integer("process", 0, "The number of this process, from 0.")


def main(argv: list[str]) -> int:
    """Runs the training that the flags ask for; returns the exit status."""
    del argv
    from jaxgan.reporting.recorder import NotFinite
    from jaxgan.train import train
    from jaxgan.training import distributed

    workdir = WORKDIR.value or default_workdir(config_argument(sys.argv))
    try:
        distributed.initialize(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        return train(_CONFIG.value, workdir)
    except UserError as error:
        return distributed.exit_process(complain(error, 2))
    except NotFinite as error:
        what = (
            "what was saved before stays; try lower learning rates in another --workdir, or more"
            " --config.rollbacks here"
        )
        return distributed.exit_process(complain(f"{error}\n{what}", 1))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        what = "free some, and the same command goes on from the last checkpoint"
        return distributed.exit_process(complain(f"{workdir}: {error.strerror}; {what}", 1))
    except (RuntimeError, ValueError) as error:
        if not distributed.is_peer_failure(error):
            raise
        what = "another process is gone, and this one ends with it"
        again = "the same command on every host goes on from the last checkpoint"
        return distributed.exit_process(complain(f"{what}\n{again}", 1))
    except KeyboardInterrupt as stop:  # The second signal, in the loop.
        return distributed.exit_process(cli.ended_by(*stop.args))


def default_workdir(argument: str) -> str:
    """runs/<config>[-ARG] for "configs/<config>.py[:ARG]"."""
    path, _, arg = argument.partition(":")
    name = os.path.splitext(os.path.basename(path))[0]
    arg = arg.replace("/", "_").replace(" ", "")
    return os.path.join("runs", f"{name}-{arg}" if arg else name)


def parse_flags(argv: list[str]) -> list[str]:
    """absl's parsing, with a line or two in place of its tracebacks."""
    try:
        if not any(arg.lstrip("-") in ("help", "h", "helpfull", "helpshort") for arg in argv):
            check_config_file(config_argument(argv))
            check_values(argv)
            check_hosts(argv)
    except UserError as error:
        sys.exit(complain(error, 2))
    return cli.parse_flags(argv)


if __name__ == "__main__":
    cli.end_at_signals()
    app.run(main, flags_parser=parse_flags)
