"""JAX's settings for a run: compiler flags, float64, the compilation cache."""

import logging
import os

import jax
import jaxlib.version

from jaxgan.common.cache import cache_folder
from jaxgan.training import distributed

# Lets XLA hand matrix products on the CPU to its newer kernels: InfoGAN's "document" step (batch
# 64, 2 cores) goes from 130 to 149 images/s, the "paper" step from 270 to 280.
_CPU_FLAG = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"


_CPU_FLAG_KNOWN = ((0, 10, 0), (0, 12, 0))


def configure_jax(dtype: str = "float32") -> None:
    """Makes JAX ready for a run; wants to be called before anything is put on a device, and by all
    processes.

    Args:
      dtype: "float64" turns on JAX's 64-bit types.
    """
    # That a machine has no TPU is not worth a line of the user's.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    flags = os.environ.get("XLA_FLAGS", "")
    known = _CPU_FLAG_KNOWN[0] <= jaxlib.version.__version_info__ < _CPU_FLAG_KNOWN[1]
    # An unknown flag would end the process, and the user's own choice comes first.
    if known and _CPU_FLAG.partition("=")[0] not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_CPU_FLAG}".strip()
    jax.config.update("jax_enable_x64", dtype == "float64")
    enable_compilation_cache()
    if jax.distributed.is_initialized():
        # All are here now. Gloo gives them half a minute for their first meeting; later ones may
        # keep a process waiting as long as they like.
        distributed.all_max(0)


def enable_compilation_cache() -> None:
    """Has JAX keep compiled programs under `cache_folder()`, for a program is compiled in 5 to 20 s
    and read back in less than one; where JAX_COMPILATION_CACHE_DIR is set, that says where ("" is
    nowhere). A folder that cannot be written is none."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = os.path.join(cache_folder(), "compiled")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK):
        jax.config.update("jax_compilation_cache_dir", folder)
        # A run compiles some dozens of small ones besides its step.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
