"""What a run's folder tells of it. Also of a run in training, and of one that an older version
wrote: what is not there is not shown."""

import json
import os
import re
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.common.errors import UserError
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.sheet_paths import Sheets

# What every row of `metrics.jsonl` has.
_OF = ("step", "seed")
_CONFUSION = re.compile(r"confusion(?:_seed_(\d+))?\.txt")


class Run(NamedTuple):
    """What is shown of a run.

    Attributes:
      name: of its folder.
      about: `config.json`.
      rows, rollbacks: of `metrics.jsonl`.
      results: `results.json`; None where the run has not finished.
      sheets: one for each sheet and seed.
      pictures: the other pictures' files, by name.
      networks: `networks.txt`, or "".
      confusion: which label was read where which was asked for, by seed ("" where there is one).
    """

    name: str
    about: dict[str, Any]
    rows: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]
    results: dict[str, Any] | None
    sheets: list[Sheets]
    pictures: list[str]
    networks: str
    confusion: dict[str, str]

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.about["config"]
        return found

    @property
    def step(self) -> int:
        """The last one that something is known of."""
        steps = [row["step"] for row in self.rows] + [s for x in self.sheets for s in x.files]
        return max(steps)

    @property
    def end(self) -> int:
        """The step that it trains to, as far as is known."""
        return _end(self.config, self.results, self.rows) or self.step

    @property
    def measured(self) -> int | None:
        """The step of `results.json`; None where the run has not come to an end yet."""
        if self.results is None:
            return None
        step = self.results.get("step")
        return step if isinstance(step, int) else self.step

    @property
    def seeds(self) -> int:
        return int(self.config.get("seeds", 1))

    def speed(self) -> tuple[float, float] | None:
        """Images/s (the median over the rows), and the seconds that the training took by them."""
        told = {row["step"]: row.get("time/images_per_s") for row in self.rows}
        rates = {x: y for x, y in sorted(told.items()) if isinstance(y, int | float) and y > 0}
        if not rates or "batch_size" not in self.config:
            return None
        steps = [0, *rates]
        counts = (step - before for before, step in zip(steps, rates, strict=False))
        taken = sum(count / rate for count, rate in zip(counts, rates.values(), strict=True))
        return statistics.median(rates.values()), taken * self.config["batch_size"]


def read(workdir: str, results: Mapping[str, Any] | None = None) -> Run:
    """Reads a run's folder; nothing in it is changed, and it may be in training.

    Args:
      workdir: the folder.
      results: what its `results.json` is about to say; None is what it says.

    Raises:
      UserError: if there is no run, or nothing to show of it yet.
    """
    about = _json(os.path.join(workdir, "config.json"))
    if about is None:
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder")
    if not isinstance(about.get("config"), dict):
        raise UserError(f"{workdir}/config.json is not a run's config")
    rows, rollbacks = read_metrics(os.path.join(workdir, "metrics.jsonl"))
    told = _json(os.path.join(workdir, "results.json")) if results is None else dict(results)
    end = _end(about["config"], told, rows)
    sheets = sheet_paths.list_sheets(workdir, float("inf") if end is None else end)
    if not rows and not sheets:
        raise UserError(f"{workdir} has nothing to show yet", "train it for longer")
    names = sorted(os.listdir(workdir))
    tables = {
        m[1] or "": _text(os.path.join(workdir, m[0]))
        for m in map(_CONFUSION.fullmatch, names)
        if m
    }
    return Run(
        os.path.basename(os.path.abspath(workdir)),
        about,
        rows,
        rollbacks,
        told,
        sheets,
        [os.path.join(workdir, name) for name in names if name.endswith((".png", ".gif"))],
        _text(os.path.join(workdir, "networks.txt")),
        {seed: table for seed, table in tables.items() if table.strip()},
    )


def read_metrics(path: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a `metrics.jsonl` that hold metrics, and those that tell of a rollback. Lines
    that are damaged, or of no step and seed, are passed over: the others are as good without."""
    rows: list[dict[str, Any]] = []
    rollbacks: list[dict[str, Any]] = []
    for line in _text(path).split("\n")[:-1]:  # The last one is not whole yet.
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not all(isinstance(row.get(x), int) for x in _OF):
            continue
        (rollbacks if "rolled_back" in row else rows).append(row)
    return rows, rollbacks


def _end(
    config: Mapping[str, Any], results: Mapping[str, Any] | None, rows: list[dict[str, Any]]
) -> int | None:
    """The step that a run trains to: `config.json` knows that of its first start alone, and it may
    have gone on for more steps or ended after fewer."""
    last = max((row["step"] for row in rows), default=0)
    done = (results or {}).get("step")
    if isinstance(done, int) and done >= last:
        return done
    asked = config.get("steps")
    return max(asked, last) if isinstance(asked, int) else None


def _json(path: str) -> dict[str, Any] | None:
    if not os.path.exists(path):
        return None
    try:
        with open(path) as file:
            found = json.load(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} was not written by jaxgan")
    return found


def _text(path: str) -> str:
    """The file's text, what is no UTF-8 of it replaced; "" where there is none to be read."""
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
