"""Plots of a report: matplotlib's SVG, made to stand in a page that is light or dark."""

import io
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from jaxgan.reporting.figures import (
    COLOURS,
    DASHES,
    Curve,
    CurveGroup,
    draw_curves,
    group_curves,
    mean_curve,
    read_curve,
)
from jaxgan.reporting.html.run_data import Run
from jaxgan.reporting.html.tables import number

_SETTINGS: Any = {
    "svg.fonttype": "none",  # Text stays text.
    "svg.hashsalt": "jaxgan",  # The same input gives the same ids.
    "text.parse_math": False,
    "font.size": 9,
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class LegendEntry(NamedTuple):
    """A curve's colour (a CSS value), its dashes (as SVG has them), its label, and its last mean
    with the seeds' range."""

    colour: str
    dashes: str
    label: str
    last: str


class Plot(NamedTuple):
    """A plot: whether it is shown unfolded, its title, its legend and its SVG."""

    main: bool
    title: str
    legend: list[LegendEntry]
    svg: Markup


def plots(runs: Sequence[Run]) -> list[Plot]:
    """The plots of one run by `group_curves`; of several runs a plot for each metric, with a curve
    for each run."""
    if len(runs) == 1:
        rows = runs[0].rows
        groups = group_curves(rows, str(runs[0].config.get("loss")))
        drawn = [
            (group, [read_curve(rows, name, _label(name)) for name in group.names])
            for group in groups
        ]
    else:
        main = {
            name: group.main or name.startswith("loss/")
            for run in runs
            for group in group_curves(run.rows, "")
            for name in group.names
        }
        drawn = [
            (CurveGroup(name, [name], main[name]), [read_curve(x.rows, name, x.name) for x in runs])
            for name in sorted(main, key=lambda name: (not name.startswith("loss/"), name))
        ]
    return [_plot(group, curves, f"plot{i}-") for i, (group, curves) in enumerate(drawn)]


def _label(name: str) -> str:
    return name.partition("/")[2].replace("_", " ")


def _plot(group: CurveGroup, curves: list[Curve], prefix: str) -> Plot:
    title = group.title.replace("_", " ")
    legend = [
        LegendEntry(
            _css_colour(i), " ".join(map(str, DASHES[i % len(DASHES)])), curve.label, _last(curve)
        )
        for i, curve in enumerate(curves)
        if curve.seeds
    ]
    return Plot(group.main, title, legend, svg(curves, prefix, title))


def _css_colour(i: int) -> str:
    return f"var(--curve-{i % len(COLOURS)})"


def _last(curve: Curve) -> str:
    point = mean_curve(curve)[-1]
    if len(curve.seeds) == 1:
        return number(point.value)
    return f"{number(point.value)} ({number(point.low)} to {number(point.high)})"


def svg(curves: Sequence[Curve], prefix: str, title: str) -> Markup:
    """Draws curves over the steps.

    Args:
      curves: at least one of them has a seed.
      prefix: begins every id, so that those of several figures in a page differ.
      title: of the plot, for readers who cannot see it.

    Returns:
      An `<svg>` whose colours are CSS variables; the same bytes for the same input.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    file = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure((5, 2.2), layout="constrained")
        axes = figure.subplots()
        draw_curves(axes, curves)
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        figure.savefig(file, format="svg", transparent=True, metadata=_NO_METADATA)
    steps = [step for curve in curves for points in curve.seeds for step, _ in points]
    label = escape(f"{title}, steps {min(steps):,} to {max(steps):,}; last values in the legend")
    return Markup(_for_page(file.getvalue(), prefix, label))


def _for_page(drawn: str, prefix: str, label: str) -> str:
    """Makes a file of matplotlib's part of an HTML page."""
    drawn = drawn[drawn.index("<svg") :]
    # This style would apply to the whole page; page.css has it for plots.
    drawn = re.sub(r"<style.*?</style>", "", drawn, flags=re.DOTALL)
    view = re.search(r'viewBox="[^"]*"', drawn)
    assert view is not None
    # The page gives the width.
    head = f'<svg {view[0]} role="img" aria-label="{label}">'
    drawn = head + drawn[drawn.index(">") + 1 :]
    # Attributes, because the page's policy allows no inline style; page.css sets the font.
    drawn = re.sub(r' style="([^"]*)"', lambda match: _attributes(match[1]), drawn)
    drawn = re.sub(r'\bid="', f'id="{prefix}', drawn)
    drawn = re.sub(r"\burl\(#", f"url(#{prefix}", drawn)
    drawn = drawn.replace('xlink:href="#', f'href="#{prefix}')
    # A hundredth of a point is not seen; the labels, between tags, keep their digits.
    drawn = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), drawn)
    for i, colour in enumerate(COLOURS):
        drawn = drawn.replace(colour.lower(), _css_colour(i))
    return drawn.replace("#e6e6e6", "var(--rule)")


def _attributes(style: str) -> str:
    pairs = (pair.split(": ") for pair in style.split("; ") if not pair.startswith("font"))
    return "".join(f' {name}="{value}"' for name, value in pairs)
