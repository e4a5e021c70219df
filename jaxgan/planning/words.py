"""A plan in words."""

from ml_collections import ConfigDict

from jaxgan.planning import estimates
from jaxgan.planning.compiled import CompiledProgram
from jaxgan.planning.hlo import Collective


def describe(config: ConfigDict, program: CompiledProgram, gain: float | None) -> str:
    """The plan as lines of text, estimates called such.

    Args:
      config: the run's config.
      program: the compiled program.
      gain: from `estimates.speedup`, or None.
    """
    lines = [
        ("devices", _devices(program)),
        ("mesh", f"{program.mesh['seed']} along seed, {program.mesh['data']} along data"),
        ("on each", _share(config, program)),
        ("memory", _memory(program)),
        ("a step", _step(program)),
        ("estimate", _estimate(config, program)),
        ("speed-up", f"about {gain:.1f} times one device, without communication" if gain else ""),
        ("a call", f"{program.steps_per_call} steps at most"),
        *(("collectives", _collective(one)) for one in program.collectives),
        ("compilation", f"{program.compile_seconds:.0f} s here"),
        *(("WARNING", text) for text in estimates.warnings(program)),
        *(("advice", text) for text in estimates.advice(config, program)),
    ]
    return "\n".join(f"{name:<12} {text}" for name, text in lines if text)


def size(number: float) -> str:
    """Bytes in a unit that suits them."""
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"


def _collective(one: Collective) -> str:
    axes = " and ".join(one.axes) or "single devices"
    return f"{one.number} {one.kind} over {axes} a {one.per}, {size(one.bytes)}"


def _devices(program: CompiledProgram) -> str:
    used = program.mesh["seed"] * program.mesh["data"]
    hosts = f"{program.hosts} host{'s' * (program.hosts > 1)}"
    return f"{program.devices} {program.kind} on {hosts}, {used} used"


def _share(config: ConfigDict, program: CompiledProgram) -> str:
    seeds = program.seeds_at_once // program.mesh["seed"]
    rows = config.batch_size // program.mesh["data"]
    turns = ", which take turns" if config.seeds > program.seeds_at_once else ""
    return f"{seeds} of {config.seeds} seeds{turns}; {rows} rows of each batch"


def _memory(program: CompiledProgram) -> str:
    chip, total = program.chip, sum(program.memory.values())
    share = f" of {size(chip.memory)} ({total / chip.memory:.1%})" if chip else ""
    parts = ", ".join(f"{name} {size(number)}" for name, number in program.memory.items())
    return f"{size(total)}{share}: {parts}"


def _step(program: CompiledProgram) -> str:
    moved = f"{size(program.bytes)} written and read by {program.kernels} kernels"
    return f"{program.flops / 1e9:.3g} GFLOP, {moved}"


def _estimate(config: ConfigDict, program: CompiledProgram) -> str:
    """The estimate; empty for an unknown chip."""
    found = estimates.estimate(config, program)
    if found is None:
        return ""
    rate = program.seeds_at_once * config.batch_size / found.seconds
    parts = ", ".join(f"{name} {seconds * 1e3:.2g} ms" for name, seconds in found.parts().items())
    return (
        f"about {found.seconds * 1e3:.2g} ms a step, bound by {found.bound} ({parts}): some"
        f" {rate:,.0f} images/s over all seeds; nothing was run, communication is not included"
    )
