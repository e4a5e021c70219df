"""What the commands share."""

from conftest import run_python

PRINTS = r"""
import os
from jaxgan import cli
cli.start_command()
print("\xb1", "caf\udce9", flush=True)
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
print("nobody reads this", flush=True)
"""


def test_no_print_ends_a_command():
    """Neither letters that the terminal lacks, nor a pipe whose reader has gone."""
    done = run_python("-c", PRINTS, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "? caf?\n", "")
