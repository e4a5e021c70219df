"""What a run's folder tells of it. Also of a run in training, and of one that an older version
wrote: what is not there is not shown."""

import json
import os
import re
import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxgan.config import UserError
from jaxgan.writers import read_rollbacks, read_rows

_SHEET = re.compile(r"step_(\d+)(?:_(?!seed_)(\w+?))?(?:_seed_(\d+))?\.png")
_CONFUSION = re.compile(r"confusion(?:_seed_(\d+))?\.txt")


class Sheets(NamedTuple):
    """One sheet over the run: its name ("" or "code_1"), its seed (None where there is one only),
    and its files by step, ascending."""

    name: str
    seed: int | None
    files: dict[int, str]


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
    def seeds(self) -> int:
        return int(self.config.get("seeds", 1))

    def speed(self) -> tuple[float, float] | None:
        """Images/s (the median over the rows), and the seconds that the training took by them."""
        rates = {row["step"]: row.get("time/images_per_s", 0) for row in self.rows}
        rates = {step: rate for step, rate in sorted(rates.items()) if rate > 0}
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
    steps = about["config"].get("steps", float("inf"))
    metrics = os.path.join(workdir, "metrics.jsonl")
    try:
        there = os.path.exists(metrics)
        rows, rollbacks = (read_rows(metrics), read_rollbacks(metrics)) if there else ([], [])
    except ValueError as error:
        raise UserError(f"{metrics} is damaged ({error})") from error
    sheets = _sheets(os.path.join(workdir, "samples"), steps)
    if not rows and not sheets:
        raise UserError(f"{workdir} has nothing to show yet", "train it for longer")
    names = sorted(os.listdir(workdir))
    confusion = {m[1] or "": m[0] for m in map(_CONFUSION.fullmatch, names) if m}
    return Run(
        os.path.basename(os.path.abspath(workdir)),
        about,
        rows,
        rollbacks,
        _json(os.path.join(workdir, "results.json")) if results is None else dict(results),
        sheets,
        [os.path.join(workdir, name) for name in names if name.endswith((".png", ".gif"))],
        _text(os.path.join(workdir, "networks.txt")),
        {seed: _text(os.path.join(workdir, name)) for seed, name in confusion.items()},
    )


def _sheets(folder: str, most: float) -> list[Sheets]:
    found: dict[tuple[str, int], dict[int, str]] = {}
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for match in filter(None, map(_SHEET.fullmatch, names)):
        step, which = int(match[1]), (match[2] or "", int(match[3] or -1))
        # One that was started for more steps and stopped may have left later ones.
        if step <= most:
            found.setdefault(which, {})[step] = os.path.join(folder, match[0])
    return [
        Sheets(name, None if seed < 0 else seed, dict(sorted(files.items())))
        for (name, seed), files in sorted(found.items())
    ]


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
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()
