"""Measures the training speed of each system in jaxgan and in PyTorch, as a Markdown table.

python experiments/speed/compare.py [A "E1, paper" …] [--rounds=5] [--seconds=4] [--out=FILE]

The figures hold only if nothing else runs. Each framework has its own process, which waits while
another one trains. PyTorch runs in several forms, of which the fastest counts: eager, eager with
images and kernels in memory as NHWC, and torch.compile. All have memory in large pages, as
`jaxgan.main` has, unless GLIBC_TUNABLES is set. (accelerator.py compares on accelerators.)
"""

import argparse
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from systems import SYSTEMS, load_config

from jaxgan.common.large_pages import SETTING

HERE = pathlib.Path(__file__).parent
FORMS = ("eager", "channels_last", "default")
TITLES = {"default": "torch.compile", "reduce-overhead": "torch.compile, CUDA graphs"}


class WorkerEnded(SystemExit):
    """A worker ended before it was told to."""


class Worker:
    """The process of one system in one framework: `ready`, then some `turn`s, then `end`.

    Args:
      environment: variables added to this process's own.
    """

    def __init__(self, system: str, form: str, environment: dict[str, str]) -> None:
        self._began = time.perf_counter()
        self._name = f"{system}, {form}"
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), system, form],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if form in TITLES else None,
            text=True,
            env=SETTING | os.environ | environment,
        )
        self.start = self.megabytes = self.flops = 0.0

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise WorkerEnded(f"the worker of {self._name} ended with status {status}")
        return json.loads(line)

    def ready(self) -> "Worker":
        """Waits for the end of the first step."""
        self.flops = self._answer()["flops"]
        self.start = time.perf_counter() - self._began
        return self

    def turn(self, seconds: float) -> float:
        """Trains for some seconds; returns the median seconds of a step."""
        print(seconds, file=self.process.stdin, flush=True)
        return statistics.median(self._answer()["times"])

    def end(self) -> None:
        self.process.stdin.close()
        self.megabytes = self._answer()["megabytes"]
        self.process.wait()


def peak() -> float:
    """GFLOP/s of PyTorch's float32 product of two 2,048 x 2,048 matrices, the median of 20."""
    import torch

    a, times = torch.rand(2048, 2048), []
    for _ in range(23):
        began = time.perf_counter()
        (a @ a)[0, 0].item()
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / statistics.median(times[3:]) / 1e9


def compare(system: str, rounds: int, seconds: float, forms: tuple[str, ...]) -> list[str]:
    """The rows of one system's table."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {"JAX_COMPILATION_CACHE_DIR": cache}
        cold = Worker(system, "jaxgan", environment).ready()
        cold.end()
        workers = {form: Worker(system, form, environment).ready() for form in ("jaxgan", *forms)}
    times: dict[str, list[float]] = {form: [] for form in workers}
    peaks = []
    for _ in range(rounds):
        peaks.append(peak())
        for form, worker in workers.items():
            times[form].append(worker.turn(seconds))
    for worker in workers.values():
        worker.end()
    file, arg, _ = SYSTEMS[system]
    batch = load_config(file, arg).batch_size
    flops = workers["eager"].flops
    fastest = min(forms, key=lambda form: statistics.median(times[form]))
    rows = []
    for form, worker in workers.items():
        name, start = TITLES.get(form, form.replace("_", " ")), f"{worker.start:.1f}"
        name = f"**{name}**" if form == fastest else name
        ratios = sorted(b / a for a, b in zip(times["jaxgan"], times[form], strict=True))
        faster = (f"{statistics.median(ratios):.2f}", f"{ratios[0]:.2f} to {ratios[-1]:.2f}")
        if form == "jaxgan":
            faster, start = ("", ""), f"{cold.start:.1f}, again {start}"
        median = statistics.median(times[form])
        rates = f"{batch / max(times[form]):,.0f} to {batch / min(times[form]):,.0f}"
        share = f"{flops / median / 1e9 / statistics.median(peaks):.0%}"
        cells = (system, name, f"{batch / median:,.0f}", rates, *faster, share, start)
        rows.append(f"| {' | '.join(cells)} | {worker.megabytes:,.0f} |")
    return rows


def main() -> None:
    """Prints the table, and writes it to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--forms", default="")
    parser.add_argument("--out", help="a file for the table")
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch") is None:
        sys.exit("PyTorch is missing: pip install -e '.[bench]'")
    forms = tuple(arguments.forms.split(",")) if arguments.forms else FORMS
    head = ("system", "program", "images/s", "rounds", "jaxgan is faster by", "rounds")
    head += ("of the peak", "start, s", "MB")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    print("\n".join(lines), flush=True)
    for system in arguments.systems or SYSTEMS:
        rows = compare(system, arguments.rounds, arguments.seconds, forms)
        print("\n".join(rows), flush=True)
        lines += rows
    if arguments.out:
        pathlib.Path(arguments.out).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
