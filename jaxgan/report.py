"""`python -m jaxgan.report --workdir=DIR [--workdir=DIR …] [--out=FILE]`

Writes report.html, one file that shows a run, or several side by side, and asks no network for
anything. It lies in the first run's folder unless `--out` names another place. Training and
evaluating write it, too. Exit status: 0; 1 the disk is full; 2 a mistake in what was asked for.
"""

import argparse
import errno
import os
import sys
from typing import NoReturn

from jaxgan.cli import complain, end_at_signals
from jaxgan.common.errors import UserError
from jaxgan.reporting.html.report import write_report


class _Parser(argparse.ArgumentParser):
    """Says a mistake in a line. Not absl's flags: theirs has one --workdir in a process."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, "flags are --workdir=DIR (once or more) and --out=FILE")


def main(argv: list[str]) -> int:
    """Writes the page that the flags ask for; returns the exit status."""
    try:
        flags = _flags(argv)
        path = report(flags.workdir, flags.out)
    except UserError as error:
        return complain(error, 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return complain(f"{error.strerror}; the report is as it was", 1)
    print(f"{os.path.getsize(path) / 1e6:.1f} MB: {path}")
    return 0


def report(workdirs: list[str], out: str | None) -> str:
    """Writes the page, and hands its path on.

    Raises:
      UserError: if there is nothing to show, or the page cannot be written there.
    """
    if not workdirs:
        raise UserError("--workdir is missing", "it names a run's folder, under runs/")
    if out is not None and os.path.splitext(out)[1].lower() not in (".html", ".htm"):
        raise UserError(f"--out={out}: a report ends in .html", "give another --out")
    try:
        return write_report(workdirs, out)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = error.filename or out or workdirs[0]
        raise UserError(f"{where}: {error.strerror}", "--out names another file") from error


def _flags(argv: list[str]) -> argparse.Namespace:
    parser = _Parser("python -m jaxgan.report", allow_abbrev=False)
    parser.add_argument("--workdir", action="append", default=[], help="A run's folder.")
    parser.add_argument("--out", help="The file; default report.html in the first folder.")
    return parser.parse_args(argv)


if __name__ == "__main__":
    end_at_signals()
    sys.exit(main(sys.argv[1:]))
