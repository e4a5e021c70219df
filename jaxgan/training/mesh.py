"""The mesh of devices that a run uses, and which seeds run side by side.

A mesh has two axes. Independent runs lie along `seed`; along `data` each batch is split and the
state is replicated.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxgan.common.errors import UserError

SEED, DATA = "seed", "data"


def seed_groups(seeds: Sequence[int], platform: str) -> list[tuple[int, ...]]:
    """Which seeds run side by side in one call: all on an accelerator, only one on the CPU.

    On the CPU, XLA runs a convolution vmapped over weights at a quarter of the speed of separate
    convolutions. There the seeds take turns, step by step, in one compiled program.
    """
    return [(seed,) for seed in seeds] if platform == "cpu" else [tuple(seeds)]


def make_mesh(seeds: int, batch_sizes: Sequence[int], devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh of the most devices over which `seeds` runs and their batches can be split evenly.

    As many devices as possible lie along `seed`, where they need not communicate. Every host uses
    the same number of its devices; several hosts of TPUs use all of them, because XLA compiles for
    no part of a slice.

    Args:
      seeds: number of runs.
      batch_sizes: every one is divided evenly along `data`.
      devices: the devices to choose from; None is all of JAX's.

    Raises:
      UserError: if no such number of devices divides the seeds and the batches.
    """
    of_host: dict[int, list[Any]] = {}
    for device in sorted(jax.devices() if devices is None else devices, key=lambda x: x.id):
        of_host.setdefault(device.process_index, []).append(device)
    # In the order of the hosts, so that each host's slice of a batch is contiguous.
    hosts = [of_host[process] for process in sorted(of_host)]
    divisible = math.gcd(*batch_sizes)
    most = min(map(len, hosts))
    whole = len(hosts) > 1 and hosts[0][0].platform == "tpu"
    for local in range(most, most - 1 if whole else 0, -1):
        used = [device for host in hosts for device in host[:local]]
        for along_seed in range(math.gcd(seeds, len(used)), 0, -1):
            along_data, rest = divmod(len(used), along_seed)
            if not (rest or seeds % along_seed or divisible % along_data):
                return Mesh(
                    np.array(used).reshape(along_seed, along_data),
                    (SEED, DATA),
                    axis_types=(AxisType.Auto, AxisType.Auto),
                )
    least = len(hosts) * (most if whole else 1)
    sizes = " and ".join(map(str, dict.fromkeys(batch_sizes)))
    # On CPUs one seed trains after the other, whatever the config's `seeds`.
    of_seeds, or_seeds = (f" and seeds={seeds}", "seeds, or ") if seeds > 1 else ("", "")
    raise UserError(
        f"batches of {sizes}{of_seeds} cannot be split over {least} devices of {len(hosts)} hosts",
        f"make {or_seeds}batch_size and discriminator_batch_size multiples of {least}",
    )
