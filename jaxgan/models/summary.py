"""Table of a network's layers."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax


class Layer(NamedTuple):
    """One layer: its name, its output's shape without the batch axis, and its numbers of trainable
    parameters and of statistics (BatchNorm's, and spectral normalisation's)."""

    name: str
    shape: tuple[int, ...]
    parameters: int
    moving: int


def layers(module: nn.Module, *inputs: Any) -> list[Layer]:
    """The layers of a network in the order in which they run, without computing anything.

    Args:
      module: a Linen module, called as module(*inputs, train=False).
      *inputs: arrays or `jax.ShapeDtypeStruct`s with a batch axis.
    """
    order: list[str] = []

    def note_order(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        path = "/".join(context.module.path)
        if path and context.method_name == "__call__" and path not in order:
            order.append(path)
        return call(*args, **kwargs)

    def shapes(*inputs: Any) -> Any:
        with nn.intercept_methods(note_order):
            return module.init_with_output(
                jax.random.key(0), *inputs, train=False, capture_intermediates=True
            )[1]

    variables = jax.eval_shape(shapes, *inputs)

    def leaves(collection: str, name: str) -> list[Any]:
        tree = variables.get(collection, {})
        for part in name.split("/"):
            tree = tree.get(part, {})
        return jax.tree.leaves(tree)

    return [
        Layer(
            name,
            tuple(leaves("intermediates", f"{name}/__call__")[0].shape[1:]),
            sum(leaf.size for leaf in leaves("params", name)),
            sum(leaf.size for leaf in leaves("batch_stats", name)),
        )
        for name in order
    ]


def describe(title: str, table: list[Layer]) -> str:
    """The table as text, with its totals."""
    lines = [title, f"  {'layer':<24}{'output':<18}{'parameters':>12}{'moving':>10}"]
    for layer in table:
        shape = " x ".join(map(str, layer.shape))
        lines.append(f"  {layer.name:<23} {shape:<17} {layer.parameters:>12,} {layer.moving:>9,}")
    parameters, moving = sum(x.parameters for x in table), sum(x.moving for x in table)
    lines.append(f"  {'total':<42}{parameters:>12,}{moving:>10,}")
    return "\n".join(lines)
