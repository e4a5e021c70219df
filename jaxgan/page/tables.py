"""What was run, and what was measured of it, as tables."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jaxgan.config.keys import KEYS
from jaxgan.evaluation.results import COMPARED_BY, half_interval
from jaxgan.page.markup import number, table, tag, text
from jaxgan.page.runs import Run

_SYSTEMS = {
    "gan": "GAN",
    "dcgan": "DCGAN",
    "cgan": "Conditional GAN",
    "infogan": "InfoGAN",
    "tags": "Conditional GAN of tags",
}

# --- What was run


def what(runs: Sequence[Run]) -> str:
    """A row for each fact, a column for each run."""
    facts = [_facts(run) for run in runs]
    names = [name for name in facts[0] if any(one.get(name) for one in facts)]
    rows = [[text(name), *(one.get(name, "") for one in facts)] for name in names]
    whole = table(["", *_heads(runs)], rows, class_=_kind("facts", runs))
    return whole + _settings(runs) + _versions(runs)


def system(run: Run) -> str:
    """The family's name."""
    name = str(run.config.get("system", ""))
    return _SYSTEMS.get(name, name)


def _facts(run: Run) -> dict[str, str]:
    config, about = run.config, run.about
    data, speed = about.get("dataset", {}), run.speed()
    done, asked = run.step, run.end
    updates = f"{done:,}" if done >= asked else f"{done:,} of {asked:,} so far"
    splits = [f"{data[x]:,} {x}" for x in ("train", "validation", "test") if x in data]
    several = f", each of {run.seeds} seeds" if run.seeds > 1 else ""
    first = config.get("seed", 0)
    seeds = f"{first} to {first + run.seeds - 1}" if run.seeds > 1 else str(first)
    ended = (run.results or {}).get("ended", {}).values()
    parts = {
        "Command": tag("code", text(about["command"])) if about.get("command") else "",
        "System": text(f"{system(run)}, networks and training “{config.get('networks', '')}”"),
        "Data": text(f"{data.get('name', '')}: {', '.join(splits)} images")
        + tag("small", text(f" sha256 {data.get('sha256', 'not recorded')}")),
        "Updates": text(f"{updates} of the generator, in batches of {config.get('batch_size')}"),
        "Seeds": text(seeds),
        "Images/s": text(f"{speed[0]:,.0f}{several}") if speed else "",
        "Time": text(_duration(speed[1])) + tag("small", " of training, by its rows")
        if speed
        else "",
        "Device": text(
            f"{about.get('device', 'not recorded')} ({_devices(about.get('devices', 1))})"
        ),
        "Commit": tag("code", text(about.get("commit") or "not recorded")),
        "Rolled back": "<br>".join(
            text(f"seed {row['seed']} to step {row['step']}: {row['rolled_back']}")
            for row in run.rollbacks
        ),
        "Left out": "<br>".join(text(one) for one in ended),
    }
    return parts


def _settings(runs: Sequence[Run]) -> str:
    """The keys: those that differ (between the runs, or of one run from the defaults) at hand, all
    of them folded away."""
    keys = sorted({key for run in runs for key in run.config})
    if len(runs) == 1:
        config = runs[0].config
        told = [x for x in keys if x not in KEYS or KEYS[x].default != config[x]]
        title = "Keys that are not at their defaults"
    else:
        told = [key for key in keys if len({str(run.config.get(key)) for run in runs}) > 1]
        title = "Keys in which the runs differ"

    def rows(keys: Sequence[str]) -> str:
        lines = [
            [
                tag("code", text(key)),
                *(tag("code", text(_value(run.config.get(key)))) for run in runs),
            ]
            for key in keys
        ]
        return table(["key", *_heads(runs)], lines, class_=_kind("keys", runs))

    return (
        tag("h3", text(title))
        + (rows(told) if told else tag("p", "None."))
        + tag("details", tag("summary", f"All {len(keys)} keys"), rows(keys))
    )


def _versions(runs: Sequence[Run]) -> str:
    every = [run.about.get("versions", {}) for run in runs]
    names = sorted({name for versions in every for name in versions})
    rows = [[text(name), *(text(one.get(name, "")) for one in every)] for name in names]
    return tag(
        "details",
        tag("summary", "Versions"),
        table(["package", *_heads(runs)], rows, class_=_kind("", runs)),
    )


def _kind(kind: str, runs: Sequence[Run]) -> str:
    return f"{kind} {'many' if len(runs) > 1 else 'one'}".strip()


def _heads(runs: Sequence[Run]) -> list[str]:
    return [text(run.name) if len(runs) > 1 else "value" for run in runs]


def _value(value: Any) -> str:
    return "not there" if value is None else '""' if value == "" else str(value)


def _devices(count: int) -> str:
    return "one device" if count == 1 else f"{count} devices"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


# --- What was measured

Row = Mapping[str, Any]
# A blank at which no line is broken.
_BOUND = "\N{NO-BREAK SPACE}"
# The rows that may be compared, by the number of the run, and "last" or "best".
Cells = dict[tuple[int, str], list[Row]]


