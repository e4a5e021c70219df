"""Measures the training speed of each system on an accelerator, in jaxgan and in PyTorch.

python experiments/speed/accelerator.py ["E1, document" …] [--rounds=3] [--seconds=0.4] [--out=FILE]

Prints a Markdown table after each round. The figures hold only if nothing else runs. All programs
start at once, since they take a minute to compile, and then take turns.
"""

import argparse
import pathlib
import statistics
import time
from collections.abc import Callable

from compare import Worker, WorkerEnded
from systems import OTHERS, SYSTEMS, load_config

# What each form is, besides float32 in the platform's default precision, and its seeds.
FORMS = {
    "jaxgan": ("jaxgan", 1),
    "jaxgan:precision=highest": ("jaxgan, `precision=highest`", 1),
    "jaxgan:dtype=bfloat16": ("jaxgan, `dtype=bfloat16`", 1),
    "jaxgan:seeds=8": ("jaxgan, 8 seeds", 8),
    "jaxgan:seeds=64": ("jaxgan, 64 seeds", 64),
    "eager": ("PyTorch, eager", 1),
    "channels_last": ("PyTorch, channels last", 1),
    "default": ("PyTorch, torch.compile", 1),
    "reduce-overhead": ("PyTorch, torch.compile, CUDA graphs", 1),
}
# A form of this name has the compiler choose deterministic kernels.
DETERMINISTIC = "jaxgan:"
FORMS[DETERMINISTIC] = ("jaxgan, deterministic kernels", 1)
PYTORCH = ("eager", "channels_last", "default", "reduce-overhead")
# The programs of all systems share the device's memory and the host's cores.
ENVIRONMENT = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
FLAG = {"XLA_FLAGS": "--xla_gpu_deterministic_ops=true"}
# Whose 64 seeds do not fit beside all other programs.
LARGE = ("C3", "E1, paper", "E2, paper")
Programs = dict[tuple[str, str], Worker]
Times = dict[tuple[str, str], list[float]]


def start(systems: list[str], forms: list[str]) -> Programs:
    """Starts every program and waits for those that do not fail."""
    programs = {
        (system, form): Worker(system, form, ENVIRONMENT | (FLAG if form == DETERMINISTIC else {}))
        for system in systems
        for form in forms
        if not (system in OTHERS and form != "jaxgan")
        and not (system in LARGE and form == "jaxgan:seeds=64")
    }
    for key, worker in list(programs.items()):
        try:
            worker.ready()
        except WorkerEnded as error:
            print(error, flush=True)
            del programs[key]
    return programs


def measure(
    programs: Programs, rounds: int, seconds: float, report: Callable[[Times], None]
) -> None:
    """Lets the programs take turns; reports the seconds a step of all rounds after each round."""
    times: Times = {key: [] for key in programs}
    for _ in range(rounds):
        for key, worker in programs.items():
            times[key].append(worker.turn(seconds))
            print(f"{', '.join(key)}: {1e3 * times[key][-1]:.3f} ms a step", flush=True)
        report(times)
    for worker in programs.values():
        worker.end()


def rows(system: str, times: dict[str, list[float]], flops: float) -> list[str]:
    """The rows of one system: the times of its programs by form, and a step's operations."""
    file, arg, _ = (SYSTEMS | OTHERS)[system]
    batch = load_config(file, arg).batch_size
    medians = {form: statistics.median(values) for form, values in times.items()}
    peers = [form for form in PYTORCH if form in medians]
    fastest = min(peers, key=lambda form: medians[form], default="")
    found = []
    for form, seconds in medians.items():
        name, seeds = FORMS[form]
        name = f"**{name}**" if form == fastest else name
        compared = fastest and form not in peers
        faster = f"{seeds * medians[fastest] / seconds:.2f}" if compared else ""
        spread = f"{1e3 * min(times[form]):.3f} to {1e3 * max(times[form]):.3f}"
        rate = f"{seeds * flops / seconds / 1e12:.2f}" if flops else ""
        cells = (system, name, f"{seeds * batch / seconds:,.0f}", f"{1e3 * seconds:.3f}", spread)
        found.append(f"| {' | '.join((*cells, rate, faster))} |")
    return found


def peaks() -> str:
    """PyTorch's TFLOP/s for the product of two 8,192 x 8,192 matrices, the median of 20."""
    import torch

    found = {}
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("TensorFloat-32", torch.float32, True),
        ("bfloat16", torch.bfloat16, True),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, times = torch.rand(8192, 8192, device="cuda", dtype=dtype), []
        for _ in range(23):
            torch.cuda.synchronize()
            began = time.perf_counter()
            a @ a
            torch.cuda.synchronize()
            times.append(time.perf_counter() - began)
        found[name] = 2 * 8192**3 / statistics.median(times[3:]) / 1e12
    return ", ".join(f"{name} {value:.0f}" for name, value in found.items())


def main() -> None:
    """Prints the table, and writes it to --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", default=[*SYSTEMS, *OTHERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--forms", default=";".join(FORMS), help="separated by semicolons")
    parser.add_argument("--out", type=pathlib.Path, help="a file for the table")
    arguments = parser.parse_args()
    began = time.perf_counter()
    programs = start(arguments.systems, arguments.forms.split(";"))
    print(f"{len(programs)} programs are ready after {time.perf_counter() - began:.0f} s\n")
    head = ("system", "program", "images/s", "ms a step", "rounds", "TFLOP/s", "times as fast")

    def report(times: Times) -> None:
        lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        for system in arguments.systems:
            own = {form: values for (name, form), values in times.items() if name == system}
            flops = programs[system, "eager"].flops if "eager" in own else 0
            lines += rows(system, own, flops)
        print("\n".join(lines), flush=True)
        if arguments.out:
            arguments.out.write_text("\n".join(lines) + "\n")

    measure(programs, arguments.rounds, arguments.seconds, report)
    print(f"\nTFLOP/s of products: {peaks()}.")


if __name__ == "__main__":
    main()
