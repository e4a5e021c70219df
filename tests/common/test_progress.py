"""The progress line."""

import io
import re
import types

import pytest
from rich.console import Console

from jaxgan.common.progress import Progress, _terminal_bar


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_shows_the_step_and_the_time_left(width, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    bar = _terminal_bar("step", 12_000)
    bar.add_task("", total=12_000, completed=120, text="87 images/s  " + "loss 0.5  " * 20)
    console = Console(width=width, file=io.StringIO(), force_terminal=True)
    console.print(bar.get_renderable())
    (line,) = console.file.getvalue().splitlines()
    said = re.sub(r"\x1b\[[\d;?]*\w", "", line)
    assert "step   120/12000" in said
    assert "-:--:--" in said
    assert "87 images/s" in said
    assert len(said) <= width


def test_a_terminal_that_cannot_rewrite_a_line_has_no_bar(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert _terminal_bar("step", 100) is None


def test_plain_lines_where_there_is_no_terminal(capsys):
    progress = Progress(100, 0)
    progress.show(10, "first")
    progress.show(11, "too soon")
    progress.show(100, "last", force=True)
    progress.say("a word")
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["first", "last", "a word"]
    assert lines[0].startswith("step 10/100")


@pytest.fixture
def clock(monkeypatch):
    """The time that the progress reads; a test sets it."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr("jaxgan.common.progress.time", clock)
    clock.monotonic = lambda: clock.now
    return clock


def test_the_time_left_does_not_count_the_compilation(capsys, clock):
    progress = Progress(100, 0)
    clock.now = 60.0  # The first call, which compiles.
    progress.begin(0)
    clock.now = 70.0
    progress.show(10, "a step takes a second")
    assert capsys.readouterr().out.startswith("step 10/100  1:30 left")


def test_the_first_line_gives_no_time_left_where_nothing_has_been_timed(capsys, clock):
    progress = Progress(4, 0, unit="metric")
    for step, now in enumerate((50.0, 60.0, 65.0)):
        clock.now = now
        progress.show(step, "a metric")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["-:--", "0:30", "0:15"]
