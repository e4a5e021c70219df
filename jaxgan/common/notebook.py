"""Output in a notebook's cell, which can be rewritten and can be wider than the cell."""

import html
import sys
from typing import Any

# Lines that scroll, in the letters and at the margin of a cell's printed output.
_WIDE = "white-space: pre; overflow-x: auto; margin: 0; padding: 0 .5em; font-size: 13px"


def rewritable_output(text: str) -> Any:
    """An output of the running cell that shows `text` and can be updated; None outside of a
    notebook."""
    if not in_notebook():
        return None
    return _display({"text/plain": text}, display_id=True)


def print_wide(text: str) -> None:
    """Prints a text with long lines, such as a table. A notebook would wrap them; there the reader
    can scroll."""
    if not in_notebook():
        print(text, flush=True)
        return
    _display({"text/plain": text, "text/html": f'<pre style="{_WIDE}">{html.escape(text)}</pre>'})


def in_notebook() -> bool:
    """Whether the process is a notebook's kernel."""
    # A process that has not imported IPython is not one.
    ipython: Any = sys.modules.get("IPython")
    shell = getattr(ipython, "get_ipython", lambda: None)()
    return shell is not None and "IPKernelApp" in shell.config


def _display(data: dict[str, str], **options: Any) -> Any:
    ipython: Any = sys.modules["IPython"]
    return ipython.display.display(data, raw=True, **options)
