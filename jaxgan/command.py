"""What the commands share: flags read, and a mistake said in a line or two."""

import sys
from typing import Any

from absl import flags

from jaxgan.config import UserError


def complain(error: Any, status: int) -> int:
    """Says what is wrong on stderr and hands the exit status on."""
    print(f"jaxgan: {error}", file=sys.stderr, flush=True)
    return status


def parse_flags(argv: list[str]) -> list[str]:
    """absl's parsing, with a line in place of its pages; exits with 2 at a mistake."""
    try:
        rest: list[str] = flags.FLAGS(argv)
    except (UserError, flags.Error) as error:  # A config file's get_config reads ARG in there.
        sys.exit(complain(error, 2))
    if len(rest) > 1:
        sys.exit(complain(f"unknown argument {rest[1]!r}\nflags begin with --", 2))
    return rest
