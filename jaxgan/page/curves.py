"""Curves as SVG: pale each seed, strong the mean. The plot is stretched to the page's width; its
labels stand beside it, so that they are not stretched with it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from jaxgan.page.markup import number, tag, text

HEIGHT, WIDTH = 240, 1000
# A strong line has so many points at most, each a mean: single batches are noise.
_STRONG = 50
# The pale lines of a plot have so many together, and each so many: more are only bytes.
_PALE, _EACH = 4000, 240
# As many as page.css has colours.
_COLOURS = 8
_ADVERSARIAL = (
    "loss/discriminator",
    "loss/discriminator_real",
    "loss/discriminator_fake",
    "loss/generator",
)

Rows = Sequence[Mapping[str, Any]]
Points = list[tuple[float, float]]


class Line(NamedTuple):
    """A curve: its name, the number of its colour, and each seed's points, (step, value)."""

    name: str
    colour: int
    seeds: list[Points]


class Mean(NamedTuple):
    """A point of a strong line: the mean over seeds and some steps, and the seeds' lowest and
    highest means."""

    step: float
    value: float
    low: float
    high: float


# --- Which curves there are


def of_one(rows: Rows, config: Mapping[str, Any]) -> tuple[str, str]:
    """The plots of one run: its losses and what was measured while it trained, and all the rest.

    Args:
      rows: of `metrics.jsonl`.
      config: of the run.
    """
    names = _names(rows)
    nats = config.get("loss") in ("non_saturating", "minimax")
    information = [x for x in names if x == "loss/information" or x.startswith("loss/code_")]
    if len(information) == 2:  # The term of a single code is that code's loss, weighted.
        information.remove("loss/code_0")
    first = {
        "losses, nats" if nats else "losses": [x for x in _ADVERSARIAL if x in names],
        "information term": information,
        **{x.removeprefix("eval/"): [x] for x in names if x.startswith("eval/")},
    }
    shown = {"loss/code_0"}.union(*first.values())
    other: dict[str, list[str]] = {}
    for name in names:
        if name not in shown:
            other.setdefault(name.partition("/")[0], []).append(name)

    def drawn(groups: Mapping[str, list[str]]) -> str:
        lines = {
            title: [Line(x.partition("/")[2], i, _points(rows, x)) for i, x in enumerate(group)]
            for title, group in groups.items()
        }
        return "".join(plot(title, found) for title, found in lines.items() if found)

    return drawn(first), drawn(other)


def of_many(runs: Mapping[str, Rows]) -> tuple[str, str]:
    """The plots of several runs: one for each metric, a colour for each run."""
    every = {name for rows in runs.values() for name in _names(rows)}
    names = sorted(every, key=lambda x: (x not in _ADVERSARIAL, not x.startswith("loss/"), x))

    def drawn(wanted: Iterable[str]) -> str:
        lines = {
            name: [Line(run, i, _points(rows, name)) for i, (run, rows) in enumerate(runs.items())]
            for name in wanted
        }
        return "".join(plot(name, [x for x in found if x.seeds]) for name, found in lines.items())

    first = [x for x in names if x.startswith(("loss/", "eval/"))]
    return drawn(first), drawn(x for x in names if x not in first)


def _names(rows: Rows) -> list[str]:
    """The metrics that have a finite value."""
    return sorted({x for row in rows for x, value in row.items() if "/" in x and _finite(value)})


def _points(rows: Rows, name: str) -> list[Points]:
    by_seed: dict[int, Points] = {}
    for row in rows:
        if _finite(row.get(name)):
            by_seed.setdefault(row["seed"], []).append((row["step"], row[name]))
    return [points for _, points in sorted(by_seed.items())]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


# --- How they are drawn


