"""Images/s of InfoGAN's E1 with the document's networks: batch 64, D on 64 real and 64 generated
images, then G on the same 64. Nothing else may run meanwhile.

python experiments/speed/step.py [--steps=40]
"""

import argparse
import statistics
import time

import jax
import numpy as np

from jaxgan import parallel
from jaxgan.build import build_gan
from jaxgan.config import base, update, validate
from jaxgan.data.batches import Batch, indices

BATCH, IMAGES = 64, 2000


def main() -> None:
    """Prints the median, the fastest and the slowest step as images/s."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    parallel.start()
    config = update(base(), {"networks": "document", "information": "document"})
    validate(config)
    gan = build_gan(config, (28, 28, 1))
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 1), dtype=np.uint8)
    program = parallel.Program(gan, (0,), Batch(images), parallel.make_mesh(1, [BATCH]), 1)
    state, times = program.initialise(), []
    for step in range(steps + 3):
        places = indices(0, step, IMAGES, (1, BATCH), False)[None, None]
        began = time.perf_counter()
        state, _ = jax.block_until_ready(program.run(state, places))
        times.append(time.perf_counter() - began)
    rates = sorted(BATCH / t for t in times[3:])
    print(
        f"{statistics.median(rates):.0f} images/s (slowest step {rates[0]:.0f},"
        f" fastest {rates[-1]:.0f}; {steps} steps)"
    )


if __name__ == "__main__":
    main()
