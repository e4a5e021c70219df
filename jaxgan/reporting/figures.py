"""Curves of a run's metrics, drawn with matplotlib: `curves.png` and the plots of the report."""

import logging
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]
Points = list[tuple[int, float]]

# Colours that colour-blind readers can distinguish (Okabe and Ito), and dashes for grey prints.
COLOURS = (
    "#000000", "#009E73", "#D55E00", "#0072B2", "#CC79A7", "#E69F00", "#56B4E9", "#999999",
)  # fmt: skip
DASHES = ((), (5, 2), (2, 2), (7, 2, 2, 2), (9, 3), (1, 2), (5, 2, 1, 2), (3, 1))
# Maximum number of points of a mean curve: each averages several steps, because batches are noisy.
_MEAN_POINTS = 50
# Maximum number of points of the seeds' curves, in a plot and in a curve.
_PLOT_POINTS, _CURVE_POINTS = 4000, 240
_PLAYERS = ("discriminator", "discriminator_real", "discriminator_fake", "generator")
_ADVERSARIAL = tuple(f"loss/{name}" for name in _PLAYERS)

# Where matplotlib is new it lists the fonts, logs that, and warns if it takes over 5 s. In commands
# absl shows what is logged.
_FONTS_LOG = logging.getLogger("matplotlib.font_manager")
_FONTS_LOG.setLevel(logging.WARNING)
_FONTS_LOG.addFilter(lambda record: "building the font cache" not in record.getMessage())


class CurveGroup(NamedTuple):
    """Metrics that share a pair of axes; the report collapses groups that are not `main`."""

    title: str
    names: list[str]
    main: bool


class Curve(NamedTuple):
    """A metric over the steps: its label, and each seed's (step, value) pairs."""

    label: str
    seeds: list[Points]


class MeanPoint(NamedTuple):
    """A point of a mean curve: the mean over some steps and all seeds, and the lowest and the
    highest of the seeds' means."""

    step: float
    value: float
    low: float
    high: float


def group_curves(rows: Sequence[Row], loss: str) -> list[CurveGroup]:
    """Groups the metrics to draw: the adversarial losses, the information term, each evaluated
    metric alone, and the others by their prefix.

    Args:
      rows: the rows of `metrics.jsonl`.
      loss: the config's `loss`, which determines the unit.
    """
    from jaxgan.losses.adversarial import ADVERSARIAL  # Loads JAX.

    unit = ADVERSARIAL[loss].unit if loss in ADVERSARIAL else ""
    names = sorted({x for row in rows for x, value in row.items() if "/" in x and _is_drawn(value)})
    information = [x for x in names if x == "loss/information" or x.startswith("loss/code_")]
    known = {*_ADVERSARIAL, *information}
    if len(information) == 2:  # The term of a single code is that code's loss, weighted.
        information.remove("loss/code_0")
    groups = {
        ", ".join(filter(None, ["losses", unit])): [x for x in _ADVERSARIAL if x in names],
        "information term": sorted(information, key=lambda x: (x != "loss/information", x)),
        **{x.removeprefix("eval/"): [x] for x in names if x.startswith("eval/")},
    }
    other: dict[str, list[str]] = {}
    for name in names:
        if name not in known and not name.startswith("eval/"):
            other.setdefault(f"other {name.partition('/')[0]}", []).append(name)
    return [CurveGroup(title, group, True) for title, group in groups.items() if group] + [
        CurveGroup(title, group, False) for title, group in other.items()
    ]


def read_curve(rows: Sequence[Row], name: str, label: str) -> Curve:
    """The finite values of a metric, for each seed that has some."""
    by_seed: dict[int, Points] = {}
    for row in rows:
        if _is_drawn(row.get(name)):
            by_seed.setdefault(row["seed"], []).append((row["step"], row[name]))
    return Curve(label, [points for _, points in sorted(by_seed.items())])


def _is_drawn(value: Any) -> bool:
    # Beyond 1e100 the limits of the axes would overflow.
    return isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e100


def mean_curve(curve: Curve) -> list[MeanPoint]:
    """The mean over the seeds and over fiftieths of the run; `curve` has at least one seed."""
    steps = sorted({step for points in curve.seeds for step, _ in points})
    size = -(-len(steps) // _MEAN_POINTS)
    by_step = [dict(points) for points in curve.seeds]
    mean_points = []
    for i in range(0, len(steps), size):
        part = steps[i : i + size]
        by_seed = [[points[step] for step in part if step in points] for points in by_step]
        means = [fmean(values) for values in by_seed if values]
        mean_points.append(MeanPoint(fmean(part), fmean(means), min(means), max(means)))
    return mean_points


def thin(points: Points, most: int) -> list[tuple[float, float]]:
    """At most `most` points, each the mean of neighbouring ones."""
    size = -(-len(points) // most)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(fmean(x for x, _ in part), fmean(y for _, y in part)) for part in parts]


def draw_curves(axes: Any, curves: Sequence[Curve]) -> None:
    """Draws each seed's curve as a pale line and the mean as a strong one.

    Args:
      axes: matplotlib `Axes`.
      curves: the index of a curve sets its colour; curves without a seed are skipped.
    """
    seeds = sum(len(curve.seeds) for curve in curves) or 1
    most = max(2, min(_CURVE_POINTS, _PLOT_POINTS // seeds))
    drawn: list[float] = []
    for i, curve in enumerate(curves):
        if not curve.seeds:
            continue
        colour, dashes = COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)]
        for points in curve.seeds:
            x, y = zip(*thin(points, most), strict=True)
            axes.plot(x, y, color=colour, alpha=0.3, linewidth=0.7)
            drawn += y
        means = mean_curve(curve)
        axes.plot(
            [point.step for point in means],
            [point.value for point in means],
            color=colour,
            linestyle=(0, dashes) if dashes else "-",
            linewidth=1.6,
            marker="o" if len(means) == 1 else "",
            label=curve.label,
        )
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    if drawn:
        axes.set_ylim(*_limits(drawn))


def _limits(values: list[float]) -> tuple[float, float]:
    """The range of nearly all values, because a few outliers would flatten the other curves."""
    low, high = np.percentile(values, [0.5, 99.5])
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 1.0
    return float(low - margin), float(high + margin)


def curves(rows: Sequence[Row], loss: str) -> np.ndarray:
    """Draws `curves.png`, the losses over the steps: uint8 [H, W, 3]; for the arguments see
    `group_curves`."""
    # Without pyplot, which keeps every figure in memory and looks for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = [x for x in group_curves(rows, loss) if x.main and x.names[0].startswith("loss/")]
    groups = groups or [CurveGroup("losses", [], True)]
    figure = Figure((8, 3.2 * len(groups) + 0.4), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(groups), squeeze=False, sharex=True)[:, 0]
    for axes, group in zip(all_axes, groups, strict=True):
        labels = [name.partition("/")[2].replace("_", " ") for name in group.names]
        draw_curves(axes, [read_curve(rows, *x) for x in zip(group.names, labels, strict=True)])
        axes.set_ylabel(group.title)
        if group.names:
            axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    all_axes[-1].set_xlabel("step")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
