"""What the commands share: flags read, a mistake said in a line or two, and a signal's end."""

import ast
import itertools
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from absl import flags

import jaxgan.config as config_lib
from jaxgan.common.errors import UserError
from jaxgan.config import keys

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


def check_config_file(argument: str) -> None:
    """Raises UserError if --config names no Python file with a `get_config`."""
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


def check_values(argv: list[str]) -> None:
    """Raises UserError if a --config.KEY is unknown, or its value is not of the key's type."""
    parsers = {bool: flags.BooleanParser, int: flags.IntegerParser, float: flags.FloatParser}
    for flag, value in _given(argv):
        path = flag.removeprefix("config.")
        if path == flag:
            continue
        if path not in keys.KEYS:
            raise UserError(f"config: unknown key {path}", config_lib.nearest(path))
        kind = type(keys.KEYS[path].default)
        if value is None or kind not in parsers:
            continue
        try:
            parsers[kind]().parse(value)
        except (ValueError, TypeError):
            raise config_lib.not_of_its_kind(path, value) from None


def check_hosts(argv: list[str]) -> None:
    """Raises UserError if --coordinator, --processes and --process do not fit together."""
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


def config_argument(argv: list[str]) -> str:
    """The value of --config; UserError if it is given twice."""
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
