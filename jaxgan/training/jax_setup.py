"""Configures JAX for a run: compiler flags, float64, compilation cache."""

import logging
import os

import jax
import jaxlib.version

from jaxgan.common.buckets import is_remote
from jaxgan.common.cache import cache_folder
from jaxgan.common.errors import UserError
from jaxgan.training import distributed

# Lets XLA use its newer CPU kernels for matrix products: InfoGAN's "document" step (batch 64, 2
# cores) goes from 130 to 149 images/s, the "paper" step from 270 to 280.
_CPU_FLAG = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
# The jaxlib versions that know it: from the first, below the second.
_CPU_FLAG_KNOWN = ((0, 10, 0), (0, 12, 0))


def configure_jax(dtype: str = "float32", workdir: str = "") -> None:
    """Configures JAX for a run. Every process must call it before it puts an array on a device.

    Args:
      dtype: the config's dtype; "float64" enables JAX's 64-bit types.
      workdir: the folder of a run that trains. In a run of several processes only the first writes
        compiled programs, so they are kept beside that folder, which all hosts should share.
    """
    # Silences the warning that the machine has no TPU.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    # The environment must change neither a run's bits nor which programs JAX accepts.
    jax.config.update("jax_default_prng_impl", "threefry2x32")
    jax.config.update("jax_threefry_partitionable", True)
    jax.config.update("jax_random_seed_offset", 0)
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    flags = os.environ.get("XLA_FLAGS", "")
    known = _CPU_FLAG_KNOWN[0] <= jaxlib.version.__version_info__ < _CPU_FLAG_KNOWN[1]
    # An unknown flag would end the process. A choice of the user's own takes precedence.
    if known and _CPU_FLAG.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_CPU_FLAG}".strip()
    jax.config.update("jax_enable_x64", dtype == "float64")
    _check_devices()
    folder = os.path.join(cache_folder(), "compiled")
    if jax.distributed.is_initialized() and workdir and not is_remote(workdir):
        folder = os.path.join(os.path.dirname(os.path.abspath(workdir)), ".compiled")
    enable_compilation_cache(folder)
    if jax.distributed.is_initialized():
        # Gloo allows 30 s for the first collective only. All processes are here now; later, one may
        # have to wait longer for another.
        distributed.all_max(0)


def _check_devices() -> None:
    """Raises UserError if JAX_PLATFORMS names devices that are not there."""
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # An assertion for a known, missing platform.
        asked, why = os.environ.get("JAX_PLATFORMS", ""), str(error).partition("\n")[0]
        what = f"JAX_PLATFORMS={asked}: " if asked else ""
        what += why or "this machine has no such devices"
        remedy = "see docs/devices.md for JAX on these devices"
        remedy += "; or unset JAX_PLATFORMS" if asked else "; or set JAX_PLATFORMS=cpu"
        raise UserError(what, remedy) from None


def enable_compilation_cache(folder: str) -> None:
    """Makes JAX cache compiled programs in a folder if that is writable: compiling takes 5 to 20 s,
    reading back under 1 s. JAX_COMPILATION_CACHE_DIR takes precedence ("" turns it off)."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", folder)
        # Below JAX's default of 1 s: a run also compiles dozens of small programs.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
