"""HTML and SVG as strings. Whatever a run says of itself passes through `text` or an attribute."""

import html
from typing import Any


def text(value: Any) -> str:
    """The value as text of a page: what it holds is no markup any more."""
    return html.escape(_written(value), quote=False)


def tag(name: str, /, *content: str, **attributes: Any) -> str:
    """An element.

    Args:
      name: of the element.
      *content: markup, from `tag` or `text`.
      **attributes: escaped here. `class_` is class, `data_step` is data-step; True is an attribute
        without a value, None and False are none.
    """
    given = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{html.escape(_written(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in ("img", "input", "meta"):
        return f"<{name}{given}>"
    return f"<{name}{given}>{''.join(content)}</{name}>"


def _written(value: Any) -> str:
    # The name of a file may be no UTF-8, which Python holds as half of a pair.
    return str(value).encode(errors="replace").decode()


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def number(value: float) -> str:
    """A figure with four decimals; a whole number with its thousands apart."""
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and (abs(value) < 5e-4 or abs(value) >= 1e6):
        return f"{value:.3g}"
    return f"{value:,.4f}"


def table(
    head: list[str], rows: list[list[str]], *, names: list[str] | None = None, **attributes: Any
) -> str:
    """A table whose first cells are the headings of its rows; it scrolls in itself where it is
    wider than the page.

    Args:
      head: markup of the columns' headings.
      rows: markup of the cells.
      names: of the columns, told with each cell where the page is narrow.
      **attributes: of the table.
    """
    columns = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    lines = [
        tag(
            "tr",
            tag("th", row[0], scope="row"),
            *(
                tag("td", tag("span", cell), data_name=names[i]) if names else tag("td", cell)
                for i, cell in enumerate(row[1:], 1)
            ),
        )
        for row in rows
    ]
    whole = tag("table", tag("thead", columns), tag("tbody", *lines), **attributes)
    return tag("div", whole, class_="wide", tabindex=0, role="group", aria_label="table")
