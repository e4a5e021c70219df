"""What is kept for the next run on the same machine: compiled programs, reference classifiers.
Anything in there may be deleted at any time; it is made again."""

import os

import jax


def cache_folder() -> str:
    """$XDG_CACHE_HOME/jaxgan, or ~/.cache/jaxgan; a relative $XDG_CACHE_HOME does not count, as its
    specification has it."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(folder, "jaxgan")


def keep_compiled() -> None:
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
