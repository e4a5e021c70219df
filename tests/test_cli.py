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


def test_a_file_is_written_to_a_disk_only():
    done = run_python("-m", "jaxgan.sample", "--workdir=x", "--out=s3://bucket/x.png")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out=s3://bucket/x.png: a file is written to a disk" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_print_ends_a_command():
    """Neither letters that the terminal lacks, nor a pipe whose reader has gone."""
    done = run_python("-c", PRINTS, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "? caf?\n", "")
