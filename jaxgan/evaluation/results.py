"""The rows of `results.json`: each holds one metric of one seed's networks, and its protocol."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgan.common.errors import UserError
from jaxgan.common.files import text_table

_EXTRACTOR = ("extractor", "extractor_hash")
# The standard error of a share of these many images is up to 5 %. A measure of fewer says so.
FEW_REAL = 100
# Fields that must be equal for two results to be comparable.
COMPARED_BY = ("name", "code", "unit", "split", "n_real", "n_generated", *_EXTRACTOR)
# Fields that say which measurement a row holds.
IDENTITY = ("name", "seed", "step", "checkpoint", "split", "code", *_EXTRACTOR)


@dataclasses.dataclass(frozen=True)
class MetricResult:
    """One row of `results.json`.

    Attributes:
      name: the metric, such as "code_accuracy".
      value: the metric's value.
      unit: "share", "nats", or "1" for a dimensionless number.
      split: the split of the real images, or "generated".
      seed, step: the networks' seed, and the number of generator updates.
      checkpoint: "last", "best" or "raw", the last ones without their moving averages.
      protocol: how the value was computed, in a sentence.
      n_real, n_generated: numbers of real and of generated examples.
      code: index of the code, for a metric of one code.
      reference: a value to compare with (the metric of real images in place of the generated ones,
        or the entropy that bounds it), or None.
      extractor, extractor_hash: the network that computed the features or classes, or None.
    """

    name: str
    value: float
    unit: str
    split: str
    seed: int
    step: int
    checkpoint: str
    protocol: str
    n_real: int = 0
    n_generated: int = 0
    code: int | None = None
    reference: float | None = None
    extractor: str | None = None
    extractor_hash: str | None = None

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The value of the first result minus that of the second.

    Args:
      one, other: rows of `results.json`, from the same or different runs.

    Raises:
      UserError: if a field of `COMPARED_BY` differs.
    """
    differing = [key for key in COMPARED_BY if one.get(key) != other.get(key)]
    if differing:
        said = ", ".join(f"{key} {one.get(key)} and {other.get(key)}" for key in differing)
        raise UserError(
            f"{one['name']}: these two cannot be compared: {said}",
            "measure both in one way: the same dataset, split, extractor and numbers of images",
        )
    return float(one["value"] - other["value"])


def half_interval(values: Sequence[float]) -> float:
    """Half the width of the 95 % confidence interval of a mean over seeds: Student's t with n - 1
    degrees of freedom times the standard error. It takes at least two values."""
    from scipy.special import stdtrit

    if not all(map(math.isfinite, values)):
        return math.nan
    error = statistics.stdev(values) / len(values) ** 0.5
    return float(stdtrit(len(values) - 1, 0.975) * error)


def format_table(measures: list[dict[str, Any]]) -> str:
    """The rows of `results.json` as text: a line for each metric and code.

    For several seeds a line shows the mean, its 95 % confidence interval, and the lowest and
    highest value. If a metric has values by several extractors, each line names its extractor. The
    best networks have no line of their own where they are the last ones. The number of real images
    is beside the split if it is below `FEW_REAL`. Without codes, or with one seed, there is no
    column for them.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    extractors: dict[str, set[tuple[Any, ...]]] = {}
    for measure in measures:
        extractor = (measure.get("extractor"), measure.get("extractor_hash"))
        # Measures of other numbers of images are not averaged with these.
        counts = measure.get("n_real"), measure.get("n_generated")
        where = measure["name"], measure["code"], measure["split"], extractor, counts
        key = (measure["checkpoint"], *where)
        groups.setdefault(key, []).append(measure)
        extractors.setdefault(measure["name"], set()).add(extractor)
    lines = [("measure", "code", "split", "checkpoint", "value", "reference", "unit", "seeds")]
    for (checkpoint, *compared), rows in groups.items():
        name, code, split, extractor, _ = compared
        others = {"last": "best", "best": "last"}
        other = groups.get((others.get(checkpoint), *compared), [])
        same = _values(rows) == _values(other)
        if same and checkpoint == "best":
            continue
        values = [row["value"] for row in rows]
        value = f"{sum(values) / len(values):.4f}"
        if len(values) > 1:
            value += f" ± {half_interval(values):.4f} ({min(values):.4f} to {max(values):.4f})"
        steps = sorted({row["step"] for row in rows})
        which = "last and best" if same else checkpoint
        at = f"{which}, step {steps[0]}" if len(steps) == 1 else which
        reference = "" if rows[0]["reference"] is None else f"{rows[0]['reference']:.4f}"
        shown = "" if code is None else str(code)
        # Features of two networks cannot be compared, and thumbnails are no network's.
        if len(extractors[name]) > 1 or "thumbnails" in (extractor[0] or ""):
            name += f" ({' '.join(filter(None, extractor)) or 'no extractor'})"
        images = rows[0].get("n_real", 0)
        if 0 < images < FEW_REAL:
            split += f" ({images} images)" if split != "generated" else f" ({images} real)"
        lines.append((name, shown, split, at, value, reference, rows[0]["unit"], str(len(rows))))
    # Left out, because the table is wide for a notebook's cell.
    trivial = {"code": "", "seeds": "1"}
    columns = [
        column for column in zip(*lines, strict=True) if {*column[1:]} != {trivial.get(column[0])}
    ]
    return text_table(list(zip(*columns, strict=True)))


def _values(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each seed's step and value, in the order of the seeds."""
    return sorted((row["seed"], row["step"], row["value"]) for row in rows)


def merge_results(
    old: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Adds new rows to those of a `results.json`: a new row replaces the old one that holds the
    same measurement of the same networks, or else is appended."""
    return list({tuple(map(row.get, IDENTITY)): row for row in (*old, *new)}.values())
