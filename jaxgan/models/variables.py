"""A network's parameters and BatchNorm statistics, and how to apply them."""

from typing import Any, NamedTuple

import flax.linen as nn


class Variables(NamedTuple):
    """A network's parameters and BatchNorm statistics."""

    params: Any
    batch_stats: Any


def apply_network(
    module: nn.Module, variables: Variables, *inputs: Any, train: bool, dropout: Any = None
) -> tuple[Any, Any]:
    """Runs a network.

    Args:
      module: the network.
      variables: of the network.
      *inputs: of the network.
      train: batch statistics if true, moving statistics otherwise.
      dropout: PRNG key of its dropout, or None.

    Returns:
      Its output, and its moving statistics after the pass (unchanged if train is false).
    """
    tree = {"params": variables.params, "batch_stats": variables.batch_stats}
    rngs = {} if dropout is None else {"dropout": dropout}
    if not train:
        return module.apply(tree, *inputs, train=False, rngs=rngs), variables.batch_stats
    output, changed = module.apply(tree, *inputs, train=True, mutable=["batch_stats"], rngs=rngs)
    return output, changed.get("batch_stats", {})


class Networks(NamedTuple):
    """The networks of a run for inference: the generator (its moving average if it has one), the
    discriminator, and Q, None without codes."""

    generator: Variables
    discriminator: Variables
    q: Variables | None
