"""The tables of a report as plain data: what was run, and what was measured of it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxgan.config.keys import KEYS
from jaxgan.evaluation.registry import Better, better
from jaxgan.evaluation.results import COMPARED_BY, half_interval
from jaxgan.reporting.html.run_data import Run
from jaxgan.training.run_files import CHECKPOINTS

_SYSTEMS = {
    "gan": "GAN",
    "dcgan": "DCGAN",
    "cgan": "Conditional GAN",
    "infogan": "InfoGAN",
    "tags": "Conditional GAN of tags",
}


class Table(NamedTuple):
    """A table: its title, its columns' headings, and its rows, which begin with their heading.

    The lines of a cell after the first are notes, in small print. `shades` has an integer from 0
    (no shade) to 9 for each cell.
    """

    title: str
    head: list[str]
    rows: list[list[str]]
    shades: list[list[int]] | None = None


def number(value: float) -> str:
    """A number with four decimals; a whole one with thousands separators."""
    if isinstance(value, int):
        return f"{value:,}"
    if value != 0 and (abs(value) < 5e-4 or abs(value) >= 1e6):
        return f"{value:.3g}"
    return f"{value:,.4f}"


# --- What was run


def run_tables(runs: Sequence[Run]) -> list[Table]:
    """Facts, the config keys worth reading, all keys, and versions; a column for each run."""
    heads = [run.name for run in runs] if len(runs) > 1 else ["value"]

    def table(title: str, columns: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
        rows = [[name, *(str(one.get(name, "not set")) for one in columns)] for name in names]
        return Table(title, ["", *heads], rows)

    facts = [_facts(run) for run in runs]
    configs = [{x: '""' if y == "" else y for x, y in run.config.items()} for run in runs]
    versions = [run.about.get("versions", {}) for run in runs]
    keys = sorted({key for config in configs for key in config})
    title, first = "Keys in which the runs differ", [x for x in keys if _differs(x, configs)]
    if len(runs) == 1:
        title, config = "Keys that are not at their defaults", runs[0].config
        first = [key for key in keys if key not in KEYS or KEYS[key].default != config[key]]
    return [
        table("Facts", facts, [name for name in facts[0] if any(one[name] for one in facts)]),
        table(title, configs, first),
        table(f"All {len(keys)} keys", configs, keys),
        table("Versions", versions, sorted({name for one in versions for name in one})),
    ]


def _differs(key: str, configs: Sequence[Mapping[str, Any]]) -> bool:
    return len({str(config.get(key)) for config in configs}) > 1


def summary(run: Run) -> str:
    """A run in a line: its system, data and progress."""
    data = run.about.get("dataset", {}).get("name", "unknown data")
    state = ""
    if run.measured is None:
        state = ", not finished"
    elif run.measured < run.step:  # It was continued after it had ended.
        state = f", not finished, measured at step {run.measured:,}"
    return f"{_system(run)} on {data}, {run.step:,} updates{state}"


def _system(run: Run) -> str:
    name = str(run.config.get("system", ""))
    return _SYSTEMS.get(name, name)


def _facts(run: Run) -> dict[str, str]:
    config, about, done = run.config, run.about, run.step
    data, speed = about.get("dataset", {}), run.speed()
    first, last = config.get("seed", 0), config.get("seed", 0) + run.seeds - 1
    splits = [f"{data[x]:,} {x}" for x in ("train", "validation", "test") if x in data]
    rollbacks = [
        f"seed {row['seed']} to step {row.get('step')}: {row['rolled_back']}"
        for row in run.rollbacks
    ]
    progress = f"{done:,}" if done >= run.end else f"{done:,} of {run.end:,} so far"
    return {
        "Command": str(about.get("command", "")),
        "System": f"{_system(run)}, networks “{config.get('networks', '')}”",
        "Data": f"{data.get('name', '')}: {', '.join(splits)} images\n"
        f"sha256 {data.get('sha256', 'not recorded')}",
        "Updates": f"{progress} of the generator, batch size {config.get('batch_size')}",
        "Seeds": f"{first} to {last}" if run.seeds > 1 else str(first),
        "Chosen seed": "{seed}, by {by}".format(**run.chosen) if run.chosen else "",
        "Images/s": f"{speed[0]:,.0f}{' for each seed' * (run.seeds > 1)}" if speed else "",
        "Training time": f"{_duration(speed[1])}, computed from images/s" if speed else "",
        "Device": f"{about.get('device', 'not recorded')}, {about.get('devices', 1)} in use",
        "Commit": str(about.get("commit") or "not recorded"),
        "Rollbacks": "\n".join(rollbacks),
        "Stopped seeds": "\n".join(map(str, (run.results or {}).get("ended", {}).values())),
    }


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"


# --- What was measured

Row = Mapping[str, Any]
_ARROWS = {Better.HIGHER: " ↑", Better.LOWER: " ↓", Better.REFERENCE: " →", Better.CHANCE: " → 0.5"}
# The measures that say how good a run is, one or two of each family.
_MAIN = {
    "code_accuracy",
    "consensus_code_accuracy",
    "conditional_accuracy",
    "frechet_distance",
    "pairwise_distance",
    "parzen_log_likelihood",
    "stacked_modes",
    "modes_found",
    "tag_precision",
}
# The rows of `results.json` that may be compared, by the number of their run and the checkpoint.
Cells = dict[tuple[int, str], list[Row]]


def measures(runs: Sequence[Run]) -> Table | None:
    """The rows of every `results.json`: last and best side by side (in one column where they are
    the same networks), the mean over seeds with its 95 % interval. Values share a row only where
    they may be compared.

    Returns:
      The table; None where nothing was measured.
    """
    groups: dict[tuple[Any, ...], Cells] = {}
    for i, run in enumerate(runs):
        for row in (run.results or {}).get("measures", []):
            key = tuple(row.get(part) for part in COMPARED_BY)
            groups.setdefault(key, {}).setdefault((i, row["checkpoint"]), []).append(row)
    columns: dict[tuple[int, str], str] = {}
    for i, run in enumerate(runs):
        name = f"{run.name}: " if len(runs) > 1 else ""
        columns |= {x: name + y for x, y in _columns(i, list(groups.values())).items()}
    # Rows of one name stand together.
    order = list(dict.fromkeys(key[0] for key in groups))
    rows = [
        _measure(cells, list(columns))
        for _, cells in sorted(groups.items(), key=lambda item: order.index(item[0][0]))
    ]
    head = ["measure", *columns.values(), "reference", "unit", "split", "images"]
    return Table("Measures", head, rows) if rows else None


def main_measures(runs: Sequence[Run]) -> Table | None:
    """The rows of `measures` that say how good a run is, without their protocols; None where there
    is none."""
    table = measures(runs)
    if table is None:
        return None
    names = [row[0].partition("\n")[0] for row in table.rows]
    rows = [
        [name, *row[1:-3]]
        for name, row in zip(names, table.rows, strict=True)
        if re.split("[ ,]", name)[0] in _MAIN
    ]
    return Table("Main measures", table.head[:-3], rows) if rows else None


def _columns(i: int, groups: Sequence[Cells]) -> dict[tuple[int, str], str]:
    """The headings of a run's columns, by its number and the checkpoint."""
    raw, last, best = (
        [{(row["seed"], row["step"]) for row in cells.get((i, x), [])} for cells in groups]
        for x in ("raw", "last", "best")
    )
    titles = {"raw": ("raw", raw), "last": ("last", last), "best": ("best", best)}
    if last == best:
        titles = {"raw": ("raw", raw), "last": ("last and best", last)}
    found = {}
    for checkpoint, (title, networks) in titles.items():
        steps = {step for seen in networks for _, step in seen}
        if steps:
            ends = [f"{step:,}" for step in sorted({min(steps), max(steps)})]
            found[i, checkpoint] = f"{title}\nstep{'s' * (len(ends) > 1)} {' to '.join(ends)}"
    return found


