"""What one device of each kind offers, from its maker's published figures."""

from typing import NamedTuple


class Chip(NamedTuple):
    """One device.

    Attributes:
      name: its name in a topology, such as "v5e".
      flops: peak of bfloat16 products, FLOP/s.
      bandwidth: of its memory, bytes/s.
      memory: bytes.
    """

    name: str
    flops: float
    bandwidth: float
    memory: float


_GIB = 2**30
# By JAX's `device_kind`. TPUs: https://cloud.google.com/tpu/docs, the page of each version, for
# one chip; of tpu7x, whose chip is two devices to JAX, for half a chip. GPUs: NVIDIA's data sheets
# (dense products).
CHIPS = {
    "TPU v4": Chip("v4", 275e12, 1228e9, 32 * _GIB),
    "TPU v5 lite": Chip("v5e", 197e12, 819e9, 16 * _GIB),
    "TPU v5": Chip("v5p", 459e12, 2765e9, 95 * _GIB),
    "TPU v6 lite": Chip("v6e", 918e12, 1640e9, 32 * _GIB),
    "TPU7x": Chip("tpu7x", 1153e12, 3690e9, 96 * _GIB),
    "NVIDIA A100-SXM4-80GB": Chip("A100", 312e12, 2039e9, 80 * _GIB),
    "NVIDIA H100 80GB HBM3": Chip("H100", 989e12, 3350e9, 80 * _GIB),
    "NVIDIA H200": Chip("H200", 989e12, 4800e9, 141 * _GIB),
}
