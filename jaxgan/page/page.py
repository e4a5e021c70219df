"""`report.html`: one file that shows one run, or several side by side."""

import base64
import errno
import hashlib
import importlib.resources
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxgan.common.errors import UserError
from jaxgan.common.files import write_text
from jaxgan.models.latents import Code, parse_codes
from jaxgan.page import curves, tables
from jaxgan.page.diagram import diagram
from jaxgan.page.markup import tag, text
from jaxgan.page.pictures import Picture, fit, fit_others
from jaxgan.page.runs import Run, read
from jaxgan.reporting.sheet_paths import Sheets

NAME = "report.html"
# A page has so many bytes at most. Of the room for pictures a third is for single ones, and each of
# these has so much at most.
MOST, _EACH = 5_000_000, 900_000
# What the pictures of a run's folder show, by how their names begin. Not curves.png, which is drawn
# anew; what begins otherwise comes last, under its name.
_SHOW = {
    "strip": "Over training: a row for each of up to ten steps.",
    "walk": "Walks from one noise to another.",
    "training": "The first sheet at each step at which one was drawn.",
    "arithmetic": "Arithmetic on means of noises.",
    "neighbours": "Generated images, and beside each its nearest training images.",
    "discriminator": "What the discriminator sees.",
}


def write(
    workdirs: Sequence[str], out: str | None = None, results: Mapping[str, Any] | None = None
) -> str:
    """Writes the page of some runs, whole or not at all.

    Args:
      workdirs: the runs' folders, at least one.
      out: the file; None is report.html in the first folder.
      results: what the `results.json` of the first is about to say; None is what it says.

    Returns:
      The file's path.

    Raises:
      UserError: if a folder holds no run, or nothing to show yet.
      OSError: if the file cannot be written.
    """
    runs = [read(workdir, None if i else results) for i, workdir in enumerate(workdirs)]
    path = out or os.path.join(workdirs[0], NAME)
    write_text(path, page(_told_apart(runs, workdirs)))
    return path


def renew(workdir: str, results: Mapping[str, Any] | None, say: Callable[[str], None]) -> None:
    """Writes a run's own page where that is possible, and says why where not: a page that cannot be
    written is no reason to lose what was measured.

    Args:
      workdir, results: as in `write`.
      say: where that is said.

    Raises:
      OSError: if the disk is full.
    """
    try:
        write([workdir], results=results)
    except UserError as error:
        say(f"no {NAME}: {error}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        say(f"no {NAME}: {error.strerror}")


def page(runs: Sequence[Run], most: int = MOST) -> str:
    """The page.

    Args:
      runs: at least one; of several no two have one name.
      most: bytes; pictures are thinned out until they fit.
    """
    sections = {
        "What was run": tables.what(runs),
        "Curves": _curves(runs),
        "Sheets over time": "",
        "Measures": tables.measures(runs),
        "Confusion": _confusion(runs),
        "Pictures": "",
        "Networks": _networks(runs),
    }
    room = most - len(_whole(runs, sections).encode()) - 2000
    sections["Pictures"] = _pictures(runs, room // 3)
    room -= len(sections["Pictures"].encode())
    sections["Sheets over time"] = _sheets(runs, room)
    return _whole(runs, sections)


def _told_apart(runs: list[Run], workdirs: Sequence[str]) -> list[Run]:
    """Under the names of their folders, or where these are the same, under the paths."""
    if len({run.name for run in runs}) == len(runs):
        return runs
    found = []
    for i, (run, workdir) in enumerate(zip(runs, workdirs, strict=True)):
        again = workdir in workdirs[:i]
        found.append(run._replace(name=f"{workdir} ({i + 1})" if again else workdir))
    return found


def _whole(runs: Sequence[Run], sections: Mapping[str, str]) -> str:
    files = importlib.resources.files("jaxgan.page")
    style, script = ((files / name).read_text() for name in ("page.css", "page.js"))
    # Nothing but what stands in this file: no script or style that a name of a run could bring in.
    policy = (
        f"default-src 'none'; img-src data:; style-src '{digest(style)}';"
        f" script-src '{digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    title = ", ".join(run.name for run in runs)
    shown = {name: content for name, content in sections.items() if content}
    links = [tag("a", text(name), href=f"#{_slug(name)}") for name in shown]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", text(f"{title}: jaxgan")),
        f"<style>{style}</style>",
    )
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", text(title)),
            tag("button", "Dark", id="theme", type="button", hidden=True),
            tag("p", text(" · ".join(dict.fromkeys(map(_summary, runs))))),
            tag("nav", *links, aria_label="sections"),
        ),
        tag(
            "main",
            *(
                tag("section", tag("h2", text(name)), content, id=_slug(name))
                for name, content in shown.items()
            ),
        ),
        tag("footer", "Made by jaxgan. One file: it loads nothing from anywhere."),
        f"<script>{script}</script>",
    )
    return f'<!DOCTYPE html>\n<html lang="en">{head}{body}</html>\n'


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")


