"""Every test runs with eight fake CPU devices, warnings as errors and no silent rank promotion."""

import atexit
import contextlib
import gc
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

import forks
import hypothesis
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Seconds that any test waits for a process: far more than a loaded machine takes, since each wait
# ends as soon as its condition holds.
PATIENCE = 900
# Hardly any optimisation, because these tests compile much and run little.
_FAST_COMPILES = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
if importlib.metadata.version("jaxlib").startswith("0.10."):
    # Half of the time to compile a step. A jaxlib that does not know them would end the tests.
    _FAST_COMPILES += " --xla_cpu_use_fusion_emitters=false"
    _FAST_COMPILES += " --xla_cpu_parallel_codegen_split_count=1"
_TEST_FLAGS = f"--xla_force_host_platform_device_count=8 {_FAST_COMPILES}"
# Taken out first: a worker of pytest-xdist inherits what its parent set.
_PLAIN_FLAGS = os.environ.get("XLA_FLAGS", "").replace(_TEST_FLAGS, "").strip()
os.environ["XLA_FLAGS"] = f"{_PLAIN_FLAGS} {_TEST_FLAGS}".strip()
os.environ["JAX_PLATFORMS"] = "cpu"
# One thread for each worker's matrix products: more would wait for one another, and sum in an order
# that depends on the number of cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # The same small programs are compiled by many processes; workers inherit the folders. A
    # classifier that an earlier run of the tests has cached could hide a fault of its training.
    _CACHE = tempfile.mkdtemp(prefix="jaxgan-tests-")
    atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["XDG_CACHE_HOME"] = f"{_CACHE}/cached"

# What a terminal or its user prefers changes no output that a test reads.
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"):
    os.environ.pop(_name, None)

# Tracing leaves many objects: collecting them as often as usual takes 5 % of the time.
gc.set_threshold(100_000, 50, 100)

# The same examples in every run and on every machine, however slow it is.
hypothesis.settings.register_profile("anywhere", derandomize=True, deadline=None)
hypothesis.settings.load_profile("anywhere")

import jax  # noqa: E402
import numpy as np  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


# Those that take longest, from the longest on.
_FIRST = (
    "test_main.py",
    "test_program.py",
    "test_buckets.py",
    "test_configs.py",
    "test_step.py",
    "test_distributed.py",
    "test_sample.py",
    "test_examples.py",
    "test_docs.py",
    "test_own_modules.py",
    "test_formats.py",
)


def pytest_collection_modifyitems(items):
    """Puts the slow files first: the last ones, while the other worker may have nothing left to do,
    should be short."""
    ranks = {name: rank for rank, name in enumerate(_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture(autouse=True)
def no_own_modules(monkeypatch):
    """Commands that a test calls in its own process, whose flags are not parsed."""
    monkeypatch.setattr("jaxgan.cli.MODULES", types.SimpleNamespace(value=None, present=0))


@pytest.fixture
def float64():
    """64-bit types for one test."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


def command_environment(**extra: str) -> dict[str, str]:
    """The environment of a command as a user runs it, but for the optimisation: one device, no
    data but the embedded."""
    flags = f"{_PLAIN_FLAGS} {_FAST_COMPILES}".strip()
    # UTF-8 in any locale, as `run_python` reads it.
    own = {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    own["GLIBC_TUNABLES"] = ""  # A choice of one's own: no command starts twice.
    environment = {**os.environ, **own, **extra}
    if "TFDS_DATA_DIR" not in extra:
        environment.pop("TFDS_DATA_DIR", None)
    return environment


def run_main(*arguments: str, cwd: pathlib.Path = ROOT, **extra: str):
    """Runs `python -m jaxgan.main` in a process of its own."""
    return run_python("-m", "jaxgan.main", *arguments, cwd=cwd, **extra)


def run_forked(module: str, *arguments: str, cwd: pathlib.Path = ROOT, **extra: str):
    """Runs `python -m MODULE ARGUMENTS` as a fork of a process that has imported JAX, which is far
    faster than `run_python`."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = (pathlib.Path(folder, name) for name in ("out", "err"))
        process = forks.start(module, arguments, cwd, command_environment(**extra), out, err)
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
        assert process.exitcode is not None, f"{module} has not ended"
        said = (path.read_text(encoding="utf-8") for path in (out, err))
        return subprocess.CompletedProcess([module, *arguments], process.exitcode, *said)


def run_python(*arguments: str, cwd: pathlib.Path = ROOT, input: str = "", **extra: str):
    """Runs `python ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        input=input,
        cwd=cwd,
        env=command_environment(**extra),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )


def tiny_config(arg: str = "", **values):
    """`configs/infogan.py`, small enough for a test; values' names have __ for the dots."""
    from jaxgan.config.presets import update
    from jaxgan.config.validation import validate

    config = load_config("infogan", arg)
    small = {
        "width": 0.05,
        "batch_size": 16,
        "discriminator_batch_size": 0,
        "steps": 2,
        "seeds": 1,
        "latent.noise": 4,
        "eval_images": 64,
        "results_images": 64,
    }
    config = update(
        config, small | {name.replace("__", "."): value for name, value in values.items()}
    )
    validate(config)
    return config


def load_config(name: str, arg: str = ""):
    """get_config(arg) of a file in configs/."""
    from jaxgan.config.files import from_file

    return from_file(ROOT / "configs" / f"{name}.py", arg)


@contextlib.contextmanager
def untrained():
    """`jaxgan.train.train` goes through a run without its steps, whose compilation takes longest:
    what it leaves behind are the networks of the start, as if of its last step."""
    from jaxgan.training import program

    def run(self, state, given):
        steps = jax.tree.leaves(given)[0].shape[1]
        names = ("discriminator", "discriminator_real", "discriminator_fake", "generator")
        names = ("alive", *(f"loss/{name}" for name in names))
        ones = np.ones((len(self.seeds), steps, len(names)), np.float32)
        return state.replace(step=state.step + steps), program.StepMetrics(ones, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program.Program, "run", run)
        yield


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A folder for hypothesis, which calls a test many times over."""
    return tmp_path_factory.mktemp("scratch")
