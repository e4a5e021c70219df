"""Injects random faults into a run, which must end with the same bits as an undisturbed run.

python experiments/chaos/chaos.py [--faults=100] [--seed=0] [--steps=70000]

The faults: SIGKILL; SIGTERM; SIGHUP; a flipped bit in the newest checkpoint of a killed run; and a
full disk, at the end also while the run is evaluated and its report written. For a full disk the
script must be able to mount a small file system, which takes root.
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
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = "digits,width=0.05,batch_size=16,latent.noise=8,best_by=none"
EVERY = {"log": 50, "sample": 1000, "eval": 4000, "checkpoint": 50}
FLAGS = [
    f"--config={ROOT}/configs/gan.py:{CONFIG}",
    *(f"--config.{what}_every={steps}" for what, steps in EVERY.items()),
    *("--config.eval_images=100", "--config.results_images=100"),
]
EVALUATE, REPORT = ["jaxgan.evaluate", "--n=100"], ["jaxgan.report"]
SIZE_MIB = 32


class Run:
    """A run's folder, and the process that trains in it."""

    def __init__(self, folder: pathlib.Path, steps: int, environment: dict[str, str]) -> None:
        self.folder, self._environment = folder, environment
        self.process: subprocess.Popen | None = None
        self._flags = [*FLAGS, f"--config.steps={steps}", f"--workdir={folder}"]

    def start(self) -> None:
        """Starts or resumes the run."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jaxgan.main", *self._flags],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, command: list[str]) -> subprocess.CompletedProcess:
        """Runs another command on the folder."""
        return subprocess.run(
            [sys.executable, "-m", *command, f"--workdir={self.folder}"],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Waits for the end; returns the exit status and the text on stderr."""
        _, errors = self.process.communicate(timeout=3600)
        return self.process.returncode, errors

    def abandon(self) -> None:
        """Kills the process if it is running, after a failure of the comparison itself."""
        if self.process is not None and self.running():
            self.process.kill()
            self.process.wait()

    def running(self) -> bool:
        return self.process.poll() is None

    def checkpoints(self) -> list[int]:
        """The steps of the complete checkpoints, ascending."""
        root = self.folder / "checkpoints"
        names = os.listdir(root) if root.exists() else []
        return sorted(int(name) for name in names if name.isdigit())

    def wait_until_it_trains(self) -> None:
        """Waits for a new checkpoint, not for a damaged one to be put aside, or the end of the
        run."""
        before = self._saved()
        while self.running() and not self._saved() - before:
            time.sleep(0.01)

    def _saved(self) -> set[tuple[int, int]]:
        """The step and the inode of each complete checkpoint."""
        found = set()
        for step in self.checkpoints():
            with contextlib.suppress(FileNotFoundError):
                found.add((step, os.stat(self.folder / "checkpoints" / str(step)).st_ino))
        return found

    def outcome(self) -> dict:
        """The parts of two runs that are compared: every row without its times, the results, the
        SHA-256 of every leaf, the sheets."""
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
    """Starts the run and injects one fault; returns a description."""
    run.start()
    early = chance.random() < 0.25
    if early:
        time.sleep(chance.uniform(0, 8))
    else:
        run.wait_until_it_trains()
        time.sleep(chance.uniform(0, 0.2))
    if not run.running():
        status, errors = run.end()
        if "starts again from step 0" in errors:  # The only checkpoint was damaged.
            return "every checkpoint was damaged"
        return f"had ended before: {status}, {errors}"
    when = "early" if early else "training"
    if kind == "full disk":
        return f"{when}; {fill_disk(run, chance)}"
    number = signal.Signals[kind] if kind in ("SIGTERM", "SIGHUP") else signal.SIGKILL
    run.process.send_signal(number)
    status, errors = run.end()
    if number != signal.SIGKILL:
        # Until Python has installed its handlers, a signal ends the process without a message.
        assert status in (128 + number, -number, 0), (status, errors)
        assert len(errors.splitlines()) <= 1, errors
    if kind == "flipped byte":
        when += f"; {flip_bit(run, chance)}"
    return f"{when}; status {status}"


