"""The networks as a diagram: a box for each layer, from what `networks.txt` says."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.page.markup import tag, text

_ROW = re.compile(r"  (\S+) +(.*?) +([\d,]+) +([\d,]+)")
# What stands in the box of the layer before it, whose name its own begins with.
_PARTS = ("norm", "dropout")
_BOX, _GAP, _ACROSS, _EDGE = 168, 14, 20, 1


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
    codes = [str(config["latent.codes"])] if config.get("latent.codes") else []
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
    column = boxes(layers)
    shapes, places, y = [], [], _EDGE
    if inputs:
        given = Box(inputs[0], tuple(inputs[1:]), 0)
        shapes.append(_box(given, _EDGE, y, "given"))
        y += given.height + _GAP
        shapes.append(_arrow(_EDGE + _BOX // 2, y - _GAP, y))
    for i, box in enumerate(column):
        if i:
            shapes.append(_arrow(_EDGE + _BOX // 2, y - _GAP, y))
        shapes.append(_box(box, _EDGE, y))
        places.append(y)
        y += box.height + _GAP
    bottom, width = y, _BOX + 2 * _EDGE
    if q:
        branch, bottom = _branch(boxes(q), places[-1] - _GAP, len(column) > 1, bottom)
        shapes.append(branch)
        width += _BOX + _ACROSS
    parameters = f"{sum(layer.parameters for layer in layers):,} parameters"
    title = name.replace("_", " ") + (" and Q" if q else "")
    if q:
        parameters += f", Q {sum(layer.parameters for layer in q):,}"
    height = bottom - _GAP + _EDGE
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


def _branch(column: list[Box], y: int, trunk: bool, bottom: int) -> tuple[str, int]:
    """Q's boxes in a column of their own, from between D's last two boxes on; its reading of each
    code hangs on a line of its own, as they all read the same layer."""
    left = _EDGE + _BOX + _ACROSS
    middle, start = left + _BOX // 2, _EDGE + _BOX // 2
    top = y + _GAP
    shapes = [tag("text", "features" if trunk else "", x=start + 8, y=y - 4, class_="small")]
    shapes = [_line(f"M{start} {y + _GAP // 2 - 2}H{middle}V{top}"), _head(middle, top)]
    bus = left - _ACROSS // 2
    hung = [box.name.startswith("code_") for box in column]
    before = 0
    for i, box in enumerate(column):
        shapes.append(_box(box, left, top))
        if i and not hung[i]:
            shapes.append(_arrow(middle, top - _GAP, top))
        elif i and not hung[i - 1]:
            before = top - _GAP
            shapes.append(_line(f"M{middle} {before}v{_GAP // 2 - 2}H{bus}V{top + 13}H{left}"))
        elif i and before:
            shapes.append(_line(f"M{bus} {before + _GAP}V{top + 13}H{left}"))
        top += box.height + _GAP
    return "".join(shapes), max(bottom, top)


def _box(box: Box, x: int, y: int, kind: str = "") -> str:
    lines = [
        tag("text", text(line), x=x + 8, y=y + 33 + 15 * i, class_="small")
        for i, line in enumerate(box.lines)
    ]
    bar = tag(
        "rect", x=x, y=y + box.height - 3, width=f"{box.share * _BOX:.1f}", height=3, class_="share"
    )
    return tag(
        "g",
        tag("rect", x=x, y=y, width=_BOX, height=box.height, class_="box"),
        bar if box.share else "",
        tag("text", text(box.name), x=x + 8, y=y + 18),
        *lines,
        class_=kind or None,
    )


def _arrow(x: int, top: int, bottom: int) -> str:
    return _line(f"M{x} {top}V{bottom}") + _head(x, bottom)


def _head(x: int, y: int) -> str:
    return tag("path", d=f"M{x - 4} {y - 5}L{x} {y}L{x + 4} {y - 5}", class_="arrow")


def _line(d: str) -> str:
    return tag("path", d=d, class_="arrow")
