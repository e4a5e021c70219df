"""Kills one short run ten times with SIGKILL and holds its end against an undisturbed one's.

python experiments/kills/kills.py [--kills=10] [--seed=0]
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = [
    f"--config={ROOT}/configs/infogan.py:continuous,width=0.1,batch_size=16,steps=2500,log_every=10",
    "--config.sample_every=500",
    "--config.eval_every=500",
    "--config.checkpoint_every=100",
    "--config.eval_images=200",
    "--config.results_images=200",
]


def start(folder: pathlib.Path) -> subprocess.Popen:
    """The run, or its continuation, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "jaxgan.main", *FLAGS, f"--workdir={folder}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def checkpoints(folder: pathlib.Path) -> list[int]:
    """The steps of the complete checkpoints, in order."""
    root = folder / "checkpoints"
    names = os.listdir(root) if root.exists() else []
    return sorted(int(name) for name in names if name.isdigit())


def end(folder: pathlib.Path) -> dict:
    """What two runs are compared by: every row but its times, the results, every leaf's SHA-256."""
    with open(folder / "metrics.jsonl") as file:
        rows = [json.loads(line) for line in file]
    last = folder / "checkpoints" / str(checkpoints(folder)[-1])
    return {
        "rows": [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows],
        "results": json.loads((folder / "results.json").read_text()),
        "parameters": json.loads((last / "digests" / "metadata").read_text()),
    }


def main() -> int:
    """Runs the comparison; the exit status says whether the bits are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        calm, struck = pathlib.Path(scratch, "calm"), pathlib.Path(scratch, "struck")
        began = time.monotonic()
        assert start(calm).wait() == 0
        whole = time.monotonic() - began
        after_a_checkpoint = 0
        for kill in range(asked.kills):
            process = start(struck)
            if kill % 2:
                # Every other kill waits for a checkpoint that was not there when it began.
                before = checkpoints(struck)
                while checkpoints(struck) == before and process.poll() is None:
                    time.sleep(0.02)
                time.sleep(chance.uniform(0, 1))
            else:
                time.sleep(chance.uniform(0.2, whole / 3))
            alive = process.poll() is None
            process.kill()
            process.wait()
            there = checkpoints(struck)
            after_a_checkpoint += bool(there)
            print(
                f"kill {kill + 1}: {'running' if alive else 'ended'}, checkpoints {there}",
                flush=True,
            )
        assert start(struck).wait() == 0
        same = {name: end(calm)[name] == end(struck)[name] for name in end(calm)}
    print(f"kills {asked.kills}, after a checkpoint {after_a_checkpoint}; the same bits: {same}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