def fill_disk(run: Run, chance: random.Random) -> str:
    """Fills the disk almost completely until the run has ended."""
    left = chance.randrange(0, 200_000)
    with full_disk(run.folder.parent, left):
        status, errors = run.end()
    if status == 1:
        assert "No space left" in errors, errors
        assert len(errors.splitlines()) == 1, errors
    elif "starts again from step 0" not in errors:
        assert status == 0, (status, errors)
    return f"{left} bytes left; status {status}"


@contextlib.contextmanager
def full_disk(folder: pathlib.Path, left: int) -> Iterator[None]:
    """Leaves `left` bytes of the folder's disk free in the block."""
    ballast = folder / "ballast"
    with open(ballast, "wb") as file:
        # The run writes at the same time, so the space measured as free may no longer be free.
        filled = False
        while not filled:
            disk = os.statvfs(folder)
            with contextlib.suppress(OSError):
                free = disk.f_bavail * disk.f_frsize
                os.posix_fallocate(file.fileno(), 0, max(free - left, 1))
                filled = True
    try:
        yield
    finally:
        ballast.unlink()


def measure_on_a_full_disk(run: Run) -> None:
    """Evaluates the run, and writes its report, on a full disk: each prints one line and ends with
    status 1, and the results are as they were."""
    results = run.folder / "results.json"
    before = results.read_bytes()
    with full_disk(run.folder.parent, 0):
        for command in (EVALUATE, REPORT):
            done = run.call(command)
            assert done.returncode == 1, done.stderr
            assert "No space left" in done.stderr.splitlines()[-1], done.stderr
            assert results.read_bytes() == before
    print("evaluated and reported on a full disk: status 1, results as they were", flush=True)


def flip_bit(run: Run, chance: random.Random) -> str:
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
    """Mounts a small file system at the folder; returns whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        print(f"no full disks: a file system cannot be mounted ({mounted.stderr.strip()})")
    return mounted.returncode == 0


def main() -> int:
    """Runs the comparison; returns 0 if the bits are the same, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=70_000)
    arguments = parser.parse_args()
    # Under nohup the runs would inherit that SIGHUP is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    chance = random.Random(arguments.seed)
    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        disk = scratch / "disk"
        disk.mkdir()
        mounted = mount(disk)
        if mounted:
            stack.callback(subprocess.run, ["umount", str(disk)], check=True)
        # A cache of compiled programs saves seconds at each start.
        environment = {
            **os.environ,
            "JAX_COMPILATION_CACHE_DIR": f"{scratch}/compiled",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
        calm = Run(scratch / "calm", arguments.steps, environment)
        struck = Run(disk / "run", arguments.steps, environment)
        stack.callback(calm.abandon)
        stack.callback(struck.abandon)
        return compare(calm, struck, arguments.faults, chance, mounted)


def compare(calm: Run, struck: Run, faults: int, chance: random.Random, mounted: bool) -> int:
    """Trains both, one under faults; returns the exit status."""
    began = time.monotonic()
    calm.start()
    status, errors = calm.end()
    assert status == 0, errors
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    kinds = ["SIGKILL", "SIGTERM", "SIGHUP", "flipped byte", *(["full disk"] if mounted else [])]
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
    status, errors = struck.end()
    assert status == 0, errors
    print(f"under faults: {time.monotonic() - began:.0f} s; {dict(counts)}")
    if mounted:
        measure_on_a_full_disk(struck)
    for run in (calm, struck):
        assert run.call(EVALUATE).returncode == 0
    a, b = calm.outcome(), struck.outcome()
    same = {name: a[name] == b[name] for name in a}
    print(f"the same bits: {same}")
    return 0 if all(same.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