def digest(source: str) -> str:
    """How a page's policy names a script or a style that it allows."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _summary(run: Run) -> str:
    data = run.about.get("dataset", {}).get("name", "")
    state = ""
    if run.measured is None:
        state = ", not finished"
    elif run.measured < run.step:  # It goes on after an end that is told of.
        state = f", not finished, measured at step {run.measured:,}"
    return f"{tables.system(run)} on {data}, {run.step:,} updates{state}"


def _curves(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        first, other = curves.of_one(runs[0].rows, runs[0].config)
    else:
        first, other = curves.of_many({run.name: run.rows for run in runs})
    said = tag(
        "p",
        "Pale: each seed. Strong: the mean over the seeds and over a fiftieth of the run. A few"
        " extreme values may lie outside.",
        class_="note",
    )
    more = tag("details", tag("summary", "More"), tag("div", other, class_="plots"))
    return said + tag("div", first, class_="plots") + (more if other else "") if first else ""


# --- Sheets


def _sheets(runs: Sequence[Run], room: int) -> str:
    """The sheets with one slider for all of them, so that all show one step."""
    owner = {id(sheets): run for run in runs for sheets in run.sheets}
    fitted = fit([sheets for run in runs for sheets in run.sheets], room)
    if not fitted.shown:
        return ""
    steps = sorted({step for _, found in fitted.shown for step in found})
    frames = [_frames(runs, owner[id(sheets)], sheets, found) for sheets, found in fitted.shown]
    player = tag(
        "div",
        tag("button", "Play", id="play", type="button"),
        tag(
            "input",
            id="step",
            type="range",
            min=0,
            max=len(steps) - 1,
            value=len(steps) - 1,
            aria_label="step of the sheets",
            aria_valuetext=f"step {steps[-1]:,}",
            data_steps=" ".join(map(str, steps)),
        ),
        tag("output", text(f"step {steps[-1]:,}"), for_="step"),
        class_="player",
        hidden=True,
    )
    said = tag("p", text(fitted.said), class_="note") if fitted.said else ""
    return said + player + tag("div", *frames, class_="sheets")


def _frames(runs: Sequence[Run], run: Run, sheets: Sheets, found: Mapping[int, Picture]) -> str:
    """One sheet's pictures; without a script the last is shown, on paper three of them."""
    steps = list(found)
    printed = {steps[0], steps[len(steps) // 2], steps[-1]}
    title = sheets.name.replace("_", " ") if sheets.name else ""
    if sheets.name == "" and run.config.get("latent.codes"):
        title = "code 0"
    parts = [
        run.name if len(runs) > 1 else "",
        title,
        "" if sheets.seed is None else f"seed {sheets.seed}",
    ]
    named = ", ".join(filter(None, parts))
    frames = [
        tag(
            "figure",
            one.image(f"sheet {named} at step {step:,}".replace("  ", " ")),
            tag("figcaption", text(f"step {step:,}")),
            data_step=step,
            data_print=step in printed,
            hidden=step != steps[-1],
        )
        for step, one in found.items()
    ]
    caption = (tag("b", text(named)) + " " if named else "") + text(shows(run, sheets.name))
    return tag("div", tag("p", caption), tag("div", *frames, class_="frames"), class_="sheet")


def shows(run: Run, sheet: str) -> str:
    """What a sheet shows: the README's words."""
    if sheet and not sheet.startswith("code_"):
        return ""
    if codes := _codes(str(run.config.get("latent.codes", ""))):
        number = sheet.removeprefix("code_") or "0"
        if not number.isdecimal() or int(number) >= len(codes):
            return ""
        if codes[int(number)].categorical:
            return "A row for each value of the code, a column for each noise."
        return "The code from -2 to 2 along each row; the rest is the same in a row."
    if tuple(run.about.get("dataset", {}).get("image_shape", ()))[:2] == (1, 1):
        return "Points: a square from -3 to 3."
    return {
        "label": "A row for each label, a column for each noise.",
        "known_part": "A row for each of ten unseen images: what is known of it, eight fillings,"
        " and the image itself.",
    }.get(str(run.config.get("condition.kind")), "The same noise at every step.")


def _codes(told: str) -> tuple[Code, ...]:
    """The run's codes; none where another version wrote them in another way."""
    try:
        return parse_codes(told)
    except UserError:
        return ()


# --- Single pictures, tables of labels, networks


def _pictures(runs: Sequence[Run], room: int) -> str:
    paths = [
        path for run in runs for path in run.pictures if not _begins(path).startswith("curves")
    ]
    paths.sort(key=lambda path: [not _begins(path).startswith(known) for known in _SHOW])
    shown, left_out = fit_others(paths, room, _EACH)
    figures = []
    for path, one in shown.items():
        known = next((known for known in _SHOW if _begins(path).startswith(known)), None)
        said = f" {_SHOW[known]}" if known else ""
        owner = next(run.name for run in runs if path in run.pictures)
        name = f"{owner}/{os.path.basename(path)}" if len(runs) > 1 else os.path.basename(path)
        caption = tag("figcaption", tag("b", text(name)), text(said))
        figures.append(tag("figure", caption, one.image(f"{name}:{said}")))
    names = ", ".join(os.path.basename(path) for path in left_out)
    note = tag(
        "p",
        text(f"In the run's folder, but too large for this page (or damaged): {names}."),
        class_="note",
    )
    return tag("div", *figures, class_="pictures") * bool(figures) + note * bool(left_out)


def _begins(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _confusion(runs: Sequence[Run]) -> str:
    found = []
    for run in runs:
        rows = (run.results or {}).get("measures", [])
        for seed, told in run.confusion.items():
            of = [run.name] * (len(runs) > 1) + [f"seed {seed}"] * bool(seed)
            found.append(tag("h3", text(", ".join(of))) * bool(of) + tables.confusion(told, rows))
    said = tag("p", "Which label is read (columns) where which was asked for (rows).")
    return said + "".join(found) if found else ""


def _networks(runs: Sequence[Run]) -> str:
    drawn: dict[str, list[str]] = {}
    for run in runs:
        if picture := diagram(run.networks, run.about):
            drawn.setdefault(picture, []).append(run.name)
    said = tag(
        "p",
        "Layers in the order in which they run, with their output's shape. A bar is a layer's share"
        " of its network's parameters.",
        class_="note",
    )
    parts = [
        tag("h3", text(", ".join(names))) * (len(drawn) > 1) + picture
        for picture, names in drawn.items()
    ]
    return said + "".join(parts) if parts else ""
