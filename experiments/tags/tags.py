"""Tags for drawn glyphs: the multi-modal CGAN over seeds, against lists of words that need no GAN.

python experiments/tags/tags.py [--seeds=2] [--steps=…]

The run is kept in runs/tags-N-seeds, and the same command resumes it. Writes table.md and tags.png
(the last sheet of the first seed) to this file's folder.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ROWS = {
    "": "generated, {} networks",
    "_linear": "linear map from features to word vectors",
    "_neighbours": "nearest training images by features",
    "_constant": "the ten commonest words, for every image",
}


def train(seeds: int, steps: int | None) -> pathlib.Path:
    """Trains or resumes a run of the default config; returns its folder."""
    folder = ROOT / "runs" / f"tags-{seeds}-seeds"
    command = [sys.executable, "-m", "jaxgan.main", "--config=configs/tags.py"]
    command += [f"--config.seeds={seeds}", f"--workdir={folder}"]
    command += [f"--config.steps={steps}"] if steps else []
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def table(measures: list[dict]) -> str:
    """A row for each list of words: means over the seeds, and the worst and the best seed."""
    lines = ["| tags of unseen images | precision at 10 | recall at 10 |", "|---|---|---|"]
    for suffix, title in ROWS.items():
        for checkpoint in ("best", "last") if not suffix else ("last",):
            found = [m for m in measures if m["checkpoint"] == checkpoint]
            cells = [
                cell([m["value"] for m in found if m["name"] == name + suffix])
                for name in ("tag_precision", "tag_recall")
            ]
            lines.append(f"| {title.format(checkpoint)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cell(values: list[float]) -> str:
    """The mean of the values, and their range if they differ."""
    if len(set(values)) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def main() -> None:
    """Writes the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int)
    arguments = parser.parse_args()
    folder = train(arguments.seeds, arguments.steps)
    measures = json.loads((folder / "results.json").read_text())["measures"]
    (HERE / "table.md").write_text(table(measures))
    first = "_seed_0" if arguments.seeds > 1 else ""
    shutil.copy(sorted(folder.glob(f"samples/step_*{first}.png"))[-1], HERE / "tags.png")
    print("\n" + table(measures))


if __name__ == "__main__":
    main()