def _measure(cells: Cells, places: Sequence[tuple[int, str]]) -> list[str]:
    rows = [row for found in cells.values() for row in found]
    first = rows[0]
    protocols = list(dict.fromkeys(row.get("protocol", "") for row in rows))
    protocol = protocols[0]
    if len(protocols) > 1:
        protocol += f" (of the {first['checkpoint']} networks, seed {first['seed']})"
    if first.get("extractor"):
        protocol += f"; features: {first['extractor']} {first.get('extractor_hash') or ''}"
    name = first["name"] + ("" if first.get("code") is None else f", code {first['code']}")
    direction = better(first["name"])
    name += "" if direction is None else _ARROWS[direction]
    counts = (("n_real", "real"), ("n_generated", "generated"))
    images = ", ".join(f"{first[key]:,} {what}" for key, what in counts if first.get(key))
    values = [_value(cells.get(place, [])) for place in places]
    return [f"{name}\n{protocol}", *values, _reference(rows), first["unit"], first["split"], images]


def _value(rows: Sequence[Row]) -> str:
    if not rows:
        return "-"
    values = [float(row["value"]) for row in rows]
    if len(values) == 1:
        return number(values[0])
    mean = f"{number(sum(values) / len(values))} ± {number(half_interval(values))}"
    return f"{mean}\n{number(min(values))} to {number(max(values))}, {len(values)} seeds"


