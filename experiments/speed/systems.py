"""Images/s of each system with its documented networks and batch. Nothing else may run meanwhile.

python experiments/speed/systems.py [A C1 …] [--seconds=20]

Images/s is the batch times the generator updates a second, whatever the discriminator's steps are.
The images are noise: a step's time does not depend on what they show.
"""

import argparse
import importlib.util
import pathlib
import statistics
import time

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan import conditions, parallel
from jaxgan.build import build_gan
from jaxgan.config import validate
from jaxgan.data.batches import Batch
from jaxgan.data.feed import Places

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGES = 1_000
# A name of SPEC's systems: config, ARG, channels.
SYSTEMS = {
    "A": ("gan", "mnist", 1),
    "B": ("gan", "mnist,paper", 1),
    "C1": ("dcgan", "mnist", 1),
    "C2": ("dcgan", "cifar10", 3),
    "C3": ("dcgan", "size=64", 3),
    "D1": ("cgan", "mnist,mlp", 1),
    "D2": ("cgan", "mnist", 1),
    "inpainting": ("cgan", "mnist,inpaint", 1),
    "E1": ("infogan", "mnist,document", 1),
    # The discriminator on 64 + 64 at once, then the generator and Q on the same 64.
    "E1-64": (
        "infogan",
        "mnist,document,discriminator_batch_size=64,discriminator_batches=together,fresh_noise=false",
        1,
    ),
    "E2": ("infogan", "mnist,paper", 1),
    "default": ("infogan", "", 1),
}


def load_config(name: str, arg: str) -> ConfigDict:
    """get_config(arg) of a file in configs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "configs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(arg)
    validate(config)
    return config


def rates(config: ConfigDict, channels: int, seconds: float, warm: int, least: int) -> list[float]:
    """Images/s of each timed step, ascending.

    Args:
      config: of the system.
      channels: of its images.
      seconds: how long to go on.
      warm: steps before them that are not timed; the first one compiles.
      least: how many steps are timed at least.
    """
    size = config.dataset.size
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, size, size, channels), dtype=np.uint8)
    labels = np.arange(IMAGES, dtype=np.int32) % 10
    condition = conditions.make(config, tuple("0123456789"), tuple(range(10)))
    told = isinstance(condition, conditions.Label)
    gan = build_gan(config, images.shape[1:], condition)
    mesh = parallel.make_mesh(1, [gan.batch_size], jax.devices()[:1])
    data = Batch(images, labels if told else None)
    program = parallel.Program(gan, (0,), data, mesh, 1)
    shape = (gan.discriminator_steps, gan.discriminator_batch_size)
    places = Places((0,), IMAGES, shape, config.dataset.replacement)
    state, times, step = program.initialise(), [], 0
    while len(times) < least or sum(times) < seconds:
        began = time.perf_counter()
        state, _ = jax.block_until_ready(program.run(state, places(step)[:, None]))
        step += 1
        if step > warm:
            times.append(time.perf_counter() - began)
    return sorted(gan.batch_size / t for t in times)


def main() -> None:
    """Prints a row of a Markdown table for each system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("systems", nargs="*", choices=[[], *SYSTEMS], metavar="SYSTEM")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--warm", type=int, default=3, help="steps that are not timed")
    parser.add_argument("--least", type=int, default=5, help="steps that are timed at least")
    arguments = parser.parse_args()
    parallel.start()
    print("| system | config | batch | images/s | 1st to 9th decile | steps |")
    print("|---|---|---|---|---|---|")
    for name in arguments.systems or SYSTEMS:
        file, arg, channels = SYSTEMS[name]
        config = load_config(file, arg)
        found = rates(config, channels, arguments.seconds, arguments.warm, arguments.least)
        low, high = found[len(found) // 10], found[-1 - len(found) // 10]
        print(
            f"| {name} | `{file}.py{':' + arg if arg else ''}` | {config.batch_size} |"
            f" {statistics.median(found):.0f} | {low:.0f} to {high:.0f} | {len(found)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
