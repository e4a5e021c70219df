"""The paths of a run's sheets: `samples/step_000500.png`, or with the sheet's name and the seed
`samples/step_000500_code_1_seed_3.png` if there are several."""

import os
import re
from typing import NamedTuple

FOLDER = "samples"
_FILE = re.compile(r"step_(\d+)(?:_(?!seed_)(\w+?))?(?:_seed_(\d+))?\.png")


class Sheets(NamedTuple):
    """One sheet over the run: its name ("" or "code_1"), its seed (None if the run has only one),
    and its files by ascending step."""

    name: str
    seed: int | None
    files: dict[int, str]


def seed_in_names(seed: int, seeds: int) -> int | None:
    """The seed for file names: None if the run has only one."""
    return seed if seeds > 1 else None


def suffix(seed: int | None, name: str = "") -> str:
    """The end of a picture's file name, such as "_code_1_seed_3"."""
    of_seed = "" if seed is None else f"seed_{seed}"
    return "".join(f"_{part}" for part in (name, of_seed) if part)


def file_name(step: int, seed: int | None, name: str = "") -> str:
    """The name of a sheet's file in `samples/`."""
    return f"step_{step:06}{suffix(seed, name)}.png"


def list_sheets(workdir: str, most: float = float("inf")) -> list[Sheets]:
    """The sheets in a run's folder up to step `most`. (Later sheets are left over if an earlier
    start of the run had more steps.)"""
    folder = os.path.join(workdir, FOLDER)
    found: dict[tuple[str, int], dict[int, str]] = {}
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    for match in filter(None, map(_FILE.fullmatch, names)):
        step, name_and_seed = int(match[1]), (match[2] or "", int(match[3] or -1))
        path = os.path.join(folder, match[0])
        if step <= most and os.path.isfile(path):
            found.setdefault(name_and_seed, {})[step] = path
    return [
        Sheets(name, None if seed < 0 else seed, dict(sorted(files.items())))
        for (name, seed), files in sorted(found.items())
    ]


def sheets_of_seed(workdir: str, seed: int | None, most: float = float("inf")) -> dict[int, str]:
    """The files of a seed's first sheet, by ascending step."""
    return next((x.files for x in list_sheets(workdir, most) if x[:2] == ("", seed)), {})
