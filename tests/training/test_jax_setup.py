"""What the environment may not change, and what it names that is not there."""

import jax
import pytest

from jaxgan.common.errors import UserError
from jaxgan.training import distributed, jax_setup


def test_the_environment_changes_no_bits():
    options = {"jax_default_prng_impl": "rbg", "jax_random_seed_offset": 7}
    options |= {"jax_threefry_partitionable": False, "jax_numpy_dtype_promotion": "strict"}
    before = {name: getattr(jax.config, name) for name in options}
    try:
        for name, value in options.items():
            jax.config.update(name, value)
        jax_setup.configure_jax()
        assert {name: getattr(jax.config, name) for name in options} == before
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


@pytest.mark.parametrize("error", [RuntimeError("Unknown backend\nlines"), AssertionError()])
def test_a_platform_that_is_not_there_is_named(monkeypatch, error):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(UserError, match=r"JAX_PLATFORMS=cuda: (Unknown backend|this machine)\b"):
        jax_setup.configure_jax()


SLURM = {"JOB_ID": "79", "STEP_NODELIST": "node001", "PROCID": "0", "LOCALID": "0"}


@pytest.mark.parametrize("tasks", [1, 4])
def test_one_task_of_slurm_waits_for_nobody(monkeypatch, capsys, tasks):
    for name, value in {**SLURM, "NTASKS": str(tasks)}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    waited = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: waited.append(True))
    distributed.initialize()
    assert len(waited) == (tasks > 1)
    said = "job 79 of Slurm has 4 tasks: this process waits for the others"
    assert capsys.readouterr().out.startswith(said) == (tasks > 1)