class Scales(NamedTuple):
    """What the edges of a drawing stand for, steps and values, and the steps that it tells of."""

    left: float
    right: float
    low: float
    high: float
    steps: tuple[float, float]

    def x(self, step: float) -> float:
        """How far from the left edge, 0 to 1."""
        return (step - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        """How far below the upper edge, 0 to 1."""
        return (self.high - value) / (self.high - self.low)

    def x_ticks(self) -> list[float]:
        first, last = self.steps
        return [float(first)] if first == last else ticks(self.left, self.right, 4)

    def y_ticks(self) -> list[float]:
        return ticks(self.low, self.high, 5)


def plot(title: str, lines: list[Line]) -> str:
    """A plot with its legend, which tells the values under the pointer.

    Args:
      title: of the plot.
      lines: at least one, each of at least one seed with at least one point.
    """
    most = max(2, min(_EACH, _PALE // sum(len(line.seeds) for line in lines)))
    pale = [[_thinned(points, most) for points in line.seeds] for line in lines]
    strong = [_means(line.seeds) for line in lines]
    scales = _scales(lines, pale)
    curves = [
        _curve(scales, points, "pale", line)
        for line, seeds in zip(lines, pale, strict=True)
        for points in seeds
    ]
    curves += [
        _curve(scales, points, "strong", line) for line, points in zip(lines, strong, strict=True)
    ]
    return tag(
        "figure",
        tag("figcaption", text(title.replace("_", " ")), tag("span", class_="at")),
        tag("div", _beside(scales), _drawing(title, scales, curves), _below(scales), class_="axes"),
        tag("ul", *map(_legend, lines, strong), class_="legend", aria_live="polite"),
        class_="curves",
    )


def _scales(lines: list[Line], pale: list[list[Points]]) -> Scales:
    steps = [step for line in lines for points in line.seeds for step, _ in points]
    first, last = min(steps), max(steps)
    alone = first == last
    low, high = _limits([y for seeds in pale for points in seeds for _, y in points])
    return Scales(first - alone, last + alone, low, high, (first, last))


def _curve(scales: Scales, points: Iterable[Sequence[float]], kind: str, line: Line) -> str:
    places = [f"{scales.x(p[0]) * WIDTH:.1f},{scales.y(p[1]) * HEIGHT:.1f}" for p in points]
    # A line of no length has round ends: a dot.
    dot, path = (" dot", " ".join(places * 2)) if len(places) == 1 else ("", " ".join(places))
    return tag("polyline", points=path, class_=f"{kind}{dot} c{line.colour % _COLOURS}")


def _drawing(title: str, scales: Scales, curves: list[str]) -> str:
    """The curves on their rules, and the guide that a script moves."""
    heights = [f"{scales.y(tick) * HEIGHT:.1f}" for tick in scales.y_ticks()]
    rules = [tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="rule") for y in heights]
    left, right = scales.left, scales.right
    return tag(
        "svg",
        *rules,
        *curves,
        tag("line", x1=0, x2=0, y1=0, y2=HEIGHT, class_="guide", visibility="hidden"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        height=HEIGHT,
        class_="plot",
        role="img",
        tabindex=0,
        data_left=left,
        data_right=right,
        aria_label=f"{title}, steps {left:,} to {right:,}; arrow keys move over the steps",
    )


def _beside(scales: Scales) -> str:
    """The labels of the values."""
    labels = [
        tag(
            "text",
            text(_label(tick)),
            x=44,
            y=f"{scales.y(tick) * HEIGHT + 4:.1f}",
            text_anchor="end",
        )
        for tick in scales.y_ticks()
    ]
    return tag("svg", *labels, class_="beside", width=48, height=HEIGHT, aria_hidden="true")


def _below(scales: Scales) -> str:
    """The labels of the steps."""
    places = [(scales.x(tick), _label(tick)) for tick in scales.x_ticks()]
    labels = [
        tag("text", text(label), x=f"{x:.2%}", y=14, text_anchor=_anchor(x))
        for x, label in places
        if x > 0.12  # Before it stands what they are.
    ]
    labels.append(tag("text", "step", x=0, y=14))
    return tag("svg", *labels, class_="below", height=20, aria_hidden="true")


def _legend(line: Line, points: list[Mean]) -> str:
    """A line's name and its value: the last one, until a script tells those under the pointer."""
    kind = f"strong c{line.colour % _COLOURS}"
    swatch = tag("line", x1=0, x2=24, y1=5, y2=5, class_=kind)
    several = len(line.seeds) > 1
    values = [_told(point, several) for point in points]
    return tag(
        "li",
        tag("svg", swatch, width=24, height=10, aria_hidden="true"),
        tag("span", text(line.name.replace("_", " "))),
        tag("output", text(values[-1])),
        data_steps=" ".join(f"{point.step:.0f}" for point in points),
        data_values="|".join(values),
    )


def _told(point: Mean, several: bool) -> str:
    told = number(float(point.value))
    return f"{told} ({number(point.low)} to {number(point.high)})" if several else told


def _thinned(points: Points, most: int) -> Points:
    """At most so many points, each the mean of neighbours."""
    size = -(-len(points) // most)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(fmean(x for x, _ in part), fmean(y for _, y in part)) for part in parts]


def _means(seeds: list[Points]) -> list[Mean]:
    steps = sorted({step for points in seeds for step, _ in points})
    size = -(-len(steps) // _STRONG)
    by_step = [dict(points) for points in seeds]
    found = []
    for i in range(0, len(steps), size):
        part = steps[i : i + size]
        every = [[values[step] for step in part if step in values] for values in by_step]
        means = [fmean(values) for values in every if values]
        found.append(Mean(fmean(part), fmean(means), min(means), max(means)))
    return found


def _limits(values: list[float]) -> tuple[float, float]:
    """Where nearly all of the values lie: a few at the start would press the others flat."""
    values = sorted(values)
    out = len(values) // 200
    low, high = values[out], values[-1 - out]
    room = 0.05 * (high - low) or abs(high) / 10 or 1.0
    return low - room, high + room


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between two, some `about` of them."""
    rough = (high - low) / about
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= 0.75 * rough)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _label(tick: float) -> str:
    return f"{tick:,.0f}" if abs(tick) >= 1000 else f"{tick:.4g}"


def _anchor(place: float) -> str:
    return "start" if place < 0.05 else "end" if place > 0.95 else "middle"
