"""Estimates from a compiled program and a chip's published figures, and what to do about them.
Nothing here was measured on the devices."""

import dataclasses

from ml_collections import ConfigDict

from jaxgan.planning.compiled import CompiledProgram

# Above this share of a device's memory nothing is left for evaluation.
_FULL = 0.9
# What a kernel takes on an accelerator however little it does, seconds: an assumption.
_KERNEL = 1e-6
# bfloat16 products that a float32 product takes on a TPU, by `precision`, and on NVIDIA's tensor
# cores, whose TensorFloat-32 has half of bfloat16's peak, and float32 itself a fifteenth.
_PRODUCTS = {
    "TPU": {"default": 1, "high": 3, "highest": 6},
    "NVIDIA": {"default": 2, "high": 2, "highest": 15},
}


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The time of a step on one device: the roofline of Williams et al. 2009 (products, memory),
    and beside it the start of kernels. Communication is not included.

    Attributes:
      products: seconds of its FLOPs at the peak of products of the run's precision.
      memory: seconds of its bytes at the memory's full bandwidth.
      kernels: seconds of its kernels if each takes a microsecond.
    """

    products: float
    memory: float
    kernels: float

    def parts(self) -> dict[str, float]:
        """The three, by name."""
        return dataclasses.asdict(self)

    @property
    def seconds(self) -> float:
        """The largest of them."""
        return max(self.parts().values())

    @property
    def bound(self) -> str:
        """The name of the largest."""
        return max(self.parts().items(), key=lambda part: part[1])[0]


def estimate(config: ConfigDict, program: CompiledProgram) -> Estimate | None:
    """The time of a step; None if the chip's figures are not known, or the run is in float64."""
    chip = program.chip
    if chip is None or config.dtype == "float64":
        return None
    maker = program.kind.partition(" ")[0].rstrip("7x")
    products = _PRODUCTS[maker][config.precision] if config.dtype == "float32" else 1
    return Estimate(
        products * program.flops / chip.flops,
        program.bytes / chip.bandwidth,
        program.kernels * _KERNEL,
    )


def warnings(program: CompiledProgram) -> list[str]:
    """What is wrong with the program; normally nothing."""
    found = []
    for one in program.crossing_seeds:
        found.append(f"{one.number} {one.kind} of {one.bytes:,} bytes cross seeds")
    data = program.memory["data"]
    for one in program.collectives:
        # An all-reduce adds gradients, which may be larger than a small dataset.
        copies = one.kind != "all-reduce" and one.bytes != program.metrics_bytes
        if copies and data and one.bytes / one.number >= data:
            found.append(f"{one.kind} over {', '.join(one.axes)} is as large as the dataset")
    chip = program.chip
    share = sum(program.memory.values()) / chip.memory if chip else 0
    if share > _FULL:
        found.append(f"{share:.0%} of a device's memory: nothing is left for the evaluation")
    return found


def advice(config: ConfigDict, program: CompiledProgram) -> list[str]:
    """Sentences on how to use the devices better, each with its figures."""
    said = []
    used = program.mesh["seed"] * program.mesh["data"]
    if used < program.devices:
        said.append(
            f"{used} of {program.devices} devices are used, the most that divide"
            f" seeds={program.seeds_at_once}, batch_size={config.batch_size} and"
            " discriminator_batch_size evenly"
        )
    accelerator = program.kind != "cpu"
    if accelerator and program.mesh["seed"] < program.devices:
        said.append(
            f"seeds={program.devices} would give every device a seed of its own, without"
            " communication"
        )
    found = estimate(config, program)
    if found and found.bound == "kernels":
        said.append(
            f"a step's {program.kernels} kernels take longer to start than to compute: a larger"
            " batch_size, or more seeds on a device, should cost little"
        )
    elif found and found.bound == "memory" and config.dtype == "float32":
        times = found.memory / max(found.products, 1e-12)
        said.append(
            f"memory takes about {times:.0f} times as long as products: dtype=bfloat16 halves the"
            " activations, and a larger batch_size uses the products"
        )
    return said


def speedup(config: ConfigDict, one: CompiledProgram, many: CompiledProgram) -> float | None:
    """About how many times as fast all devices are as one device, without communication."""
    alone, together = estimate(config, one), estimate(config, many)
    if alone is None or together is None:
        return None
    single, several = (
        found.seconds * -(-config.seeds // program.seeds_at_once)
        for found, program in ((alone, one), (together, many))
    )
    return single / several
