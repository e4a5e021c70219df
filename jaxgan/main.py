"""`python -m jaxgan.main --config=configs/infogan.py[:ARG] [--workdir=DIR] [--config.KEY=VALUE …]`

Trains a run, or goes on with it. Several hosts that no cluster joins take besides
`--coordinator=HOST:PORT --processes=N --process=I`. Exit status: 0 finished; 1 the losses ceased to
be finite, the disk is full, or another process was lost; 2 a mistake in what was asked for; 128 + n
stopped by signal n, and saved if it had begun to step.
"""

import ast
import errno
import itertools
import os
import sys
from collections.abc import Iterator

from absl import app, flags
from ml_collections import config_flags

from jaxgan import command
from jaxgan import config as config_lib
from jaxgan.command import WORKDIR, complain
from jaxgan.config import UserError

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
    from jaxgan import hosts
    from jaxgan.record import NotFinite
    from jaxgan.train import train

    workdir = WORKDIR.value or default_workdir(_config_argument(sys.argv))
    try:
        hosts.join(_COORDINATOR.value, _PROCESSES.value, _PROCESS.value)
        return train(_CONFIG.value, workdir)
    except UserError as error:
        return hosts.leave(complain(error, 2))
    except NotFinite as error:
        what = (
            "what was saved before stays; try lower learning rates in another --workdir, or more"
            " --config.rollbacks here"
        )
        return hosts.leave(complain(f"{error}\n{what}", 1))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        what = "free some, and the same command goes on from the last checkpoint"
        return hosts.leave(complain(f"{workdir}: {error.strerror}; {what}", 1))
    except (RuntimeError, ValueError) as error:
        if not hosts.lost_another(error):
            raise
        what = "another process is gone, and this one ends with it"
        again = "the same command on every host goes on from the last checkpoint"
        return hosts.leave(complain(f"{what}\n{again}", 1))
    except KeyboardInterrupt as stop:  # The second signal, in the loop.
        return hosts.leave(command.ended_by(*stop.args))


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
            _check_config_file(_config_argument(argv))
            _check_values(argv)
            _check_hosts(argv)
    except UserError as error:
        sys.exit(complain(error, 2))
    return command.parse_flags(argv)


def _check_config_file(argument: str) -> None:
    path = argument.partition(":")[0]
    if not argument:
        raise UserError("--config is missing", "such as --config=configs/infogan.py")
    if not os.path.isfile(path):
        raise UserError(f"--config={argument}: no file {path}", _known_configs(path))
    try:
        with open(path) as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is not Python: {error}") from None
    if not any(getattr(node, "name", "") == "get_config" for node in tree.body):
        raise UserError(f"{path} has no get_config(arg)", "see configs/infogan.py")


def _check_values(argv: list[str]) -> None:
    parsers = {bool: flags.BooleanParser, int: flags.IntegerParser, float: flags.FloatParser}
    for flag, value in _given(argv):
        path = flag.removeprefix("config.")
        if path == flag:
            continue
        if path not in config_lib.KEYS:
            raise UserError(f"config: unknown key {path}", config_lib.nearest(path))
        kind = type(config_lib.KEYS[path].default)
        if value is None or kind not in parsers:
            continue
        try:
            parsers[kind]().parse(value)
        except (ValueError, TypeError):
            raise config_lib.not_of_its_kind(path, value) from None


def _check_hosts(argv: list[str]) -> None:
    names = ("coordinator", "processes", "process")
    given = {name: value or "" for name, value in _given(argv) if name in names}
    if not given:
        return
    missing = [f"--{name}" for name in names if name not in given]
    if missing:
        raise UserError(
            f"{' and '.join(missing)} missing: a start by hand on several hosts wants all three",
            "--coordinator=HOST:PORT --processes=N --process=I",
        )
    host, _, port = given["coordinator"].rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"--coordinator={given['coordinator']}: not HOST:PORT")
    for name in names[1:]:
        if not given[name].isdecimal():
            raise UserError(f"--{name}={given[name]}: not a whole number")
    processes = int(given["processes"])
    if not 0 <= int(given["process"]) < processes:
        raise UserError(
            f"--process={given['process']}: with --processes={processes} it is from 0 to"
            f" {processes - 1}"
        )


def _config_argument(argv: list[str]) -> str:
    given = [value or "" for flag, value in _given(argv) if flag == "config"]
    if len(given) > 1:
        raise UserError(f"--config is given twice: {given[0]} and {given[1]}", "give one of them")
    return given[0] if given else ""


def _given(argv: list[str]) -> Iterator[tuple[str, str | None]]:
    """The flags' names and values; the value of --flag is what follows, unless that is a flag."""
    for arg, following in itertools.pairwise([*argv[1:], "-"]):
        name, equals, value = arg.lstrip("-").partition("=")
        if arg.startswith("-"):
            yield name, value if equals else None if following.startswith("-") else following


def _known_configs(path: str) -> str:
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        folder = "configs"
    if not os.path.isdir(folder):
        return ""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".py"))
    return "there are: " + ", ".join(os.path.join(folder, name) for name in names) if names else ""


if __name__ == "__main__":
    command.end_at_signals()
    app.run(main, flags_parser=parse_flags)
