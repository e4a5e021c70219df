"""Compares an accelerator with the CPU: products, and the parameters after some steps.

python experiments/devices/accelerator.py [cgan:mlp …] [--steps=20]
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
from small_runs import SYSTEMS, difference, load_config, trained_params

from jaxgan.training import jax_setup

PRECISIONS = ("default", "high", "highest")


def product_errors(precision: str) -> tuple[float, float]:
    """The relative error of a matrix product and of a convolution of float32 numbers."""
    random = np.random.default_rng(0)

    def error(function, *arguments):
        exact = function(*(jnp.asarray(x, jnp.float64) for x in arguments))
        with jax.default_matmul_precision(precision):
            found = function(*(jnp.asarray(x, jnp.float32) for x in arguments))
        return float(jnp.linalg.norm((found - exact).ravel()) / jnp.linalg.norm(exact.ravel()))

    def convolution(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    a, b = (random.normal(size=(1024, 1024)).astype(np.float32) for _ in range(2))
    images = random.normal(size=(64, 14, 14, 64)).astype(np.float32)
    kernel = random.normal(size=(5, 5, 64, 128)).astype(np.float32)
    return error(jnp.matmul, a, b), error(convolution, images, kernel)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM")
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    jax_setup.configure_jax("float64")
    accelerator, cpu = jax.devices()[:1], jax.devices("cpu")[:1]
    print(f"{accelerator[0].device_kind}, jax {jax.__version__}\n")
    print("| precision | matrix product | convolution |\n|---|---|---|")
    for precision in PRECISIONS:
        cells = " | ".join(f"{error:.1e}" for error in product_errors(precision))
        print(f"| {precision} | {cells} |", flush=True)
    print("\n| system | float64 | float32 | float32, highest |\n|---|---|---|---|")
    for name in arguments.systems or SYSTEMS:
        file, arg = SYSTEMS[name]
        cells = []
        for dtype, precision in (
            ("float64", "default"),
            ("float32", "default"),
            ("float32", "highest"),
        ):
            config = load_config(file, arg, dtype)
            config.precision = precision
            reference = trained_params(config, (0,), cpu, arguments.steps)
            found = trained_params(config, (0,), accelerator, arguments.steps)
            cells.append(f"{difference(reference, found):.1e}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
