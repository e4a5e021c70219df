"""`report.html`: one file that shows a run, or several side by side, and loads nothing."""

import base64
import hashlib
import importlib.resources
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from jaxgan.common.errors import DISK_FULL, UserError
from jaxgan.common.files import write_text
from jaxgan.inference import loading
from jaxgan.inference.trained_run import Run as TrainedRun
from jaxgan.models.registry import Modules
from jaxgan.reporting import explorer
from jaxgan.reporting.html import tables
from jaxgan.reporting.html.curves import plots
from jaxgan.reporting.html.pictures import sheets_over_time, single_pictures
from jaxgan.reporting.html.run_data import Run, read_run

FILE_NAME = "report.html"
# Of several runs, in the folder of the first, whose own report stays.
COMPARISON = "compare.html"
# Bytes of a report at most; pictures are made smaller or left out until it fits.
_LIMIT = 5_000_000
# Bytes of a section around its sheets.
_MARGIN = 2_000
# Each has a template of its name; it is left out where there is nothing to show.
_SECTIONS = {
    "notices": "Notices",
    "overview": "At a glance",
    "sheets": "Sheets over time",
    "explorer": "Latent explorer",
    "pictures": "Pictures",
    "measures": "Measures",
    "confusion": "Confusion",
    "curves": "Curves",
    "run": "What was run",
    "networks": "Networks",
}


def write_report(
    workdirs: Sequence[str],
    out: str | None = None,
    trained: TrainedRun | None = None,
    modules: Modules | None = None,
) -> str:
    """Writes the report of some runs, whole or not at all.

    Args:
      workdirs: the runs' folders, at least one.
      out: the file; None is report.html in the folder, of several runs compare.html in the first.
      trained: the networks that a single run's explorer shows; None loads those of every run.
      modules: the networks, if they are not those that the configs name.

    Returns:
      The file's path.

    Raises:
      UserError: if a folder holds no run, or nothing to show yet.
      OSError: if the file cannot be written.
    """
    runs = _with_distinct_names([read_run(workdir) for workdir in workdirs], workdirs)
    explorers = {}
    for run, workdir in zip(runs, workdirs, strict=True):
        found = _explorer(run, workdir, trained, modules, explorer.BUDGET // len(runs))
        if found is not None:
            explorers[run.name] = found
    path = out or os.path.join(workdirs[0], FILE_NAME if len(runs) == 1 else COMPARISON)
    write_text(path, render(runs, explorers=explorers))
    return path


def may_replace(path: str) -> bool:
    """Whether a report may be written to a file: it is not there, or is a page of ours."""
    if not os.path.exists(path):
        return True
    with open(path, "rb") as file:
        return b"<footer>Made by jaxgan." in file.read()


def renew_report(
    workdir: str,
    say: Callable[[str], None],
    trained: TrainedRun | None = None,
    modules: Modules | None = None,
) -> None:
    """Writes a run's own report, or says why it cannot.

    Args:
      workdir: the run's folder.
      say: takes the line.
      trained, modules: as for `write_report`.

    Raises:
      OSError: if the disk is full.
    """
    try:
        write_report([workdir], trained=trained, modules=modules)
    except UserError as error:
        say(f"no {FILE_NAME}: {error}")
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        say(f"no {FILE_NAME}: {error.strerror}")


def render(
    runs: Sequence[Run],
    limit: int = _LIMIT,
    explorers: Mapping[str, explorer.Explorer] = MappingProxyType({}),
) -> str:
    """The report as HTML.

    Args:
      runs: at least one; of several no two have one name.
      limit: bytes; only curves, tables and explorers may exceed it.
      explorers: the latent explorers, by the names of their runs.
    """
    sections: dict[str, Any] = {
        "notices": [
            f"{run.name}: {notice}" if len(runs) > 1 else notice
            for run in runs
            for notice in run.notices
        ],
        "overview": _overview(runs),
        "run": tables.run_tables(runs),
        "curves": plots(runs),
        "measures": tables.measures(runs),
        "confusion": tables.confusions(runs),
        "networks": _networks(runs),
        "explorer": explorers,
    }
    # The pictures have a third of what is free, the sheets the rest.
    budget = (limit - len(_fill_in(runs, sections).encode())) // 3
    sections["pictures"] = single_pictures(runs, budget, sections["notices"])
    budget = limit - len(_fill_in(runs, sections).encode()) - _MARGIN
    sections["sheets"] = sheets_over_time(runs, budget)
    return _fill_in(runs, sections)


def content_hash(source: str) -> str:
    """Names a script or a style in the report's Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _with_distinct_names(runs: list[Run], workdirs: Sequence[str]) -> list[Run]:
    """Names the runs by their folders, or where these are equal by a number and the path."""
    if len({run.name for run in runs}) == len(runs):
        return runs
    return [
        run._replace(name=f"{i}: {workdir}")
        for i, (run, workdir) in enumerate(zip(runs, workdirs, strict=True), 1)
    ]


def _explorer(
    run: Run,
    workdir: str,
    trained: TrainedRun | None,
    modules: Modules | None,
    budget: int,
) -> explorer.Explorer | None:
    """A run's explorer; None without one, for which a notice says why if it might be expected."""
    if trained is None:
        if not os.path.isdir(os.path.join(workdir, "checkpoints")):
            return None
        try:
            trained = loading.load(workdir, modules=modules)
        except UserError as error:
            why = error.what.replace(workdir, run.name)
            run.notices.append(f"There is no latent explorer: {why}.")
            return None
    return explorer.explorer(trained, budget)


class _Overview(NamedTuple):
    """What went wrong, the main measures, and what to do next: answers to three questions."""

    wrong: list[str]
    measures: tables.Table | None
    remedies: list[str]


def _overview(runs: Sequence[Run]) -> _Overview:
    """The overview of some runs; of several each sentence begins with its run's name."""
    wrong, remedies = [], []
    for run in runs:
        name = f"{run.name}: " if len(runs) > 1 else ""
        for finding in run.advice():
            wrong.append(name + finding.what)
            remedies.append(name + finding.remedy)
    for run in runs:  # Last: the numbers of the others are those of their remedies.
        name = f"{run.name}: " if len(runs) > 1 else ""
        ended = (run.results or {}).get("ended", {})
        wrong += [f"{name}stopped: {what}" for what in ended.values()]
    return _Overview(wrong, tables.main_measures(runs), remedies)


def _networks(runs: Sequence[Run]) -> dict[str, list[str]]:
    """The names of the runs, by the networks that they share."""
    found: dict[str, list[str]] = {}
    for run in runs:
        if run.networks.strip():
            found.setdefault(run.networks, []).append(run.name)
    return found


def _fill_in(runs: Sequence[Run], sections: Mapping[str, Any]) -> str:
    files = importlib.resources.files("jaxgan.reporting.html")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (files / "templates" / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (files / "page.css").read_text("utf-8")
    script = "".join((files / name).read_text("utf-8") for name in ("page.js", "explorer.js"))
    page = environment.get_template("report.html.j2").render(
        runs=[run.name for run in runs],
        title=", ".join(run.name for run in runs),
        summaries=list(dict.fromkeys(map(tables.summary, runs))),
        titles={name: title for name, title in _SECTIONS.items() if sections.get(name)},
        style=Markup(style),
        script=Markup(script),
        style_hash=content_hash(style),
        script_hash=content_hash(script),
        **sections,
    )
    # A file's name may be no UTF-8, which Python holds as lone surrogates.
    return page.encode(errors="replace").decode()
