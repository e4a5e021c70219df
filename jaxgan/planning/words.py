"""A plan in words."""

import time

from ml_collections import ConfigDict

from jaxgan.data.loader import ExampleIndices
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
        ("speed-up", f"at most {gain:.1f} times one device (estimate)" if gain else ""),
        ("a call", f"at most {program.steps_per_call} steps; {_host(config, program)}"),
        *(("collectives", _collective(one)) for one in program.collectives),
        ("compilation", f"{program.compile_seconds:.0f} s here"),
        *(("WARNING", text) for text in estimates.warnings(program)),
        *(("advice", text) for text in estimates.advice(config, program)),
    ]
    return "\n".join(f"{name:<12} {text}" for name, text in lines if text)


def size(number: float) -> str:
    """Bytes in a unit that suits them."""
    for unit in ("B", "KB", "MB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GB"


def _collective(one: Collective) -> str:
    axes = " and ".join(one.axes) or "single devices"
    return f"{one.number} {one.kind} over {axes} a {one.each}, {size(one.bytes)}"


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
    chip = program.chip
    share = f" of {size(chip.memory)} ({program.memory / chip.memory:.1%})" if chip else ""
    parts = {
        "networks": program.parameters,
        "optimiser": program.optimizer,
        "data": program.data,
        "temporaries": program.temporaries,
    }
    listed = ", ".join(f"{name} {size(number)}" for name, number in parts.items())
    return f"{size(program.memory)}{share}: {listed}"


def _step(program: CompiledProgram) -> str:
    moved = f"{size(program.bytes)} written and read by {program.kernels} kernels"
    return f"{program.flops / 1e9:.3g} GFLOP, {moved}"


def _estimate(config: ConfigDict, program: CompiledProgram) -> str:
    """ "" for a chip whose figures are not known."""
    estimate = estimates.roofline(program)
    if estimate is None:
        return ""
    rate = program.seeds_at_once * config.batch_size / estimate.seconds
    parts = ", ".join(f"{name} {ms * 1e3:.2g} ms" for name, ms in estimate.parts().items())
    return (
        f"at least {estimate.seconds * 1e3:.2g} ms a step, bound by {estimate.bound} ({parts}):"
        f" at most {rate:,.0f} images/s; nothing was run"
    )


def _host(config: ConfigDict, program: CompiledProgram) -> str:
    """How long this machine takes to draw the indices of a call's examples."""
    batch = config.discriminator_batch_size or config.batch_size
    shape = (config.discriminator_steps, batch)
    seeds = tuple(range(program.seeds_at_once))
    drawn = ExampleIndices(seeds, 50_000, shape, config.dataset.replacement)
    drawn(0)  # Draws the permutation of an epoch.
    began = time.perf_counter()
    drawn.of_steps(1, program.steps_per_call)
    seconds = time.perf_counter() - began
    return f"this machine draws their examples in {seconds * 1e3:.2g} ms"
