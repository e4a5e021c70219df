"""Estimates from a compiled program and a chip's published figures, and what to do about them.
Nothing here was measured on the devices."""

import dataclasses

from ml_collections import ConfigDict

from jaxgan.planning.compiled import CompiledProgram

# A TPU's XLA pads the second-to-last axis of a float32 array to a multiple of this.
_TPU_ROWS = 8
# Above this share of a device's memory nothing is left for evaluation and sampling.
_FULL = 0.9
# What a kernel takes on an accelerator however little it does, seconds: an assumption.
_KERNEL = 1e-6


@dataclasses.dataclass(frozen=True)
class Roofline:
    """The least time of a step on one device (Williams et al. 2009, "Roofline").

    Attributes:
      products: seconds of its FLOPs at the peak of bfloat16 products.
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


def roofline(program: CompiledProgram) -> Roofline | None:
    """The roofline of a step; None if the chip's figures are not known."""
    chip = program.chip
    if chip is None:
        return None
    return Roofline(
        program.flops / chip.flops,
        program.bytes / chip.bandwidth,
        program.kernels * _KERNEL,
    )


def warnings(program: CompiledProgram) -> list[str]:
    """What is wrong with the program; normally nothing."""
    found = []
    for one in program.crossing_seeds:
        found.append(f"{one.number} {one.kind} of {one.bytes:,} bytes cross seeds")
    for one in program.collectives:
        if program.data and one.bytes >= program.data:
            found.append(f"{one.kind} over {', '.join(one.axes)} is as large as the dataset")
    chip = program.chip
    if chip and program.memory > _FULL * chip.memory:
        share = program.memory / chip.memory
        found.append(f"{share:.0%} of a device's memory: nothing is left for the evaluation")
    return found


def advice(config: ConfigDict, program: CompiledProgram) -> list[str]:
    """Sentences on how to use the devices better, each with its figures."""
    said = []
    used = program.mesh["seed"] * program.mesh["data"]
    rows = config.batch_size // program.mesh["data"]
    everyone = f"seeds={program.devices} would give every device a seed of its own"
    if used < program.devices:
        said.append(
            f"{used} of {program.devices} devices are used, because batch_size={config.batch_size}"
            f" and seeds={config.seeds} divide no further; {everyone}"
        )
    elif program.kind.startswith("TPU") and rows < _TPU_ROWS and program.mesh["data"] > 1:
        said.append(f"{rows} rows a device are padded to {_TPU_ROWS}; {everyone}")
    estimate = roofline(program)
    if estimate and estimate.bound == "kernels":
        said.append(
            f"a step's {program.kernels} kernels take longer to start than to compute: a"
            " larger batch_size or more seeds a device cost almost nothing"
        )
    elif estimate and estimate.bound == "memory" and config.dtype == "float32":
        times = estimate.memory / max(estimate.products, 1e-12)
        said.append(
            f"memory takes {times:.0f} times as long as products: dtype=bfloat16 halves the"
            " activations, and a larger batch_size uses the products"
        )
    return said


def speedup(one: CompiledProgram, many: CompiledProgram, seeds: int) -> float | None:
    """How many times as fast all devices are as one device, at best, for `seeds` runs."""
    alone, together = roofline(one), roofline(many)
    if alone is None or together is None:
        return None
    times = (
        estimate.seconds * -(-seeds // program.seeds_at_once)
        for estimate, program in ((alone, one), (together, many))
    )
    single, several = times
    return single / several
