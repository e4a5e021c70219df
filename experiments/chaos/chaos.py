"""Strikes one training with faults drawn from a seed; it must end as an undisturbed one does.

python experiments/chaos/chaos.py [--faults=100] [--seed=0] [--steps=70000]

The faults: SIGKILL; SIGTERM; a full disk (where the script may mount a small file system of its
own, which takes root); and a flipped byte in the newest checkpoint of a killed run.
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = "digits,width=0.05,batch_size=16,latent.noise=8,best_by=none"
EVERY = 50
FLAGS = [
    f"--config={ROOT}/configs/gan.py:{CONFIG}",
    "--config.log_every=50",
    "--config.sample_every=1000",
    "--config.eval_every=4000",
    f"--config.checkpoint_every={EVERY}",
    "--config.eval_images=100",
    "--config.results_images=100",
]
SIZE_MIB = 32


class Run:
    """A run's folder, and the process that trains in it."""

    def __init__(self, folder: pathlib.Path, steps: int, environment: dict[str, str]) -> None:
        self.folder, self._environment = folder, environment
        self.process: subprocess.Popen | None = None
        self._flags = [*FLAGS, f"--config.steps={steps}", f"--workdir={folder}"]

    def start(self) -> None:
        """Starts the run, or its continuation: the same command."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jaxgan.main", *self._flags],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Waits for the end: the exit status, and what was said on stderr."""
        _, said = self.process.communicate(timeout=600)
        return self.process.returncode, said

    def abandon(self) -> None:
        """Kills what is still running, where the comparison itself has failed."""
        if self.process is not None and self.running():
            self.process.kill()
            self.process.wait()

    def running(self) -> bool:
        return self.process.poll() is None

    def checkpoints(self) -> list[int]:
        """The steps of the complete checkpoints, in order."""
        root = self.folder / "checkpoints"
        names = os.listdir(root) if root.exists() else []
        return sorted(int(name) for name in names if name.isdigit())

    def wait_until_it_trains(self) -> None:
        """Returns when there is a checkpoint that was not there before."""
        before = self.checkpoints()
        while self.running() and self.checkpoints() in (before, []):
            time.sleep(0.01)

    def outcome(self) -> dict:
        """What two runs are compared by: every row but its times, the results, every leaf's
        SHA-256, the last sheets."""
        with open(self.folder / "metrics.jsonl") as file:
            rows = [json.loads(line) for line in file]
        last = self.folder / "checkpoints" / str(self.checkpoints()[-1])
        return {
            "rows": [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows],
            "results": json.loads((self.folder / "results.json").read_text()),
            "parameters": json.loads((last / "digests" / "metadata").read_text()),
            "sheets": {p.name: p.read_bytes() for p in (self.folder / "samples").glob("*.png")},
        }


def strike(run: Run, kind: str, chance: random.Random) -> str:
    """Starts the run and lets one fault happen to it; what is to be said of it."""
    run.start()
    early = chance.random() < 0.25
    if early:
        time.sleep(chance.uniform(0, 8))
    else:
        run.wait_until_it_trains()
        time.sleep(chance.uniform(0, 0.2))
    if not run.running():
        return f"had ended before: {run.end()}"
    when = "early" if early else "training"
    if kind == "full disk":
        return f"{when}; {fill(run, chance)}"
    run.process.send_signal(signal.SIGTERM if kind == "SIGTERM" else signal.SIGKILL)
    status, said = run.end()
    if kind == "SIGTERM":
        # Before Python has put up its handlers a signal ends the process without a word.
        assert status in (143, -15, 0), (status, said)
        assert len(said.splitlines()) <= 1, said
    if kind == "flipped byte":
        when += f"; {flip(run, chance)}"
    return f"{when}; status {status}"


def fill(run: Run, chance: random.Random) -> str:
    """Leaves next to nothing of the disk until the run has ended, then frees it again."""
    ballast = run.folder.parent / "ballast"
    left = chance.randrange(0, 200_000)
    with open(ballast, "wb") as file:
        # The run writes meanwhile, so that what was free a moment ago may be too much to ask for.
        filled = False
        while not filled:
            disk = os.statvfs(run.folder.parent)
            with contextlib.suppress(OSError):
                free = disk.f_bavail * disk.f_frsize
                os.posix_fallocate(file.fileno(), 0, max(free - left, 1))
                filled = True
    status, said = run.end()
    ballast.unlink()
    if status == 1:
        assert "No space left" in said, said
        assert len(said.splitlines()) == 1, said
    else:
        assert status == 0, (status, said)
    return f"{left} bytes left; status {status}"


def flip(run: Run, chance: random.Random) -> str:
    """Flips one bit of one file of the newest checkpoint."""
    steps = run.checkpoints()
    if not steps:
        return "no checkpoint yet"
    newest = run.folder / "checkpoints" / str(steps[-1])
    files = sorted(p for p in newest.rglob("*") if p.is_file() and p.stat().st_size)
    path = chance.choice(files)
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"byte {place} of {path.relative_to(newest.parent)}"


def mount(folder: pathlib.Path) -> bool:
    """A small file system at the folder; whether that is allowed."""
    tried = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        print(f"no full disks: a file system cannot be mounted ({tried.stderr.strip()})")
    return tried.returncode == 0


def main() -> int:
    """Runs the comparison; the exit status says whether the bits are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=70_000)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        disk = pathlib.Path(scratch, "disk")
        disk.mkdir()
        mounted = mount(disk)
        try:
            # What was compiled once is kept: each start takes seconds less.
            environment = {
                **os.environ,
                "JAX_COMPILATION_CACHE_DIR": f"{scratch}/compiled",
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            }
            calm = Run(pathlib.Path(scratch, "calm"), asked.steps, environment)
            struck = Run(disk / "run", asked.steps, environment)
            try:
                return compare(calm, struck, asked.faults, chance, mounted)
            finally:
                calm.abandon()
                struck.abandon()
        finally:
            if mounted:
                subprocess.run(["umount", str(disk)], check=True)


def compare(calm: Run, struck: Run, faults: int, chance: random.Random, mounted: bool) -> int:
    """Trains both, one under faults; the exit status."""
    began = time.monotonic()
    calm.start()
    status, said = calm.end()
    assert status == 0, said
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    kinds = ["SIGKILL", "SIGTERM", "flipped byte", *(["full disk"] if mounted else [])]
    counts: collections.Counter[str] = collections.Counter()
    began = time.monotonic()
    for i in range(faults):
        kind = chance.choice(kinds)
        what = strike(struck, kind, chance)
        if what.startswith("had ended"):
            print(f"{what}; give more --steps")
            return 1
        counts[kind] += 1
        print(f"{i + 1}: {kind}, {what}, checkpoints {struck.checkpoints()}", flush=True)
    struck.start()
    status, said = struck.end()
    assert status == 0, said
    print(f"under faults: {time.monotonic() - began:.0f} s; {dict(counts)}")
    a, b = calm.outcome(), struck.outcome()
    same = {name: a[name] == b[name] for name in a}
    print(f"the same bits: {same}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
