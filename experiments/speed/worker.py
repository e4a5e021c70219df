"""One system in one framework: started by compare.py, which talks to it over its pipes.

python experiments/speed/worker.py SYSTEM FORM, with FORM jaxgan, eager, channels_last or a mode of
torch.compile. Once the first step is done it says so; each line "SECONDS" on its input makes it
train for as long and answer with the seconds of each step; at the end of the input it says how much
memory it took at most.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from systems import SYSTEMS, build, load_config

from jaxgan.training import jax_setup

IMAGES = 1_000
LEAST = 3  # Steps a turn, at least.


def training_data(config: Any, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise: a step's time does not depend on what the images show."""
    size = config.dataset.size
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, size, size, channels), dtype=np.uint8)
    return images, np.arange(IMAGES) % 10


def in_jaxgan(config: Any, channels: int) -> Callable[[], None]:
    """A step of jaxgan's, from the places of its images to the end of it."""
    import jax

    from jaxgan.data.batches import Batch
    from jaxgan.data.loader import ExampleIndices
    from jaxgan.models import conditions
    from jaxgan.training import program as program_lib

    jax_setup.configure_jax()
    images, labels = training_data(config, channels)
    gan = build(config, channels)
    told = isinstance(gan.condition, conditions.Label)
    data = Batch(images, labels.astype(np.int32) if told else None)
    mesh = program_lib.make_mesh(1, [gan.config.batch_size], jax.devices()[:1])
    calls = 1 if jax.default_backend() == "cpu" else 16
    program = program_lib.Program(gan, (0,), data, mesh, calls)
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    places = ExampleIndices((0,), IMAGES, shape, config.dataset.replacement)
    state, count = program.initialise(), 0

    def step() -> None:
        nonlocal state, count
        state, _ = program.run(state, places(count)[:, None])
        jax.block_until_ready(state)
        count += 1

    return step


def in_pytorch(config: Any, channels: int, form: str) -> Callable[[], None]:
    """The same in PyTorch."""
    import torch
    from torch_trainer import Trainer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    compiled = None if form in ("eager", "channels_last") else form
    trainer = Trainer(config, channels, device, compiled, form == "channels_last")
    images, labels = training_data(config, channels)
    all_images = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), device=device)
    if form == "channels_last":
        all_images = all_images.to(memory_format=torch.channels_last)
    all_labels = torch.tensor(labels, device=device)
    n = config.discriminator_batch_size or config.batch_size

    def step() -> None:
        some = torch.randint(IMAGES, (n,), device=device)
        trainer.step(all_images[some], all_labels[some])
        if device == "cuda":
            torch.cuda.synchronize()

    return step


def operations(step: Callable[[], None]) -> int:
    """The floating point operations of a step's convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def main() -> None:
    """Trains when told to."""
    name, form = sys.argv[1:]
    # Only the answers go to the pipe, whatever a library prints.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    file, arg, channels = SYSTEMS[name]
    config = load_config(file, arg)
    make = in_jaxgan if form == "jaxgan" else in_pytorch
    step = make(config, channels, *([] if form == "jaxgan" else [form]))
    step()
    answer({"flops": operations(step) if form == "eager" else 0})
    for _ in range(2):
        step()
    for line in sys.stdin:
        times: list[float] = []
        while len(times) < LEAST or sum(times) < float(line):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        answer({"times": times})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer({"megabytes": peak / 1024})


if __name__ == "__main__":
    main()
