"""The classic GANs as pure functions over explicit pytrees, in JAX."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxgan.common.version import VERSION as __version__

if TYPE_CHECKING:
    from jaxgan.inference.trained_run import Run
    from jaxgan.models.registry import Modules


def load(
    workdir: str,
    checkpoint: str = "best",
    seed: int | None = None,
    modules: "Modules | None" = None,
) -> "Run":
    """Loads a trained run: `jaxgan.load("runs/cgan-mnist").sample(64, label=9)`.

    For arguments and errors see `jaxgan.inference.loading.load`.
    """
    # Imported here, so that `import jaxgan` does not import JAX.
    from jaxgan.inference import loading

    return loading.load(workdir, checkpoint, seed, modules)


def __getattr__(name: str) -> Any:
    """`jaxgan.train`, which loads JAX, is imported when it is first used."""
    if name == "train":
        return importlib.import_module("jaxgan.train")
    raise AttributeError(f"module 'jaxgan' has no attribute {name!r}")


__all__: list[Any] = ["__version__", "load", "train"]
