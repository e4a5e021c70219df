"""A network's parameters and statistics, and how to apply them."""

from typing import Any, NamedTuple

import flax.linen as nn


class Variables(NamedTuple):
    """Parameters and `batch_stats` of one network: BatchNorm's moving statistics, and the vectors
    of spectral normalisation."""

    params: Any
    batch_stats: Any


def apply_network(
    module: nn.Module, variables: Variables, *inputs: Any, train: bool, dropout: Any = None
) -> tuple[Any, Any]:
    """Applies a network.

    Args:
      module: a Linen module, called as module(*inputs, train).
      variables: its parameters and moving statistics.
      *inputs: its inputs.
      train: whether BatchNorm uses batch statistics, and dropout is on.
      dropout: PRNG key of its dropout, or None.

    Returns:
      Its output, and its moving statistics after the pass (unchanged unless `train`).
    """
    tree = variables._asdict()
    rngs = {} if dropout is None else {"dropout": dropout}
    if not train:
        return module.apply(tree, *inputs, train=False, rngs=rngs), variables.batch_stats
    output, changed = module.apply(tree, *inputs, train=True, mutable=["batch_stats"], rngs=rngs)
    return output, changed.get("batch_stats", {})


class Networks(NamedTuple):
    """The variables that sampling and evaluation use: each network's moving average if the run has
    one, else its own; `q` is None without codes."""

    generator: Variables
    discriminator: Variables
    q: Variables | None
