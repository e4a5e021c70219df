"""The rows of `results.json`: one metric of one seed's networks each, with its protocol."""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxgan.common.errors import UserError
from jaxgan.common.files import text_table

# Fields that two results must share for their difference to mean anything.
COMPARED_BY = (
    "name",
    "code",
    "unit",
    "split",
    "n_real",
    "n_generated",
    "extractor",
    "extractor_hash",
)


@dataclasses.dataclass(frozen=True)
class MetricResult:
    """One row of `results.json`.

    Attributes:
      name: such as "code_accuracy".
      value: of the metric.
      unit: "share", "nats", "1" for a bare number.
      split: the real split it was read on, or "generated".
      seed, step: of the run.
      checkpoint: "last" or "best".
      protocol: how the value was taken, in a sentence.
      n_real, n_generated: examples that it was computed from.
      code: index of the code, for a metric of one code.
      reference: value to compare with (real images in the samples' place, a bound's entropy), or
        None.
      extractor, extractor_hash: the network whose features were used, or None.
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
    """The first of two results minus the second.

    Args:
      one, other: rows of `results.json`, of one run or of two.

    Raises:
      UserError: if they do not compare: another metric or code, another split, another number of
        images, or another extractor.
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
    """Half the width of the 95 % interval of a mean over seeds: Student's t with n - 1 degrees of
    freedom times the standard error. At least two values."""
    from scipy.special import stdtrit

    if not all(map(math.isfinite, values)):
        return math.nan
    error = statistics.stdev(values) / len(values) ** 0.5
    return float(stdtrit(len(values) - 1, 0.975) * error)


def format_table(measures: list[dict[str, Any]]) -> str:
    """The rows of `results.json` as text: a line for each metric and code, averaged over seeds.

    With several seeds a line has the mean, its 95 % interval, and the lowest and highest value. A
    metric that was taken with several extractors names each.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    by: dict[str, set[tuple[Any, ...]]] = {}
    for measure in measures:
        extractor = (measure.get("extractor"), measure.get("extractor_hash"))
        key = (measure["checkpoint"], measure["name"], measure["code"], measure["split"], extractor)
        groups.setdefault(key, []).append(measure)
        by.setdefault(measure["name"], set()).add(extractor)
    lines = [("measure", "code", "split", "checkpoint", "value", "reference", "unit", "seeds")]
    for (checkpoint, name, code, split, extractor), rows in groups.items():
        values = [row["value"] for row in rows]
        value = f"{sum(values) / len(values):.4f}"
        if len(values) > 1:
            value += f" ± {half_interval(values):.4f} ({min(values):.4f} to {max(values):.4f})"
        steps = sorted({row["step"] for row in rows})
        at = f"{checkpoint}, step {steps[0]}" if len(steps) == 1 else checkpoint
        reference = rows[0]["reference"]
        of = "" if reference is None else f"{reference:.4f}"
        shown = "" if code is None else str(code)
        if len(by[name]) > 1:  # Features of two networks cannot be compared.
            name += f" ({' '.join(filter(None, extractor)) or 'no extractor'})"
        lines.append((name, shown, split, at, value, of, rows[0]["unit"], str(len(rows))))
    return text_table(lines)


IDENTITY = ("name", "seed", "step", "checkpoint", "split", "code", "extractor", "extractor_hash")


def merge_results(
    old: Iterable[dict[str, Any]], new: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of a `results.json` with new ones: each takes the place of the row that measures
    the same thing on the same networks, or stands at the end."""
    rows = {tuple(row.get(part) for part in IDENTITY): row for row in old}
    rows |= {tuple(row.get(part) for part in IDENTITY): row for row in new}
    return list(rows.values())
