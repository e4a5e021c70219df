"""What a notebook's cell shows; the notebooks in examples/ run in a real kernel."""

import sys
import types

import pytest

from jaxgan.common.notebook import print_wide
from jaxgan.common.progress import Progress


@pytest.fixture
def shown(monkeypatch):
    """A kernel's outputs, in the order in which they were written."""
    outputs = []

    def display(data, raw, display_id=False):
        assert raw
        outputs.append(data)
        place = len(outputs) - 1

        def update(data, raw):
            outputs[place] = data

        return types.SimpleNamespace(update=update) if display_id else None

    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    ipython.display = types.SimpleNamespace(display=display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    return outputs


def test_the_bar_and_the_losses_have_a_line_each(shown):
    Progress(4, 0).show(4, "generator .7")
    ((line, losses),) = (output["text/plain"].splitlines() for output in shown)
    assert line.endswith("4/4  0:00 left")
    assert losses == "generator .7"


def test_a_wide_text_is_not_wrapped(shown, capsys):
    print_wide("a < b")
    assert capsys.readouterr().out == ""
    (output,) = shown
    assert output["text/plain"] == "a < b"
    assert "white-space: pre;" in output["text/html"]
    assert "a &lt; b" in output["text/html"]


def test_a_terminal_has_the_text_alone(capsys):
    print_wide("a < b")
    assert capsys.readouterr().out == "a < b\n"
