"""Reads a run's folder for the report. The run may be in training or of an older version: what is
absent is not shown, and what cannot be read is named in a notice."""

import os
import re
import statistics
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from jaxgan.common.errors import UserError
from jaxgan.reporting import advice, sheet_paths
from jaxgan.reporting.sheet_paths import Sheets
from jaxgan.training import run_files
from jaxgan.training.run_files import Metrics, read_metrics

_T = TypeVar("_T")
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
    def chosen(self) -> dict[str, Any]:
        """The chosen seed ("seed") and the metric that chose it ("by"); {} for a single seed."""
        return (self.results or {}).get("chosen") or {}

    @property
    def seeds(self) -> int:
        return int(self.config.get("seeds", 1))

    def advice(self) -> list[advice.Finding]:
        """What has gone wrong; of a run in training, as far as its rows show."""
        measures = (self.results or {}).get("measures", [])
        return advice.advice(self.config, self.rows, measures, self.about["dataset"])

    def speed(self) -> tuple[float, float] | None:
        """The median images/s of a seed, and the seconds of training that the rows add up to."""
        logged = {row["step"]: row.get("time/images_per_s") for row in self.rows}
        rates = {x: y for x, y in sorted(logged.items()) if isinstance(y, int | float) and y > 0}
        if not rates or "batch_size" not in self.config:
            return None
        steps = [0, *rates]
        counts = (step - before for before, step in zip(steps, rates, strict=False))
        taken = sum(count / rate for count, rate in zip(counts, rates.values(), strict=True))
        return statistics.median(rates.values()), taken * self.config["batch_size"]


def read_run(workdir: str) -> Run:
    """Reads a run's folder and changes nothing in it.

    Raises:
      UserError: if the folder holds no run, or nothing to show yet.
    """
    about = run_files.read_info(workdir)
    if about is None:
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder")
    notices: list[str] = []

    def read(name: str, reader: Callable[[str], _T], absent: _T) -> _T:
        path = os.path.join(workdir, name)
        try:
            return reader(path) if os.path.lexists(path) else absent
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            notices.append(f"{name} cannot be read ({cause}).")
            return absent

    metrics = read(run_files.METRICS, read_metrics, Metrics([], []))
    if metrics.damaged:
        notices.append(f"metrics.jsonl: damaged lines left out: {metrics.damaged}.")
    try:
        measured = run_files.read_results(workdir)
    except UserError as error:
        measured = None
        notices.append(f"{str(error).removeprefix(workdir).lstrip(os.sep)}.")
    end = _end(about["config"], measured, metrics.rows)
    sheets = sheet_paths.list_sheets(workdir, float("inf") if end is None else end)
    if not metrics.rows and not sheets:
        raise UserError(f"{workdir} has nothing to show yet", "train it for longer")
    names = sorted(os.listdir(workdir))
    matrices = {m[1] or "": m[0] for m in map(_CONFUSION.fullmatch, names) if m}
    confusion = {seed: read(name, _read_text, "") for seed, name in matrices.items()}
    return Run(
        name=os.path.basename(os.path.abspath(workdir)),
        about=about,
        rows=metrics.rows,
        rollbacks=metrics.rollbacks,
        results=measured,
        sheets=sheets,
        pictures=[os.path.join(workdir, x) for x in names if x.endswith((".png", ".gif"))],
        networks=read("networks.txt", _read_text, ""),
        confusion={seed: text for seed, text in confusion.items() if text.strip()},
        notices=notices,
    )


def _read_text(path: str) -> str:
    """A file's text, with what is no UTF-8 replaced."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


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
