"""A network's parameters and BatchNorm statistics, and how to apply them."""

from typing import Any, NamedTuple

import flax.linen as nn


class Variables(NamedTuple):
    """A network's numbers without its optimiser's: what it takes to run it."""

    params: Any
    batch_stats: Any


def apply_network(
    module: nn.Module, variables: Variables, *inputs: Any, train: bool, dropout: Any = None
) -> tuple[Any, Any]:
    """Runs a network.

    Args:
      module: the network.
      variables: its parameters and statistics.
      *inputs: the network's own.
      train: batch statistics if true, moving statistics otherwise.
      dropout: the key of its dropout, where it has any.

    Returns:
      Its output, and its moving statistics after the pass (as they came where train is false).
    """
    tree = {"params": variables.params, "batch_stats": variables.batch_stats}
    rngs = {} if dropout is None else {"dropout": dropout}
    if not train:
        return module.apply(tree, *inputs, train=False, rngs=rngs), variables.batch_stats
    output, changed = module.apply(tree, *inputs, train=True, mutable=["batch_stats"], rngs=rngs)
    return output, changed.get("batch_stats", {})


class Networks(NamedTuple):
    """What it takes to sample from a run and to read its images: the generator that samples (its
    moving average where there is one), the discriminator, and `q`, None without codes."""

    generator: Variables
    discriminator: Variables
    q: Variables | None
