"""Trains one system in one framework; compare.py starts it and communicates over its pipes.

python experiments/speed/worker.py SYSTEM FORM, with FORM eager, channels_last, a mode of
torch.compile, or jaxgan, perhaps with settings: jaxgan:seeds=8,dtype=bfloat16. It writes a line of
JSON after the first step; for each input line SECONDS it trains for that time and writes the
seconds of each step; at the end of the input it writes its peak memory.

On an accelerator, whose work is queued, the time is that of 64 steps, divided by 64: they are one
call of jaxgan (of fewer steps with several seeds), and 64 steps of PyTorch before it waits for the
device.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from systems import OTHERS, SYSTEMS, build, load_config

from jaxgan.config.presets import update
from jaxgan.training import jax_setup

IMAGES = 1_000
MIN_STEPS = 3  # In a turn.
QUEUED = 64  # Steps between two waits for an accelerator.
Step = Callable[[], None]


def training_data(config: Any, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images and labels: the time of a step does not depend on their content."""
    size = config.dataset.size
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (IMAGES, size, size, channels), dtype=np.uint8)
    return images, np.arange(IMAGES) % 10


def parse_settings(form: str) -> tuple[int, dict[str, str]]:
    """The seeds, and the keys of the config, that a form of jaxgan names."""
    words = form.partition(":")[2].split(",")
    settings = dict(word.split("=", 1) for word in words if word)
    return int(settings.pop("seeds", 1)), settings


def in_jaxgan(config: Any, channels: int, seeds: int) -> tuple[Step, int]:
    """A call of jaxgan, including the choice of its images, and its number of steps."""
    import jax

    from jaxgan.data.batches import Batch
    from jaxgan.data.loader import ExampleIndices
    from jaxgan.models import conditions
    from jaxgan.training import mesh as mesh_lib
    from jaxgan.training import program as program_lib

    jax_setup.configure_jax()
    images, labels = training_data(config, channels)
    gan = build(config, channels)
    labelled = isinstance(gan.condition, conditions.Label)
    data = Batch(images, labels.astype(np.int32) if labelled else None)
    mesh = mesh_lib.make_mesh(seeds, [gan.config.batch_size], jax.devices()[:1])
    # A turn has at least MIN_STEPS calls, however many seeds a step trains.
    calls = 1 if jax.default_backend() == "cpu" else max(QUEUED // seeds, 1)
    program = program_lib.Program(gan, range(seeds), data, mesh, calls)
    shape = (gan.config.discriminator_steps, gan.discriminator_batch_size)
    indices = ExampleIndices(tuple(range(seeds)), IMAGES, shape, config.dataset.replacement)
    state, count = program.initialise(), 0

    def step() -> None:
        nonlocal state, count
        steps = range(count, count + calls)
        state, _ = program.run(state, np.stack([indices(i) for i in steps], axis=1))
        jax.block_until_ready(state)
        count += calls

    return step, calls


def in_pytorch(config: Any, channels: int, form: str) -> tuple[Step, int]:
    """Some steps of PyTorch, including the choice of their images, and their number."""
    import torch
    from torch_trainer import Trainer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    calls = 1 if device == "cpu" else QUEUED
    # As XLA does by default.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    compiled = None if form in ("eager", "channels_last") else form
    trainer = Trainer(config, channels, device, compiled, form == "channels_last")
    images, labels = training_data(config, channels)
    all_images = torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)), device=device)
    if form == "channels_last":
        all_images = all_images.to(memory_format=torch.channels_last)
    all_labels = torch.tensor(labels, device=device)
    n = config.discriminator_batch_size or config.batch_size

    def step() -> None:
        for _ in range(calls):
            indices = torch.randint(IMAGES, (n,), device=device)
            trainer.step(all_images[indices], all_labels[indices])
        if device == "cuda":
            torch.cuda.synchronize()

    return step, calls


def operations(step: Step) -> int:
    """The number of floating point operations in a step's convolutions and matrix products."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def main() -> None:
    """Trains one step, and then for as long as each input line says."""
    name, form = sys.argv[1:]
    # What libraries print must not reach the pipe of the answers.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=answers, flush=True)

    file, arg, channels = (SYSTEMS | OTHERS)[name]
    config = load_config(file, arg)
    if form.partition(":")[0] == "jaxgan":
        seeds, settings = parse_settings(form)
        step, calls = in_jaxgan(update(config, settings), channels, seeds)
    else:
        step, calls = in_pytorch(config, channels, form)
    step()
    answer({"flops": operations(step) // calls if form == "eager" else 0})
    for _ in range(2):
        step()
    for line in sys.stdin:
        times: list[float] = []
        while len(times) < MIN_STEPS or sum(times) < float(line):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        answer({"times": [seconds / calls for seconds in times]})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer({"megabytes": peak / 1024})


if __name__ == "__main__":
    main()
