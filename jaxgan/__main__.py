"""`jaxgan COMMAND [FLAGS]`, also `python -m jaxgan COMMAND [FLAGS]`: every command under one name.

`jaxgan train …` is `python -m jaxgan.main …`, and any other COMMAND `python -m jaxgan.COMMAND …`.
Exit status: the command's; 2 if there is no such command.
"""

import difflib
import runpy
import sys

from jaxgan import cli
from jaxgan.common.version import VERSION

# Each command's module, and what it does.
COMMANDS = {
    "train": ("main", "train a run, or continue it"),
    "sample": ("sample", "generate images by a trained run"),
    "evaluate": ("evaluate", "measure a trained run by every metric that applies"),
    "walk": ("walk", "interpolate between the noise of a trained run's images"),
    "report": ("report", "write a page on one run, or on several side by side"),
    "export": ("export", "write a trained generator for programs without jaxgan"),
    "plan": ("plan", "say what a run needs on devices that need not be there"),
}


def main() -> int:
    """Runs the command that the command line names; returns the exit status."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        del sys.argv[1]
        # Just as `python -m` would run it, so that the run records a command that starts it again.
        runpy.run_module(f"jaxgan.{COMMANDS[name][0]}", run_name="__main__", alter_sys=True)
        return 0
    cli.start_command()
    if name in ("--help", "-h", "help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"jaxgan {VERSION}")
        return 0
    what = f"unknown command {name!r}" if name else "the command is missing"
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    remedy = f"did you mean {close[0]}?" if close else f"there are: {', '.join(COMMANDS)}"
    return cli.complain(f"{what}; {remedy}", 2)


def _help() -> str:
    lines = [f"  {name:10}{what}" for name, (_, what) in COMMANDS.items()]
    usage = "usage: jaxgan COMMAND [FLAGS]; jaxgan COMMAND --help lists a command's flags"
    return "\n".join([usage, "", *lines])


if __name__ == "__main__":
    sys.exit(main())
