"""Mistakes of the user, and errors of files that are such mistakes."""

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

# An OSError with one of these numbers reaches the command, which then exits with status 1.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """A mistake of the user: the commands print it, without a traceback, and exit with `status`.

    Args:
      what: the mistake in one line, naming the thing that is wrong.
      remedy: what to do about it, one line. Both are made `printable`.
    """

    status = 2

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__("\n".join(map(printable, filter(None, (what, remedy)))))
        self.what, self.remedy = what, remedy

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.what, self.remedy)


def printable(text: str) -> str:
    """The text with everything that a terminal would not show as itself escaped: control characters
    and line breaks in names of files, and bytes that are not UTF-8."""

    def escaped(letter: str) -> str:
        if 0xDC80 <= ord(letter) <= 0xDCFF:  # Python's form of a byte that is not UTF-8.
            return f"\\x{ord(letter) - 0xDC00:02x}"
        return letter if letter.isprintable() else letter.encode("unicode_escape").decode()

    return "".join(map(escaped, text))


class ProcessDied(UserError):
    """A process that this one needs has died."""

    status = 1


@contextlib.contextmanager
def file_errors(path: str, remedy: str = "") -> Iterator[None]:
    """Turns an OSError into a UserError that names the file, or else `path`, unless the disk is
    full."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        what = f"{error.filename or path}: {error.strerror or error}"
        raise UserError(what, remedy) from error
