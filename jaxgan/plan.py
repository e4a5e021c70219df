"""`python -m jaxgan.plan --config=configs/infogan.py[:ARG] [--topology=v5e:4x4] [--json=plan.json]`

Compiles a run's program for devices that need not be there, and prints what it would need on them:
memory, FLOPs and bytes, collectives, an estimate of a step's time, and advice. No data is read, and
nothing is trained. `--topology` is a TPU's (libtpu must be installed: `pip install
'jaxgan[tpu-plan]'`), cpu:N for N fake CPU devices, or, without it, this machine's devices.
`--config.KEY=VALUE` as in training. Exit status: 0; 2 an error in the arguments.
"""

import dataclasses
import functools
import os

from absl import app, flags
from ml_collections import ConfigDict

from jaxgan import cli
from jaxgan import main as training
from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json
from jaxgan.planning import topologies

_TOPOLOGY = flags.DEFINE_string("topology", "", "Such as v5e:4x4 or cpu:8; this machine's devices.")
_EXAMPLES = flags.DEFINE_integer(
    "examples", None, "Size of the training split, if the dataset's is not known.", lower_bound=1
)
_CLASSES = flags.DEFINE_integer(
    "classes", None, "Number of labels, if the dataset's is not known.", lower_bound=2
)
_JSON = cli.define_path("json", "File for the plan as JSON.")

parse_flags = functools.partial(training.parse_flags, own=(training.CONFIG,))


def main(argv: list[str]) -> int:
    """Plans as the flags say; returns the exit status."""
    del argv
    given = (_TOPOLOGY.value, _EXAMPLES.value, _CLASSES.value, _JSON.value)
    return cli.run_command(lambda: plan(training.CONFIG.value, *given), has_config=True)


def plan(
    config: ConfigDict, topology: str, examples: int | None, classes: int | None, out: str | None
) -> None:
    """Compiles, prints, and writes the plan as JSON.

    Args:
      config: the run's config.
      topology: as in `topologies.check`.
      examples, classes: size of the training split, and number of labels; None takes the dataset's
        known ones.
      out: the file to write; None writes none.

    Raises:
      UserError: if the config, the topology or the dataset cannot be planned for, or the file
        exists.
    """
    topologies.check(topology)
    if out:
        _check_can_write(out)
    topologies.prepare(topology)
    # After `prepare`: these start JAX.
    from jaxgan.config import validation
    from jaxgan.config.new_runs import check_new_run
    from jaxgan.planning import estimates
    from jaxgan.planning.compiled import CompiledProgram, compile_program
    from jaxgan.planning.examples import sizes
    from jaxgan.planning.words import describe
    from jaxgan.training import jax_setup

    def compiled(name: str) -> CompiledProgram:
        devices = topologies.devices(name)
        print(f"compiling for {len(devices)} {devices[0].device_kind}", flush=True)
        return compile_program(config, dataset, devices)

    validation.validate(config)
    check_new_run(config)
    jax_setup.configure_jax(config.dtype)
    dataset = sizes(config, examples, classes)
    program = compiled(topology)
    single = topologies.one_device(topology)
    gain = None
    if single and program.devices > 1:
        gain = estimates.speedup(config, compiled(single), program)
    print(f"\n{describe(config, program, gain)}")
    if out:
        estimate = estimates.estimate(config, program)
        write_json(
            out,
            {
                "topology": topology,
                **dataclasses.asdict(program),
                "collectives": [one._asdict() for one in program.collectives],
                "estimated_seconds": estimate and estimate.parts(),
                "estimated_speedup": gain,
                "warnings": estimates.warnings(program),
                "advice": estimates.advice(config, program),
            },
        )


def _check_can_write(path: str) -> None:
    """Raises UserError if a file cannot be made: better now than after the compilation."""
    if os.path.exists(path):
        raise UserError(f"{path} exists already", "give another --json, or remove it")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise UserError(f"--json={path}: {folder} is not a folder that can be written")


if __name__ == "__main__":
    cli.start_command()
    app.run(main, flags_parser=parse_flags)
