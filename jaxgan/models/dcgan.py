"""The convolutional networks of the DCGAN document (dcgan:mnist, 28x28x1; dcgan:cifar10, 32x32x3)
and of the paper (dcgan:size=64; Radford et al. 2016, section 3 and figure 1).

Both grow with the image, which is 28x28 or any power of two from 16: each further doubling of its
size doubles the channels at the 4x4 map. A label joins the noise and is broadcast over the image.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.convolutions import Padding
from jaxgan.models.latents import Latent, joined
from jaxgan.models.layers import Network, beside_image, flat, leaky_relu

NORMAL = nn.initializers.normal(0.02)


def stages(size: int, kernel: int, first: int) -> list[tuple[int, int, Padding]]:
    """(kernel, stride, padding) of the transposed convolutions from a 4x4 map to size x size.

    Each doubles the map, except that for 28x28 the first maps 4x4 to 7x7 (4 = 7 - 4 + 1).

    Args:
      size: 28, or a power of two from 8.
      kernel: kernel size of all but the first.
      first: kernel size of the first; ignored for 28.
    """
    doubling: tuple[int, int, Padding] = (kernel, 2, "SAME")
    if size == 28:
        return [(4, 1, "VALID"), doubling, doubling]
    return [(first, 2, "SAME")] + [doubling] * (halvings(size) - 1)


def halvings(size: int) -> int:
    """Number of halvings (rounding up) from size x size to 4x4: 28 -> 3, 32 -> 3, 64 -> 4."""
    count = 0
    while size > 4:
        size, count = -(-size // 2), count + 1
    return count


class Generator(Network):
    """Noise -> 4x4 map -> transposed convolutions -> tanh: [B, H, W, C] in (-1, 1). BatchNorm,
    activation and dropout follow each layer but the last.

    Attributes:
      kernel, first_kernel: kernel sizes (document: 3 and 4; paper: 5 and 5).
      dropout: fraction of activations dropped.
      sample_dropout: whether dropout stays on in sampling.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    kernel: int = 3
    first_kernel: int = 4
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.01)
    dropout: float = 0.2
    sample_dropout: bool = False

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        def activate(x: jax.Array, name: str) -> jax.Array:
            x = self.activation(self.batch_norm(f"{name}_norm", train)(x))
            deterministic = not train and not self.sample_dropout
            return nn.Dropout(self.dropout, deterministic=deterministic, name=f"{name}_dropout")(x)

        size, channels = self.image_shape[0], self.image_shape[2]
        *inner, last = stages(size, self.kernel, self.first_kernel)
        wide = 64 * 2 ** halvings(size)
        x = joined(latent._replace(condition=self.embed(latent.condition)))
        # As in the source, BatchNorm precedes the reshape: 16 times as many statistics.
        x = activate(self.dense(16 * self.scaled(wide), "dense")(x), "dense")
        x = x.reshape(-1, 4, 4, self.scaled(wide))
        for i, (kernel, stride, padding) in enumerate(inner, 1):
            features = self.scaled(wide // 2**i)
            x = self.conv_transpose(features, kernel, stride, f"conv_{i}", padding)(x)
            x = activate(x, f"conv_{i}")
        x = self.conv_transpose(channels, *last[:2], "image", last[2])(x)
        return jnp.tanh(x).astype(self.param_dtype)


class Discriminator(Network):
    """Strided convolutions down to a 4x4 map, BatchNorm after all but the first; no pooling, no
    dense layer but the logit: (logit [B], features [B, 4 * 4 * last])."""

    kernel: int = 3
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.01)
    dropout: float = 0.2

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        depth = halvings(x.shape[1])
        if condition is not None:
            x = beside_image(x, self.embed(condition))
        for i in range(1, depth + 1):
            x = self.conv(self.scaled(64 * 2**i), self.kernel, 2, f"conv_{i}")(x)
            if i > 1:
                x = self.normalize(f"conv_{i}_norm", train)(x)
            drop = nn.Dropout(self.dropout, deterministic=not train, name=f"conv_{i}_dropout")
            x = drop(self.activation(x))
        features = flat(x)
        logit = self.dense(1, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features
