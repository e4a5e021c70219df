"""A network's layers as a table."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax


class Layer(NamedTuple):
    """One layer: its name, its output's shape without the batch, and the sizes of its trainable
    parameters and of its moving statistics."""

    name: str
    shape: tuple[int, ...]
    parameters: int
    moving: int


def layers(module: nn.Module, *inputs: Any) -> list[Layer]:
    """The layers of a network in the order in which they run; nothing is computed.

    Args:
      module: called as module(*inputs, train=False).
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

    def of(collection: str, name: str) -> Any:
        tree = variables.get(collection, {})
        for part in name.split("/"):
            tree = tree.get(part, {})
        return tree

    def count(tree: Any) -> int:
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    table = []
    for name in order:
        output = jax.tree.leaves(of("intermediates", name)["__call__"])[0]
        table.append(
            Layer(
                name,
                tuple(output.shape[1:]),
                count(of("params", name)),
                count(of("batch_stats", name)),
            )
        )
    return table


def describe(title: str, table: list[Layer]) -> str:
    """The table as text, with its totals."""
    lines = [f"{title}", f"  {'layer':<24}{'output':<18}{'parameters':>12}{'moving':>10}"]
    for layer in table:
        shape = " x ".join(map(str, layer.shape))
        lines.append(f"  {layer.name:<23} {shape:<17} {layer.parameters:>12,} {layer.moving:>9,}")
    parameters, moving = sum(x.parameters for x in table), sum(x.moving for x in table)
    lines.append(f"  {'total':<42}{parameters:>12,}{moving:>10,}")
    return "\n".join(lines)
