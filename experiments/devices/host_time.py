"""Host time of the training loop: the step itself is replaced by one that does nothing.

python experiments/devices/host_time.py [--log_every=10] [--steps_per_call=256] [--steps=40000]

Trains `configs/gan.py` on eight fake devices made from the CPU, with resident data and 16 metrics a
step. Prints the CPU time of the main thread a step, and the wall time.
"""

import argparse
import os
import pathlib
import sys
import tempfile
import time

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

import jaxgan.train
from jaxgan.config.files import from_file
from jaxgan.config.presets import update
from jaxgan.training import program

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The names that every run has, and others up to sixteen.
LOSSES = ("discriminator", "discriminator_real", "discriminator_fake", "generator")
METRICS = ("alive", *(f"loss/{name}" for name in LOSSES), *(f"loss/other_{i}" for i in range(11)))


def nothing(gan, state, batch, key, shard):
    """A step that only counts itself."""
    values = dict.fromkeys(METRICS, jnp.zeros((), jnp.float32))
    return state.replace(step=state.step + 1), values | {"alive": jnp.ones((), bool)}


def main() -> None:
    """Trains once; the first eighth of the steps, in which functions are compiled, is not timed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log_every", type=int, default=10)
    parser.add_argument("--steps_per_call", type=int, default=256)
    parser.add_argument("--steps", type=int, default=40_000)
    asked = parser.parse_args()
    program.train_step = nothing
    times = []
    run = program.Program.run

    def timed(self, state, examples):
        steps = jax.tree.leaves(examples)[0].shape[1]
        times.append((time.thread_time(), time.perf_counter(), steps))
        return run(self, state, examples)

    program.Program.run = timed
    config = from_file(ROOT / "configs" / "gan.py", "")
    steps = asked.steps
    values = {"steps": steps, "log_every": asked.log_every, "steps_per_call": asked.steps_per_call}
    values |= {"sample_every": steps, "eval_every": steps, "checkpoint_every": steps}
    config = update(config, values | {"results_images": 64, "eval_images": 64, "batch_size": 64})
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as sys.stdout:
        jaxgan.train.train(config, os.path.join(folder, "run"))
    sys.stdout = sys.__stdout__
    timed_calls = times[len(times) // 8 :]
    (cpu, wall, _), (cpu_end, wall_end, _) = timed_calls[0], timed_calls[-1]
    count = sum(steps for _, _, steps in timed_calls[:-1])
    print(
        f"log_every={asked.log_every}: {count} steps in {len(timed_calls) - 1} calls,"
        f" main thread {(cpu_end - cpu) / count * 1e6:.1f} us a step,"
        f" wall {(wall_end - wall) / count * 1e6:.1f} us a step"
    )


if __name__ == "__main__":
    main()
