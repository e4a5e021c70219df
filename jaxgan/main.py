"""`python -m jaxgan.main --config=configs/infogan.py[:ARG] [--workdir=DIR] [--config.KEY=VALUE …]`

Trains a run, or continues it. `--config=infogan[:ARG]` is the same config from any folder. On
several hosts outside of a cluster, also give `--coordinator=HOST:PORT --processes=N --process=I`.
Exit status: 0 finished; 1 the losses are not finite, the disk or the memory is full, or another
process died or hangs; 2 an error in the arguments; 128 + n stopped by signal n (with a checkpoint,
if training had begun).
"""

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags
from ml_collections import config_flags

from jaxgan import cli
from jaxgan.cli import MODULES, WORKDIR, complain, config_argument
from jaxgan.common.errors import DISK_FULL, UserError
from jaxgan.common.large_pages import use_large_pages
from jaxgan.config import files as config_files

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "A config's name or file, followed by :ARG if there is one: infogan:mnist."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", "", "HOST:PORT of process 0, if several hosts are started by hand."
)
_PROCESSES = flags.DEFINE_integer("processes", 0, "Number of processes.")
_PROCESS = flags.DEFINE_integer("process", 0, "Index of this process, from 0.")
_HOST_TIMEOUT = flags.DEFINE_integer(
    "host_timeout",
    60,
    "Seconds after which the processes end if one does not answer: it hangs, or its network does.",
    lower_bound=1,
)


class _ConfigParser(flags.ArgumentParser):
    """Locates the config's file for the parser that reads it."""

    def __init__(self, reader: flags.ArgumentParser) -> None:
        self._reader = reader

    def parse(self, argument: str) -> Any:
        name, colon, arg = argument.partition(":")
        return self._reader.parse(f"{config_files.locate(name)}{colon}{arg}")


# DEFINE_config_file takes no parser.
flags.FLAGS["config"].parser = _ConfigParser(flags.FLAGS["config"].parser)


def main(argv: list[str]) -> int:
    """Trains as the flags say; returns the exit status."""
    del argv
    from jaxgan.reporting.recorder import NotFinite
    from jaxgan.train import train
    from jaxgan.training import distributed
    from jaxgan.training.heartbeat import REMEDY

    workdir = WORKDIR.value or default_workdir(config_argument(sys.argv))
    try:
        distributed.initialize(
            _COORDINATOR.value, _PROCESSES.value, _PROCESS.value, _HOST_TIMEOUT.value
        )
        return train(CONFIG.value, workdir, modules=cli.own_modules())
    except UserError as error:
        status = complain(cli.with_config_flags(error), error.status)
    except NotFinite as error:
        remedy = (
            "the checkpoints are kept; try lower learning rates in another --workdir, or more"
            " --config.rollbacks here"
        )
        status = complain(f"{error}\n{remedy}", 1)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        remedy = "free some, and the same command goes on from the last checkpoint"
        status = complain(f"{workdir}: {error.strerror}; {remedy}", 1)
    except (RuntimeError, ValueError, MemoryError) as error:
        if cli.is_memory_full(error):
            what = "the memory is full"
            remedy = "lower batch_size, width or seeds (jaxgan.plan says what a run needs)"
        elif distributed.is_peer_failure(error):
            distributed.mute_heartbeat()
            what, remedy = "another process has died, so this one ends too", REMEDY
        else:
            raise
        status = complain(f"{what}\n{remedy}", 1)
    except KeyboardInterrupt as stop:  # A second signal during training.
        status = cli.ended_by(*stop.args)
    return distributed.exit_process(status)


def default_workdir(argument: str) -> str:
    """runs/<config>[-ARG] for "<config>[:ARG]" and "configs/<config>.py[:ARG]"."""
    path, _, arg = argument.partition(":")
    name = os.path.splitext(os.path.basename(path))[0]
    # Orbax cannot read checkpoints under most of these (`checkpoint.check_path`).
    arg = re.sub(r"[/\\*?\[\]]", "_", arg).replace(" ", "")
    older = os.path.join("runs", f"{name}-{arg}")
    # A shell, or a program that is given a list of paths, may give these a meaning.
    arg = re.sub(r"[=:+,]", "-", arg)
    newer = os.path.join("runs", f"{name}-{arg}" if arg else name)
    return older if arg and os.path.isdir(older) else newer


def parse_flags(argv: list[str], own: Sequence[flags.FlagHolder] = (WORKDIR, MODULES)) -> list[str]:
    """As `cli.parse_flags`, after checks of the config, its keys and the hosts."""
    try:
        if not any(arg.lstrip("-") in ("help", "h", "helpfull", "helpshort") for arg in argv):
            cli.check_config_file(config_argument(argv))
            cli.check_values(argv)
            cli.check_hosts(argv)
    except UserError as error:
        sys.exit(complain(error, 2))
    return cli.parse_flags(argv, own)


if __name__ == "__main__":
    use_large_pages()
    cli.start_command()
    app.run(main, flags_parser=parse_flags)