def _reference(rows: Sequence[Row]) -> str:
    found = sorted({float(row["reference"]) for row in rows if row.get("reference") is not None})
    return " to ".join(dict.fromkeys(number(x) for x in found[:1] + found[-1:]))


# --- Confusion

_NETWORKS = re.compile(rf"({'|'.join(CHECKPOINTS)}) networks, step (\d+)")


def networks_in_words(checkpoint: str, step: int) -> str:
    """Names networks in a line, as the first of `confusion.txt`: "best networks, step 300"."""
    return f"{checkpoint} networks, step {step}"


Confusion = tuple[str, Table | str]


def confusions(runs: Sequence[Run]) -> list[Confusion]:
    """The confusion matrices of every run and seed: of which networks, and the table; where the
    text holds no table, the text."""
    found = []
    for run in runs:
        rows = (run.results or {}).get("measures", [])
        for seed, text in run.confusion.items():
            parts = [run.name * (len(runs) > 1), f"seed {seed}" if seed else ""]
            found.append(confusion(", ".join(filter(None, parts)), text, rows))
    return found


def confusion(title: str, text: str, rows: Sequence[Row] = ()) -> Confusion:
    """Reads a matrix that `jaxgan.evaluate` wrote.

    Args:
      title: its run and seed, or "".
      text: a line that names the networks (absent in older versions), and the table.
      rows: of `results.json`; the note says where they are of later networks.
    """
    first, _, rest = text.partition("\n")
    match = _NETWORKS.fullmatch(first)
    note, body = "The step is not recorded.", text
    if match:
        later = [x for x in rows if x["checkpoint"] == match[1] and x["step"] > int(match[2])]
        older = ", older than the measures" * bool(later)
        note, body = f"Of the {match[1]} networks, step {int(match[2]):,}{older}.", rest
    note = f"{title}. {note}" if title else note
    lines = [re.split(r"\s{2,}", line.strip()) for line in body.strip().splitlines()]
    if len({len(line) for line in lines}) != 1 or len(lines) < 2:
        return note, body  # A label may hold two blanks.
    shades = [_shades(line) for line in lines[1:]]
    return note, Table("Confusion matrix", lines[0], lines[1:], shades)


def _shades(line: Sequence[str]) -> list[int]:
    """The share of each count in its row, in ninths and rounded up. The first cell is the label and
    the last the accuracy."""
    counts = [0, *(int(x) if x.isdecimal() else 0 for x in line[1:-1]), 0]
    return [-(-9 * count // (sum(counts) or 1)) for count in counts]
