"""Measures how long each preset's step takes to compile for one CPU device.

python experiments/speed/compile_times.py ["dcgan.py:cifar10,size=64" …]

CPU seconds of all threads, so that other work on the machine matters little: in a process with an
empty cache of compiled programs, and in another that finds the program there.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PRESETS = (
    "gan.py:mnist",
    "gan.py:mnist,paper",
    "cgan.py:mnist,mlp",
    "cgan.py:mnist",
    "infogan.py",
    "infogan.py:mnist",
    "infogan.py:mnist,document",
    "infogan.py:mnist,paper",
    "dcgan.py:mnist",
    "dcgan.py:cifar10",
    "dcgan.py:cifar10,size=64",
    "dcgan.py:cifar10,size=128,width=0.25",
    "dcgan.py:mnist,wgan_gp",
    "dcgan.py:mnist,sngan",
)


def compile_here(preset: str) -> None:
    """Compiles a preset and prints the CPU seconds, the number of kernels and the peak memory."""
    import jax

    from jaxgan.config.files import from_file
    from jaxgan.planning.compiled import compile_program
    from jaxgan.planning.examples import sizes
    from jaxgan.training import jax_setup

    jax_setup.configure_jax()
    file, _, arg = preset.partition(":")
    config = from_file(ROOT / "configs" / file, arg)
    began = time.process_time()
    found = compile_program(config, sizes(config, 10_000, 10), jax.devices()[:1])
    seconds = time.process_time() - began
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.1f},{found.kernels:.0f},{megabytes:.0f}")


def measure(preset: str) -> tuple[str, ...]:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, __file__, preset, "--here"]
        cold, warm = (
            subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            .stdout.strip()
            .split(",")
            for _ in range(2)
        )
    return f"`{preset}`", cold[0], warm[0], cold[1], cold[2]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", metavar="PRESET", default=PRESETS)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        compile_here(arguments.presets[0])
        return
    head = ("preset", "compiling, CPU s", "again, with a cache", "kernels", "peak MB")
    print(f"| {' | '.join(head)} |\n" + "|---" * len(head) + "|", flush=True)
    for preset in arguments.presets:
        print(f"| {' | '.join(measure(preset))} |", flush=True)


if __name__ == "__main__":
    main()
