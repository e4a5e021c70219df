"""The networks as a diagram: a box for each layer, from what `networks.txt` says."""

import itertools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.page.markup import tag, text

_ROW = re.compile(r"  (\S+) +(.*?) +([\d,]+) +([\d,]+)")
# What stands in the box of the layer before it, whose name its own begins with.
_PARTS = ("norm", "dropout")
_BOX, _GAP, _ACROSS, _EDGE = 168, 14, 20, 1
_LETTERS = 21


class Layer(NamedTuple):
    """One row of `networks.txt`."""

    name: str
    shape: str
    parameters: int
    moving: int


class Box(NamedTuple):
    """A layer with its normalisation and dropout: lines of text, and its share of the network's
    parameters."""

    name: str
    lines: tuple[str, ...]
    share: float

    @property
    def height(self) -> int:
        return 26 + 15 * len(self.lines)


def read(networks: str) -> dict[str, list[Layer]]:
    """The tables of a `networks.txt`, by their titles; rows that are none are passed over."""
    found: dict[str, list[Layer]] = {}
    for part in networks.strip().split("\n\n"):
        title, *lines = part.splitlines() or [""]
        rows = [match for match in map(_ROW.fullmatch, lines) if match and match[1] != "total"]
        layers = [Layer(m[1], m[2], *(int(m[i].replace(",", "")) for i in (3, 4))) for m in rows]
        if layers:
            found[title] = layers
    return found


def boxes(layers: list[Layer]) -> list[Box]:
    """A box for each layer, in the order in which they run."""
    total = sum(layer.parameters for layer in layers) or 1
    groups: list[list[Layer]] = []
    for layer in layers:
        kin = {f"{groups[-1][0].name}_{part}" for part in _PARTS} if groups else set()
        if layer.name in kin:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return [
        Box(
            own.name,
            (own.shape, _count(own.parameters), *map(_part, more)),
            sum(layer.parameters for layer in (own, *more)) / total,
        )
        for own, *more in groups
    ]


def _count(parameters: int) -> str:
    return f"{parameters:,} parameters" if parameters else "no parameters"


def _part(layer: Layer) -> str:
    kind = layer.name.rpartition("_")[2]
    return f"{kind}, {layer.parameters:,}" if layer.parameters else kind


def diagram(networks: str, about: Mapping[str, Any]) -> str:
    """The networks beside one another: G, and D with Q, which reads what D's trunk returns.

    Args:
      networks: `networks.txt`.
      about: the run's `config.json`.
    """
    tables = read(networks)
    if not tables:
        return ""
    config, shape = about["config"], about.get("dataset", {}).get("image_shape")
    told = {"label": ["label"], "known_part": ["known part"]}.get(
        str(config.get("condition.kind")), []
    )
    codes = [code for code in str(config.get("latent.codes", "")).split("+") if code]
    noise = [f"noise {config.get('latent.noise', '')}".strip()]
    made = tables["generator"][-1].shape if "generator" in tables else ""
    image = " x ".join(map(str, shape)) if shape else made
    inputs = {"generator": [*noise, *codes, *told], "discriminator": [f"image {image}", *told]}
    drawn = []
    for name, layers in tables.items():
        if name == "q" and "discriminator" in tables:
            continue
        beside = tables.get("q", []) if name == "discriminator" else []
        drawn.append(_network(name, inputs.get(name, []), layers, beside))
    return tag("div", *drawn, class_="networks")


def _network(name: str, inputs: list[str], layers: list[Layer], q: list[Layer]) -> str:
    column, shapes, y = boxes(layers), [], _EDGE
    if inputs:
        column = [Box(inputs[0], tuple(inputs[1:]), 0), *column]
    for i, box in enumerate(column):
        # What is told enters by a branch of its own, which reads nothing of the layer above it.
        if i and box.name != "condition":
            shapes.append(_arrow(_EDGE + _BOX // 2, y - _GAP, y))
        shapes.append(_box(box, _EDGE, y, "given" if inputs and not i else ""))
        y += box.height + _GAP
    title, width = name.replace("_", " "), _BOX + 2 * _EDGE
    parameters = f"{sum(layer.parameters for layer in layers):,} parameters"
    if q:
        branch, bottom = _branch(boxes(q), y - column[-1].height - _GAP)
        shapes.append(branch)
        y, width = max(y, bottom), width + _BOX + _ACROSS
        title += " and Q"
        parameters += f", Q {sum(layer.parameters for layer in q):,}"
    height = y - _GAP + _EDGE
    drawing = tag(
        "svg",
        *shapes,
        width=width,
        height=height,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=f"{title}: {', '.join(layer.name for layer in layers + q)}",
    )
    return tag("figure", tag("figcaption", text(title), tag("small", text(parameters))), drawing)


def _branch(column: list[Box], y: int) -> tuple[str, int]:
    """Q's boxes in a column of their own, from the arrow above D's last box, at `y`: it reads what
    the trunk returns. Its readings of the codes hang on one line: all read the same layer.

    Returns:
      The markup, and where it ends.
    """
    left = _EDGE + _BOX + _ACROSS
    middle, bus = left + _BOX // 2, left - _ACROSS // 2
    shapes = [_line(f"M{_EDGE + _BOX // 2} {y - _GAP // 2 - 2}H{middle}V{y}"), _head(middle, y)]
    trunk = list(itertools.takewhile(lambda box: not box.name.startswith("code_"), column))
    codes = column[len(trunk) :]
    for i, box in enumerate(trunk):
        if i:
            shapes.append(_arrow(middle, y - _GAP, y))
        shapes.append(_box(box, left, y))
        y += box.height + _GAP
    if trunk and codes:
        shapes.append(_line(f"M{middle} {y - _GAP}v{_GAP // 2 - 2}H{bus}V{y}"))
    for i, box in enumerate(codes):
        above = codes[i - 1].height + _GAP if i else 0
        shapes.append(_line(f"M{bus} {y + 13 * (i > 0) - above}V{y + 13}H{left}"))
        shapes.append(_box(box, left, y))
        y += box.height + _GAP
    return "".join(shapes), y


def _box(box: Box, x: int, y: int, kind: str = "") -> str:
    lines = [
        tag("text", text(_short(line)), x=x + 8, y=y + 33 + 15 * i, class_="small")
        for i, line in enumerate(box.lines)
    ]
    bar = tag(
        "rect", x=x, y=y + box.height - 3, width=f"{box.share * _BOX:.1f}", height=3, class_="share"
    )
    return tag(
        "g",
        tag("rect", x=x, y=y, width=_BOX, height=box.height, class_="box"),
        bar if box.share else "",
        tag("text", tag("title", text(box.name)), text(_short(box.name)), x=x + 8, y=y + 18),
        *lines,
        class_=kind or None,
    )


def _short(name: str) -> str:
    """As much of the end of a name as a box holds: before it stands what it is a part of."""
    return name if len(name) <= _LETTERS else "…" + name[1 - _LETTERS :]


def _arrow(x: int, top: int, bottom: int) -> str:
    return _line(f"M{x} {top}V{bottom}") + _head(x, bottom)


def _head(x: int, y: int) -> str:
    return tag("path", d=f"M{x - 4} {y - 5}L{x} {y}L{x + 4} {y - 5}", class_="arrow")


def _line(d: str) -> str:
    return tag("path", d=d, class_="arrow")
