"""The largest difference of any parameter after 20 steps between a run of one seed on one device
and runs on 2, 4 and 8 devices or with two seeds. The devices are fake ones, made from the CPU.

python experiments/devices/devices.py [cgan:mlp …] [--steps=20]
"""

import argparse
import os

from jaxgan.training import jax_setup

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
from small_runs import SYSTEMS, difference, load_config, trained_params


def main() -> None:
    """Prints a row for each system and dtype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    steps = arguments.steps
    print("| system | dtype | 2 devices | 4 devices | 8 devices | 2 seeds, 1 device |")
    print("|---|---|---|---|---|---|")
    for name in arguments.systems or SYSTEMS:
        file, arg = SYSTEMS[name]
        for dtype in ("float64", "float32"):
            jax_setup.configure_jax(dtype)
            config = load_config(file, arg, dtype)
            devices = jax.devices()
            reference = trained_params(config, (0,), devices[:1], steps)
            others = [trained_params(config, (0,), devices[:n], steps) for n in (2, 4, 8)]
            others.append(trained_params(config, (0, 1), devices[:1], steps))
            cells = " | ".join(f"{difference(reference, other):.1e}" for other in others)
            print(f"| {name} | {dtype} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
