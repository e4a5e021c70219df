"""The classic GANs as pure functions over explicit pytrees, in JAX."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.build import Modules
    from jaxgan.loading import Run


def load(
    workdir: str,
    checkpoint: str = "best",
    seed: int | None = None,
    modules: "Modules | None" = None,
) -> "Run":
    """A trained run: `jaxgan.load("runs/cgan-mnist").sample(64, label=9)`.

    Args and errors: `jaxgan.loading.load`.
    """
    # Here, so that `import jaxgan` alone stays light.
    from jaxgan import loading

    return loading.load(workdir, checkpoint, seed, modules)


__all__: list[Any] = ["load"]
