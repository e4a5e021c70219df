"""The convolutional networks of the DCGAN document (28x28x1, 32x32x3) and of the paper (64x64x3;
Radford et al. 2016, section 3 and figure 1).

Both go from a map of 4x4 to 28x28 or to any power of two from 16, with twice the channels for each
halving. A label is concatenated to the noise, and broadcast over the image.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.convolutions import Padding
from jaxgan.models.latents import Latent, joined
from jaxgan.models.layers import Network, beside_image, flat, leaky_relu

NORMAL = nn.initializers.normal(0.02)


class Stage(NamedTuple):
    """One transposed convolution: its kernel, its stride, and its padding."""

    kernel: int
    stride: int
    padding: Padding


def stages(size: int, kernel: int, first: int) -> list[Stage]:
    """The transposed convolutions that bring a 4x4 map to size x size.

    Each doubles the map; for 28x28 the first one turns 4x4 into 7x7.

    Args:
      size: 28, or a power of two, at least 8.
      kernel: of all but the first.
      first: kernel of the first.
    """
    doubling = Stage(kernel, 2, "SAME")
    if size == 28:
        return [Stage(4, 1, "VALID"), doubling, doubling]
    return [Stage(first, 2, "SAME")] + [doubling] * (halvings(size) - 1)


def halvings(size: int) -> int:
    """How often a map is halved (rounding up) until it is 4x4: 28 -> 3, 32 -> 3, 64 -> 4."""
    count = 0
    while size > 4:
        size, count = -(-size // 2), count + 1
    return count


class Generator(Network):
    """Noise -> 4x4 map -> transposed convolutions -> tanh: [B, H, W, C] in (-1, 1). BatchNorm,
    activation and dropout after each but the last.

    Attributes:
      kernel, first_kernel: of the transposed convolutions (document: 3 and 4; paper: 5 and 5).
      dropout: the share of activations dropped.
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
        def finish(x: jax.Array, name: str) -> jax.Array:
            x = self.activation(self.batch_norm(f"{name}_norm", train)(x))
            deterministic = not train and not self.sample_dropout
            return nn.Dropout(self.dropout, deterministic=deterministic, name=f"{name}_dropout")(x)

        size, channels = self.image_shape[0], self.image_shape[2]
        *inner, last = stages(size, self.kernel, self.first_kernel)
        wide = 64 * 2 ** halvings(size)
        x = joined(latent._replace(condition=self.embed(latent.condition)))
        # As in the source, before the reshape: 16 times as many statistics.
        x = finish(self.dense(16 * self.scaled(wide), "dense")(x), "dense")
        x = x.reshape(-1, 4, 4, self.scaled(wide))
        for i, stage in enumerate(inner, 1):
            features = self.scaled(wide // 2**i)
            x = self.conv_transpose(
                features, stage.kernel, stage.stride, f"conv_{i}", stage.padding
            )(x)
            x = finish(x, f"conv_{i}")
        x = self.conv_transpose(channels, last.kernel, last.stride, "image", last.padding)(x)
        return jnp.tanh(x).astype(self.param_dtype)


class Discriminator(Network):
    """Strided convolutions down to a 4x4 map, with BatchNorm after all but the first, then the
    logit: (logit [B], features [B, 4 * 4 * last])."""

    kernel: int = 3
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.01)
    dropout: float = 0.2

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        size = x.shape[1]
        if condition is not None:
            x = beside_image(x, self.embed(condition))
        for i in range(1, halvings(size) + 1):
            x = self.conv(self.scaled(64 * 2**i), self.kernel, 2, f"conv_{i}")(x)
            if i > 1:
                x = self.batch_norm(f"conv_{i}_norm", train)(x)
            drop = nn.Dropout(self.dropout, deterministic=not train, name=f"conv_{i}_dropout")
            x = drop(self.activation(x))
        features = flat(x)
        logit = self.dense(1, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features
