"""Shared by the commands: flags, errors in one or two lines, exit statuses, signals."""

import ast
import contextlib
import importlib
import io
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags

import jaxgan.config as config_lib
from jaxgan.common.errors import DISK_FULL, UserError
from jaxgan.common.stop_signals import stopping_signals
from jaxgan.config import files as config_files
from jaxgan.config import keys
from jaxgan.training import run_files

_DATA_DIR_KEY = re.compile(r"(?<![\w.-])(--config\.)?dataset\.data_dir\b")
_DOTTED = re.compile(r"(?<![\w./-])[a-z]+\.[a-z_]+\b")


class _PathParser(flags.ArgumentParser):
    """Expands ~, which shells leave alone after an equals sign."""

    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)


class _LocalPathParser(_PathParser):
    """Refuses a bucket, of which a folder named `s3:` would be made."""

    def parse(self, argument: str) -> str:
        if "://" in argument:
            raise ValueError("a file is written to a disk; without --out, it goes into the run")
        return super().parse(argument)


def define_path(name: str, help: str, local: bool = False) -> flags.FlagHolder:
    """Defines a flag whose value is a path, or a `local` one."""
    return flags.DEFINE(_LocalPathParser() if local else _PathParser(), name, None, help)


# Defined once: two commands imported in one process could not both define a flag.
WORKDIR = define_path(
    "workdir", "The run's folder; for training the default is runs/<config>[-ARG]."
)
CHECKPOINT = flags.DEFINE_enum(
    "checkpoint",
    None,
    run_files.CHECKPOINTS,
    "Which networks; default best, in evaluation all. raw: the last ones without moving averages.",
)
SEED = flags.DEFINE_integer(
    "seed",
    None,
    "sample and walk: the seed of the noise, default 0 (--run_seed names one of the run's seeds)."
    " evaluate and export: one of the run's seeds, default all of them, or the chosen one.",
)
RUN_SEED = flags.DEFINE_integer(
    "run_seed",
    None,
    "Which of the run's seeds draws; default the one that the run chose, or the first.",
)
DATA_DIR = define_path("data_dir", "Where the data is, if it has moved.")
OUT = define_path(
    "out",
    "Where to write; default a free name in the workdir: sampled.png, sampled_2.png, …, or export.",
    local=True,
)
MODULES = flags.DEFINE_string(
    "modules",
    None,
    "MODULE:NAME of networks of your own: a jaxgan.models.registry.Modules, or a function without"
    " arguments that returns one.",
)
N = flags.DEFINE_integer("n", None, "Number of images; default 64, in evaluation 10,000.")


def run_command(
    command: Callable[[], None],
    disk_full: str = "free some and try again",
    has_config: bool = False,
) -> int:
    """Runs a command; returns its exit status: 0, 1 if the memory or the disk is full (the message
    then ends in `disk_full`), or that of a UserError. Where an error names a key of the config, the
    line names the command's flag for it: --data_dir, or any of them if the command `has_config`."""
    try:
        command()
    except UserError as error:
        text = _DATA_DIR_KEY.sub("--data_dir", str(error))
        return complain(with_config_flags(error) if has_config else text, error.status)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return complain(f"{error.strerror}; {disk_full}", 1)
    except (RuntimeError, MemoryError) as error:
        if not is_memory_full(error):
            raise
        return complain("the memory is full\nask for fewer images", 1)
    return 0


def is_memory_full(error: Exception) -> bool:
    """Whether a device or the host had no memory left."""
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def with_config_flags(error: UserError) -> str:
    """The error's text, in which a key such as dataset.data_dir is the flag that sets it."""

    def flag(match: re.Match[str]) -> str:
        return f"--config.{match[0]}" if match[0] in keys.KEYS else match[0]

    return _DOTTED.sub(flag, str(error))


def required_workdir(workdir: Any) -> Any:
    """The value of --workdir; UserError if it was not given."""
    if not workdir:
        raise UserError("--workdir is missing", "it names a run's folder, under runs/")
    return workdir


def own_modules() -> Any:
    """The networks that --modules names, or None without it.

    Raises:
      UserError: if there is no such module or name in it, or it holds something else.
    """
    if not MODULES.value:
        return None
    from jaxgan.models.registry import Modules

    what = f"--modules={MODULES.value}"
    module, _, name = MODULES.value.partition(":")
    module = module.removesuffix(".py")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise UserError(f"{what}: not MODULE:NAME", "such as --modules=my_networks:modules")
    sys.path.insert(0, os.getcwd())  # Where `python -m` looks too.
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UserError(
            f"{what}: no module {module}", f"is {module.partition('.')[0]}.py in this folder?"
        ) from None
    found = getattr(imported, name, None)
    if found is None:
        where = getattr(imported, "__file__", None) or "Python's own module"
        raise UserError(f"{what}: no {name} in {where}")
    if callable(found):
        found = found()
    if not isinstance(found, Modules):
        raise UserError(f"{what}: it is neither a Modules nor a function that returns one")
    return found


def complain(error: Any, status: int) -> int:
    """Prints an error on stderr; returns `status`."""
    print(f"jaxgan: {error}", file=sys.stderr, flush=True)
    return status


