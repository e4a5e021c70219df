"""Loss curves drawn with matplotlib."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# The curves of one pair of axes, each with its colour, told apart by the colour-blind as well.
ADVERSARIAL = {
    "discriminator": "#000000",
    "discriminator_real": "#009E73",
    "discriminator_fake": "#D55E00",
    "generator": "#0072B2",
}


INFORMATION, CODES = "#CC79A7", ("#56B4E9", "#E69F00", "#009E73", "#999999")


# A curve's strong line has so many points at most, each a mean: single batches are noise.
_POINTS = 50


def curves(rows: Sequence[Mapping[str, Any]], label: str) -> np.ndarray:
    """The losses over the steps: pale, each seed's as they were noted; strong, the mean over the
    seeds and over a fiftieth of the run.

    Args:
      rows: of `metrics.jsonl`, at least one.
      label: of the adversarial losses' axis.

    Returns:
      uint8 [H, W, 3], dark on light.
    """
    # Not pyplot, which keeps figures and asks for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    codes = sorted(name for name in rows[0] if name.startswith("loss/code_"))
    information = {"information": INFORMATION} if codes else {}
    if len(codes) > 1:  # The term of a single code is that code's loss, weighted.
        information |= {
            name.removeprefix("loss/"): CODES[i % len(CODES)] for i, name in enumerate(codes)
        }
    panels = [(label, ADVERSARIAL), *([("information term", information)] if codes else [])]
    figure = Figure((8, 3.2 * len(panels) + 0.4), dpi=120, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    every = figure.subplots(len(panels), squeeze=False, sharex=True)[:, 0]
    for axes, (title, group) in zip(every, panels, strict=True):
        for name, colour in group.items():
            _curve(axes, rows, name, colour)
        axes.set_ylabel(title)
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
        axes.set_ylim(*_limits(rows, group))
    every[-1].set_xlabel("step")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _curve(axes: Any, rows: Sequence[Mapping[str, Any]], name: str, colour: str) -> None:
    seeds = sorted({row["seed"] for row in rows})
    by_step: dict[int, list[float]] = {}
    for seed in seeds:
        own = [(row["step"], row[f"loss/{name}"]) for row in rows if row["seed"] == seed]
        axes.plot(*zip(*own, strict=True), color=colour, alpha=0.25, linewidth=0.7)
        for step, value in own:
            by_step.setdefault(step, []).append(value)
    steps = sorted(by_step)
    means = [np.mean(by_step[step]) for step in steps]
    size = -(-len(steps) // _POINTS)
    starts = range(0, len(steps), size)
    x, y = ([np.mean(v[i : i + size]) for i in starts] for v in (steps, means))
    axes.plot(x, y, color=colour, linewidth=1.6, label=name.replace("_", " "))


def _limits(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> tuple[float, float]:
    """Where nearly all of the values lie: a few at the start would press the others flat."""
    values = np.array([row[f"loss/{name}"] for row in rows for name in names])
    low, high = np.percentile(values[np.isfinite(values)], [0.5, 99.5])
    room = 0.05 * (high - low) or 1.0
    return float(low - room), float(high + room)
