"""Reads what a run writes: `config.json`, `results.json`, `metrics.jsonl`.

Someone else's run, or a damaged one, is data like any other: each fault of a file is a UserError of
one line that names the file and the field.
"""

import json
import os
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec

from jaxgan.common.errors import UserError, file_errors
from jaxgan.common.reading import open_file
from jaxgan.config.keys import KEYS

CONFIG, METRICS, RESULTS = "config.json", "metrics.jsonl", "results.json"
# Of a run's networks: best on the validation split; the last ones; those without moving averages.
CHECKPOINTS = ("best", "last", "raw")

_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Number = _Int64 | float | None


class _DatasetInfo(TypedDict):
    name: str
    sha256: str
    image_shape: tuple[_Count, _Count, _Count]
    label_names: list[str]
    classes: list[_Count]
    train: _Count
    content_sha256: NotRequired[str]
    features: NotRequired[_Count]


class _RunInfo(TypedDict):
    config: dict[str, bool | _Int64 | float | str]
    dataset: _DatasetInfo
    command: NotRequired[str | None]
    versions: NotRequired[dict[str, str]]
    device: NotRequired[str]
    devices: NotRequired[_Count]
    commit: NotRequired[str | None]
    own_networks: NotRequired[bool]


class _Measure(TypedDict):
    name: str
    value: float
    unit: str
    split: str
    seed: _Count
    step: _Count
    checkpoint: str
    code: NotRequired[_Count | None]
    reference: NotRequired[float | None]
    extractor: NotRequired[str | None]
    extractor_hash: NotRequired[str | None]
    n_real: NotRequired[_Count]
    n_generated: NotRequired[_Count]
    protocol: NotRequired[str]


class _RollBack(TypedDict):
    step: _Count
    seed: _Count
    attempt: _Count
    rolled_back: str


class _Chosen(TypedDict):
    seed: _Count
    by: str


class _Results(TypedDict):
    step: _Count
    measures: list[_Measure]
    rollbacks: NotRequired[list[_RollBack]]
    ended: NotRequired[dict[str, str]]
    scores: NotRequired[dict[str, float]]
    chosen: NotRequired[_Chosen | None]


class _Place(TypedDict):
    step: _Count
    seed: _Count


def read_info(workdir: str) -> dict[str, Any] | None:
    """The content of `config.json`, or None if there is none; UserError if it is not a run's."""
    path = os.path.join(workdir, CONFIG)
    found: dict[str, Any] | None = _read_json(path, _RunInfo)
    for key, value in (found["config"] if found else {}).items():
        kind = type(KEYS[key].default) if key in KEYS else type(value)
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise DamagedFile(f"{path} is damaged, or not a run's: {key}={value!r}")
    return found


def read_results(workdir: str) -> dict[str, Any] | None:
    """The content of `results.json`, or None if the run has not finished; UserError if it is not a
    run's."""
    found = _read_json(os.path.join(workdir, RESULTS), _Results)
    if found is not None:
        for measure in found["measures"]:  # Of older versions some are not there.
            measure |= {"code": None, "reference": None} | measure
        for name, absent in (("rollbacks", []), ("ended", {}), ("scores", {}), ("chosen", None)):
            found.setdefault(name, absent)
    return found


def _read_json(path: str, kind: Any) -> Any:
    """The content of a JSON file of this type, or None if there is no file."""
    try:
        with file_errors(path):
            if not os.path.lexists(path):
                return None
            with open_file(path) as file:
                text = file.read().decode("utf-8-sig")
        return _parse(text, kind)
    except (ValueError, _Mistyped) as error:
        raise DamagedFile(f"{path} is damaged, or not a run's: {error}") from None


class DamagedFile(UserError):
    """A file's content is not what a run writes. An error while reading, which may be temporary, is
    a plain UserError."""


class _Mistyped(Exception):
    """A text is not JSON, or not of the type that it should have; the message names the field."""


def _parse(text: str | bytes, kind: Any) -> Any:
    """Parses JSON; raises _Mistyped."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: lists in lists in lists …
        raise _Mistyped(error) from None
    try:
        msgspec.convert(found, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # Of a lone surrogate.
        raise _Mistyped(error) from None
    return found


class Metrics(NamedTuple):
    """The lines of a `metrics.jsonl`: rows of metrics, rollbacks, the number of damaged lines."""

    rows: list[dict[str, Any]]
    rollbacks: list[dict[str, Any]]
    damaged: int = 0


def read_metrics(path: str) -> Metrics:
    """Reads a `metrics.jsonl`, whose last line may be torn.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it is not a regular file.
    """
    rows: list[dict[str, Any]] = []
    rollbacks: list[dict[str, Any]] = []
    with open_file(path) as file:
        lines = file.read().split(b"\n")[:-1]
    for line in lines:
        row = read_row(line)
        if row is not None:
            (rollbacks if "rolled_back" in row else rows).append(row)
    return Metrics(rows, rollbacks, len(lines) - len(rows) - len(rollbacks))


def read_row(line: bytes) -> dict[str, Any] | None:
    """A line of `metrics.jsonl`, or None if it is damaged."""
    try:
        row: dict[str, Any] = _parse(line, _RollBack if b'"rolled_back"' in line else _Place)
        if "rolled_back" not in row:
            msgspec.convert(row, dict[str, _Number])
    except (_Mistyped, msgspec.ValidationError, UnicodeEncodeError):
        return None
    return row
