"""Trains a config three times, once with an interruption: all must end with the same bits.

python experiments/devices/same_bits.py [configs/gan.py configs/dcgan.py …] [--steps=400]

On the devices that JAX finds. Exit status: 0 if all are the same, otherwise 1.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIGS = ("configs/gan.py", "configs/cgan.py", "configs/dcgan.py", "configs/infogan.py:document")


def start(config: str, steps: int, workdir: pathlib.Path) -> subprocess.Popen:
    """Starts or resumes a run."""
    flags = [f"--config={config}", f"--config.steps={steps}", f"--workdir={workdir}"]
    flags += ["--config.best_by=none", "--config.checkpoint_every=20", "--config.seeds=1"]
    flags += ["--config.checkpoint_seconds=0", "--config.log_every=10"]
    command = [sys.executable, "-m", "jaxgan.main", *flags]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def outcome(workdir: pathlib.Path) -> tuple[str, str]:
    """The rows without their times, and the digests of the last checkpoint's arrays."""
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]
    last = max((workdir / "checkpoints").glob("[0-9]*"), key=lambda path: int(path.name))
    return json.dumps(rows), (last / "digests" / "metadata").read_text()


def differences(config: str, steps: int, folder: pathlib.Path) -> list[str]:
    """How the second and the interrupted run differ from the first; empty if they do not."""
    runs = [folder / name for name in ("first", "second", "interrupted")]
    processes = [start(config, steps, run) for run in runs]
    while processes[2].poll() is None:
        checkpoints = runs[2] / "checkpoints"
        if checkpoints.exists() and any(checkpoints.glob("[0-9]*")):
            processes[2].send_signal(signal.SIGTERM)
            break
        time.sleep(0.05)
    statuses = [process.wait() for process in processes]
    if statuses[2] not in (0, 128 + signal.SIGTERM) or any(statuses[:2]):
        return [f"ended with {statuses}"]
    reached = len((runs[2] / "metrics.jsonl").read_text().splitlines())
    found = [f"was not interrupted (status {statuses[2]})"] if statuses[2] == 0 else []
    if start(config, steps, runs[2]).wait():
        return [*found, "did not resume"]
    first, *others = (outcome(run) for run in runs)
    for run, (rows, digests) in zip(runs[1:], others, strict=True):
        found += [f"{run.name}: rows differ"] * (rows != first[0])
        found += [f"{run.name}: arrays differ"] * (digests != first[1])
    print(f"{config}: {len(json.loads(first[1]))} arrays, interrupted after {reached} rows")
    return found


def main() -> int:
    """Prints a line for each config; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="*", default=CONFIGS)
    parser.add_argument("--steps", type=int, default=400)
    arguments = parser.parse_args()
    status = 0
    for config in arguments.configs:
        with tempfile.TemporaryDirectory() as folder:
            found = differences(config, arguments.steps, pathlib.Path(folder))
        print(f"{config}: {'; '.join(found) or 'the same bits'}", flush=True)
        status |= bool(found)
    return status


if __name__ == "__main__":
    sys.exit(main())
