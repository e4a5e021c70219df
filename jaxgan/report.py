"""`python -m jaxgan.report --workdir=DIR [--workdir=DIR …] [--out=FILE]`

Writes a self-contained page on one run, report.html in its folder, or on several side by side,
compare.html in the first one's folder; or to `--out`. Training and evaluation write report.html
too. Exit status: 0; 1 the disk is full; 2 an error in the arguments.
"""

import argparse
import contextlib
import os
import sys
from typing import NoReturn

import jax

from jaxgan.cli import required_workdir, run_command, start_command
from jaxgan.common import buckets
from jaxgan.common.errors import UserError, file_errors
from jaxgan.reporting.html.report import may_replace, write_report
from jaxgan.training import jax_setup, run_files


class _Parser(argparse.ArgumentParser):
    """Raises UserError for errors. Not absl: its --workdir, shared by commands, is one value."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, "flags are --workdir=DIR (once or more) and --out=FILE")


def main(argv: list[str]) -> int:
    """Writes the page that the flags describe; returns the exit status."""

    def command() -> None:
        flags = _flags(argv)
        with contextlib.ExitStack() as stack:
            copies = [stack.enter_context(buckets.adding_copy(one)) for one in flags.workdir]
            _configure_jax(copies)
            path = report(copies, flags.out)
            print(f"{os.path.getsize(path) / 1e6:.1f} MB: {path}")

    return run_command(command, "the report is as it was")


def _configure_jax(workdirs: list[str]) -> None:
    # An accelerator may be held by the training of this very run, and is not needed here.
    jax.config.update("jax_platforms", "cpu")
    about = [run_files.read_info(workdir) or {"config": {}} for workdir in workdirs]
    in_float64 = any(one["config"].get("dtype") == "float64" for one in about)
    jax_setup.configure_jax("float64" if in_float64 else "float32")


def report(workdirs: list[str], out: str | None) -> str:
    """Writes the page and returns its path; UserError if there is nothing to show, or it cannot be
    written."""
    required_workdir(workdirs)
    if out is not None and os.path.splitext(out)[1].lower() not in (".html", ".htm"):
        raise UserError(f"--out={out}: a report ends in .html", "give another --out")
    with file_errors(out or workdirs[0], "--out names another file"):
        if out is not None and not may_replace(out):
            raise UserError(f"--out={out}: exists, and is no report", "give another --out")
        return write_report(workdirs, out)


def _flags(argv: list[str]) -> argparse.Namespace:
    expand = os.path.expanduser
    parser = _Parser("python -m jaxgan.report", allow_abbrev=False)
    parser.add_argument(
        "--workdir", action="append", default=[], type=expand, help="A run's folder; may repeat."
    )
    parser.add_argument(
        "--out", type=expand, help="The page; default report.html, of several runs compare.html."
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    start_command()
    sys.exit(main(sys.argv[1:]))