class _Output(io.FileIO):
    """A standard stream that never raises, so that no print ends a run: the reader of a pipe may
    have gone (`| head -1`), or a log's disk may be full."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def start_command() -> None:
    """Prepares the process of a command.

    Prints never fail: what a terminal's encoding lacks becomes a question mark. Signals that stop a
    run end the process at once, with a line and status 128 + n: an exception would wait for the
    threads that decode images, and a library's callback may swallow it. A run's folder stays valid
    whenever the process dies.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None:
            raw = _Output(stream.fileno(), "w", closefd=False)
            lines = name == "stderr" or raw.isatty()
            # Of `python -u` nothing is buffered.
            buffer: Any = raw if stream.write_through else io.BufferedWriter(raw)
            options = {"line_buffering": lines, "write_through": stream.write_through}
            text = io.TextIOWrapper(buffer, stream.encoding, "replace", **options)
            setattr(sys, name, text)

    def end(number: int, frame: Any) -> None:
        # Not through sys.stderr: the signal may interrupt a write to it.
        with contextlib.suppress(OSError):
            os.write(2, f"jaxgan: {_ended_by(number)}\n".encode())
        os._exit(128 + number)

    for number in stopping_signals():
        signal.signal(number, end)


def ended_by(number: int = signal.SIGINT) -> int:
    """Prints which signal ended the process; returns the exit status."""
    return complain(_ended_by(number), 128 + number)


def _ended_by(number: int) -> str:
    return f"ended by {signal.Signals(number).name}; the same command starts again or goes on"


def parse_flags(argv: list[str], own: Sequence[flags.FlagHolder]) -> list[str]:
    """absl's parsing, with errors in one or two lines and exit status 2.

    Args:
      argv: the command line.
      own: the flags of other modules that the command has; --help lists them with its own.
    """
    for holder in own:
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[holder.name])
    try:
        rest: list[str] = flags.FLAGS(argv)
    except (UserError, flags.Error) as error:  # UserError: from a config file's get_config(ARG).
        sys.exit(complain(error, 2))
    except SystemExit:  # absl exits with 1 after --help.
        sys.exit(0)
    for holder in (WORKDIR, MODULES, CHECKPOINT, SEED, RUN_SEED, DATA_DIR, OUT, N):
        if holder.present and holder.name not in [flag.name for flag in own]:
            sys.exit(complain(f"--{holder.name}: this command has no such flag\n--help", 2))
    if len(rest) > 1:
        sys.exit(complain(f"unknown argument {rest[1]!r}\nflags begin with --", 2))
    return rest


def check_config_file(argument: str) -> None:
    """Raises UserError if --config names no config: a Python file with a `get_config`."""
    if not argument:
        raise UserError("--config is missing", "such as --config=configs/infogan.py")
    path = config_files.locate(argument.partition(":")[0])
    if not os.path.isfile(path):
        names = ", ".join(config_files.known_names())
        raise UserError(f"--config={argument}: no file {path}; there are: {names}")
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())  # Bytes: the file names its encoding, else it is UTF-8.
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is not Python: {error}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})", "make it readable") from None
    if not any(getattr(node, "name", "") == "get_config" for node in tree.body):
        raise UserError(f"{path} has no get_config(arg)", "see configs/infogan.py")


def check_values(argv: list[str]) -> None:
    """Raises UserError if a --config.KEY is unknown, or its value does not have the key's type; or
    if a flag is a KEY without --config."""
    parsers = {bool: flags.BooleanParser, int: flags.IntegerParser, float: flags.FloatParser}
    for flag, value in _flags_and_values(argv):
        if flag in keys.KEYS:
            meant = f"--config.{flag}" if value is None else f"--config.{flag}={value}"
            raise UserError(f"unknown flag --{flag}", f"did you mean {meant}?")
        if not flag.startswith("config."):
            continue
        path = flag.removeprefix("config.")
        if path not in keys.KEYS:
            raise UserError(f"config: unknown key {path}", config_lib.nearest(path))
        kind = type(keys.KEYS[path].default)
        if value is None or kind not in parsers:
            continue
        try:
            parsers[kind]().parse(value)
        except (ValueError, TypeError):
            raise config_lib.wrong_type(path, value) from None


def check_hosts(argv: list[str]) -> None:
    """Raises UserError if --coordinator, --processes and --process are not consistent."""
    names = ("coordinator", "processes", "process")
    given = {name: value or "" for name, value in _flags_and_values(argv) if name in names}
    missing = [f"--{name}" for name in names if name not in given]
    if len(missing) == len(names):
        return
    if missing:
        raise UserError(
            f"{' and '.join(missing)} missing: several hosts started by hand need all three",
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
        allowed = f"with --processes={processes} it is from 0 to {processes - 1}"
        raise UserError(f"--process={given['process']}: {allowed}")


def config_argument(argv: list[str]) -> str:
    """The value of --config; UserError if it is given twice."""
    given = [value or "" for flag, value in _flags_and_values(argv) if flag == "config"]
    if len(given) > 1:
        raise UserError(f"--config is given twice: {given[0]} and {given[1]}", "give one of them")
    return given[0] if given else ""


def _flags_and_values(argv: list[str]) -> Iterator[tuple[str, str | None]]:
    """The flags' names and values, from --flag=value or --flag value; None for a flag alone."""
    for arg, following in itertools.pairwise([*argv[1:], "-"]):
        name, equals, value = arg.lstrip("-").partition("=")
        if arg.startswith("-"):
            yield name, value if equals else None if following.startswith("-") else following
