"""The joint cost of logging every 10 steps, sampling every 100 and a checkpoint every 200.

python experiments/speed/overhead.py [--rounds=3]

Each config runs with and without them, in turn. A run's rate is that of its third quarter, which
contains neither compilation nor the final evaluation. The figures hold only if nothing else runs.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Config: steps. A quarter of them holds whole intervals of all three.
RUNS = {"infogan.py": 1_600, "gan.py": 8_000, "cgan.py": 800, "dcgan.py": 800}
OFTEN = {"log_every": 10, "sample_every": 100, "checkpoint_every": 200}


def rate(name: str, steps: int, often: bool) -> float:
    """Images/s in the third quarter of a run."""
    quarter = steps // 4
    every = OFTEN if often else {"log_every": quarter, "sample_every": steps}
    values = {"steps": steps, "checkpoint_every": steps, "eval_every": steps} | every
    values |= {"results_images": 64, "eval_images": 64, "best_by": "none", "progress": False}
    flags = [f"--config.{key}={value}" for key, value in values.items()]
    with tempfile.TemporaryDirectory() as folder:
        flags += [f"--config=configs/{name}", f"--workdir={folder}/run"]
        command = [sys.executable, "-m", "jaxgan.main", *flags]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for line in open(f"{folder}/run/metrics.jsonl")]
    third = [row for row in rows if 2 * quarter < row["step"] <= 3 * quarter]
    return statistics.harmonic_mean([row["time/images_per_s"] for row in third])


def main() -> None:
    """Prints a row of a Markdown table for each config."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print("| config | images/s without | with | cost | rounds |\n|---|---|---|---|---|")
    for name, steps in RUNS.items():
        pairs = [[rate(name, steps, x) for x in (False, True)] for _ in range(arguments.rounds)]
        costs = sorted(1 - often / seldom for seldom, often in pairs)
        seldom, often = (statistics.median(side) for side in zip(*pairs, strict=True))
        print(
            f"| `{name}` | {seldom:.0f} | {often:.0f} | {statistics.median(costs):.1%} |"
            f" {costs[0]:.1%} to {costs[-1]:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
