"""Reads a run's folder for the report. The run may be in training or of an older version: what is
absent is not shown, and what cannot be read is named in a notice."""

import json
import os
import re
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.common.errors import UserError
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.sheet_paths import Sheets
from jaxgan.reporting.writers import Metrics, read_metrics

_CONFUSION = re.compile(r"confusion(?:_seed_(\d+))?\.txt")


class Run(NamedTuple):
    """What a report shows of a run.

    Attributes:
      name: of its folder.
      about: `config.json`.
      rows, rollbacks: of `metrics.jsonl`.
      results: `results.json`; None where the run has not finished.
      sheets: one for each sheet and seed.
      pictures: paths of the other pictures.
      networks: `networks.txt`, or "".
      confusion: the confusion matrices' text by seed ("" where there is one seed).
      notices: a sentence for each file that could not be read.
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
    notices: list[str]

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.about["config"]
        return config

    @property
    def step(self) -> int:
        """The last step of which there is a row or a sheet."""
        return max([row["step"] for row in self.rows] + [s for x in self.sheets for s in x.files])

    @property
    def end(self) -> int:
        """The step that the run trains to, as far as is known."""
        return _end(self.config, self.results, self.rows) or self.step

    @property
    def measured(self) -> int | None:
        """The step of `results.json`; None where there is none."""
        if self.results is None:
            return None
        step = self.results.get("step")
        return step if isinstance(step, int) else self.step

    @property
    def seeds(self) -> int:
        return int(self.config.get("seeds", 1))

    def speed(self) -> tuple[float, float] | None:
        """The median images/s of a seed, and the seconds of training that the rows add up to."""
        told = {row["step"]: row.get("time/images_per_s") for row in self.rows}
        rates = {x: y for x, y in sorted(told.items()) if isinstance(y, int | float) and y > 0}
        if not rates or "batch_size" not in self.config:
            return None
        steps = [0, *rates]
        counts = (step - before for before, step in zip(steps, rates, strict=False))
        taken = sum(count / rate for count, rate in zip(counts, rates.values(), strict=True))
        return statistics.median(rates.values()), taken * self.config["batch_size"]


def read_run(workdir: str, results: Mapping[str, Any] | None = None) -> Run:
    """Reads a run's folder and changes nothing in it.

    Args:
      workdir: the folder.
      results: replaces `results.json`, which a finishing run writes after its report.

    Raises:
      UserError: if the folder holds no run, or nothing to show yet.
    """
    notices: list[str] = []
    about = _read_about(workdir)
    metrics = _read_metrics(workdir, notices)
    told = dict(results) if results is not None else _read_results(workdir, notices)
    end = _end(about["config"], told, metrics.rows)
    sheets = sheet_paths.list_sheets(workdir, float("inf") if end is None else end)
    if not metrics.rows and not sheets:
        raise UserError(f"{workdir} has nothing to show yet", "train it for longer")
    names = sorted(os.listdir(workdir))
    matrices = {m[1] or "": m[0] for m in map(_CONFUSION.fullmatch, names) if m}
    confusion = {seed: _text(workdir, name, notices) for seed, name in matrices.items()}
    return Run(
        name=os.path.basename(os.path.abspath(workdir)),
        about=about,
        rows=metrics.rows,
        rollbacks=metrics.rollbacks,
        results=told,
        sheets=sheets,
        pictures=[os.path.join(workdir, x) for x in names if x.endswith((".png", ".gif"))],
        networks=_text(workdir, "networks.txt", notices),
        confusion={seed: text for seed, text in confusion.items() if text.strip()},
        notices=notices,
    )


def _read_about(workdir: str) -> dict[str, Any]:
    path = os.path.join(workdir, "config.json")
    if not os.path.exists(path):
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder")
    try:
        about = _json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error})") from error
    if not isinstance(about.get("config"), dict):
        raise UserError(f"{path} is not a run's config")
    return about


def _read_results(workdir: str, notices: list[str]) -> dict[str, Any] | None:
    path = os.path.join(workdir, "results.json")
    if not os.path.lexists(path):
        return None
    try:
        return _json(path)
    except (OSError, ValueError) as error:
        notices.append(f"results.json cannot be read ({error}); its measures are missing here.")
        return None


def _json(path: str) -> dict[str, Any]:
    """A JSON object. Raises OSError or ValueError."""
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _text(workdir: str, name: str, notices: list[str]) -> str:
    """A file's text, invalid UTF-8 replaced; "" where there is none, with a notice where it cannot
    be read."""
    path = os.path.join(workdir, name)
    if not os.path.lexists(path):
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError as error:
        notices.append(f"{name} cannot be read ({error.strerror}).")
        return ""


def _read_metrics(workdir: str, notices: list[str]) -> Metrics:
    try:
        metrics = read_metrics(os.path.join(workdir, "metrics.jsonl"))
    except OSError as error:
        notices.append(f"metrics.jsonl cannot be read ({error.strerror}).")
        return Metrics([], [], 0)
    if metrics.unreadable:
        notices.append(f"metrics.jsonl: damaged lines left out: {metrics.unreadable}.")
    return metrics


def _end(
    config: Mapping[str, Any], results: Mapping[str, Any] | None, rows: list[dict[str, Any]]
) -> int | None:
    """The step that a run trains to. `config.json` has that of the first start; the run may have
    been continued for more steps, or ended after fewer."""
    last = max((row["step"] for row in rows), default=0)
    done = (results or {}).get("step")
    if isinstance(done, int) and done >= last:
        return done
    asked = config.get("steps")
    return max(asked, last) if isinstance(asked, int) else None