def measures(runs: Sequence[Run]) -> str:
    """The rows of every `results.json`: last and best side by side (in one column where they are
    the same networks), the mean over seeds with its 95 % interval. Figures stand in one row only
    where they may be compared."""
    groups: dict[tuple[Any, ...], Cells] = {}
    for i, run in enumerate(runs):
        for row in (run.results or {}).get("measures", []):
            key = tuple(row.get(part) for part in COMPARED_BY)
            groups.setdefault(key, {}).setdefault((i, row["checkpoint"]), []).append(row)
    columns = []
    for i, run in enumerate(runs):
        of = text(run.name) + "<br>" if len(runs) > 1 else ""
        columns += [(place, of + title) for place, title in _columns(i, list(groups.values()))]
    if not columns:
        return ""
    head = ["measure", *(title for _, title in columns), "beside it", "unit", "read on", "images"]
    # What goes by one name stands together.
    order = list(dict.fromkeys(key[0] for key in groups))
    lines = [
        [
            _measure(cells),
            *(_figure(cells.get(place, [])) for place, _ in columns),
            _reference([row for found in cells.values() for row in found]),
            *_read_on(next(iter(cells.values()))[0]),
        ]
        for _, cells in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]
    # Text again: an attribute is escaped by `tag`.
    names = [html.unescape(re.sub("<.*?>", " ", one)).strip() for one in head]
    return table(head, lines, names=names, class_="measures cards")


def _columns(i: int, groups: Sequence[Cells]) -> list[tuple[tuple[int, str], str]]:
    """Where a run's figures stand, and the titles of their columns."""

    def networks(checkpoint: str) -> dict[Any, set[Any]]:
        found = {n: cells.get((i, checkpoint), []) for n, cells in enumerate(groups)}
        return {n: {(row["seed"], row["step"]) for row in rows} for n, rows in found.items()}

    last, best = networks("last"), networks("best")
    if last == best:
        best, titles = {}, {"last": "last and best"}
    else:
        titles = {"last": "last", "best": "best"}
    columns = []
    for checkpoint, seen in (("last", last), ("best", best)):
        steps = {step for found in seen.values() for _, step in found}
        if steps:
            at = " to ".join(f"{step:,}" for step in sorted({min(steps), max(steps)}))
            said = tag("small", text(f" step {at}" if len(steps) == 1 else f" steps {at}"))
            columns.append(((i, checkpoint), text(titles[checkpoint]) + said))
    return columns


def _measure(cells: Mapping[Any, list[Row]]) -> str:
    """The name, and below it how it was taken: of seeds and checkpoints that differ in it, one."""
    rows = [row for found in cells.values() for row in found]
    first = rows[0]
    name = first["name"] + ("" if first.get("code") is None else f", code {first['code']}")
    protocols = list(dict.fromkeys(row.get("protocol", "") for row in rows))
    said = protocols[0]
    if len(protocols) > 1:
        said += f" (of the {first['checkpoint']} networks, seed {first['seed']})"
    extractor = " ".join(filter(None, (first.get("extractor"), first.get("extractor_hash"))))
    by = f"; by {extractor}" if extractor else ""
    return tag("b", text(name)) + tag("small", text(said + by), class_="protocol")


def _figure(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    values = [float(row["value"]) for row in rows]
    if len(values) == 1:
        return text(number(values[0]))
    mean = number(sum(values) / len(values))
    # Of what is not finite there is no interval.
    half = half_interval(values) if all(map(math.isfinite, values)) else math.nan
    told = f"{number(min(values))} to {number(max(values))}, {len(values)} seeds"
    return text(f"{mean}{_BOUND}±{_BOUND}{number(half)}") + tag("small", text(told))


def _reference(rows: Sequence[Row]) -> str:
    found = sorted({row["reference"] for row in rows if row.get("reference") is not None})
    told = list(dict.fromkeys(number(float(value)) for value in found))
    return text(" to ".join(dict.fromkeys([told[0], told[-1]]))) if told else ""


def _read_on(row: Row) -> tuple[str, str, str]:
    counts = [
        f"{row[key]:,} {what}"
        for key, what in (("n_real", "real"), ("n_generated", "generated"))
        if row.get(key)
    ]
    return text(row["unit"]), text(row["split"]), "<br>".join(map(text, counts))


# The first line of a table of labels, and of a sheet of neighbours.
_NETWORKS = re.compile(r"(best|last) networks, step (\d+)")


def networks_in_words(checkpoint: str, step: int) -> str:
    """Which networks something shows: "best networks, step 300"."""
    return f"{checkpoint} networks, step {step}"


def confusion(told: str, measures: Sequence[Row] = ()) -> str:
    """The table that `jaxgan.evaluate` wrote: cells the darker, the more are read so.

    Args:
      told: a line with the networks that it is of (older versions wrote none), and the table.
      measures: of `results.json`; where they are of later networks, this is said.
    """
    first, _, rest = told.partition("\n")
    match = _NETWORKS.fullmatch(first)
    if match is None:
        return tag("p", "Of which step is not recorded.", class_="note") + _labels(told)
    later = [x for x in measures if x["checkpoint"] == match[1] and x["step"] > int(match[2])]
    said = ", older than the measures" * bool(later)
    note = f"Of the {match[1]} networks, step {int(match[2]):,}{said}."
    return tag("p", note, class_="note") + _labels(rest)


def _labels(told: str) -> str:
    lines = [re.split(r"\s{2,}", line.strip()) for line in told.strip().splitlines()]
    if len({len(line) for line in lines}) != 1 or len(lines) < 2:
        return tag("pre", text(told))  # A name holds two blanks.

    def cells(line: list[str]) -> list[str]:
        counts = [int(cell) if cell.isdecimal() else 0 for cell in line[1:-1]]
        most = sum(counts) or 1
        shaded = [
            tag("span", text(cell), class_=f"share s{-(-9 * count // most)}")
            for cell, count in zip(line[1:-1], counts, strict=True)
        ]
        return [text(line[0]), *shaded, text(line[-1])]

    return table([text(x) for x in lines[0]], [cells(x) for x in lines[1:]], class_="confusion")
