"""Four seeds of InfoGAN on the digits in one run, against four runs of one seed each.

python experiments/seeds/seeds.py [--seeds=4] [--steps=1500]

Prints the means and ranges of the measures, whether the results are the same to the last bit, and
the wall times, which hold only if nothing else runs.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from jaxgan.evaluation.registry import OF_SEEDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("code_accuracy", "nmi", "information_bound")


def train(folder: pathlib.Path, steps: int, *flags: str) -> tuple[float, list[dict]]:
    """Trains a run; returns its wall time in seconds and its rows of results.json."""
    command = [sys.executable, "-m", "jaxgan.main", "--config=configs/infogan.py", *flags]
    command += [f"--config.steps={steps}", f"--workdir={folder}", "--config.tensorboard=False"]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - began
    measures = json.loads((folder / "results.json").read_text(encoding="utf-8"))["measures"]
    # A run of one seed has no rows that compare seeds.
    return seconds, [measure for measure in measures if measure["name"] not in OF_SEEDS]


def describe(measures: list[dict], name: str) -> str:
    """The mean and the range over seeds of a measure of the last networks."""
    found = [m["value"] for m in measures if m["name"] == name and m["checkpoint"] == "last"]
    return f"{statistics.mean(found):.4f} ({min(found):.4f} to {max(found):.4f})"


def main() -> None:
    """Trains both ways and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=1500)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder = pathlib.Path(root)
        flag = f"--config.seeds={arguments.seeds}"
        together_seconds, together = train(folder / "together", arguments.steps, flag)
        apart_seconds, apart = 0.0, []
        for seed in range(arguments.seeds):
            flags = [f"--config.seed={seed}", "--config.seeds=1"]
            seconds, measures = train(folder / str(seed), arguments.steps, *flags)
            apart_seconds, apart = apart_seconds + seconds, apart + measures
    print(f"| measure, last | one run of {arguments.seeds} | {arguments.seeds} runs |")
    print("|---|---|---|")
    for name in NAMES:
        print(f"| {name} | {describe(together, name)} | {describe(apart, name)} |")
    print(f"| wall time | {together_seconds:.0f} s | {apart_seconds:.0f} s |")
    same = sorted(map(json.dumps, together)) == sorted(map(json.dumps, apart))
    print(f"\nresults the same to the last bit: {'yes' if same else 'no'}")


if __name__ == "__main__":
    main()
