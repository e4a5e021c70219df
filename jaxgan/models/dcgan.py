"""The convolutional networks of the DCGAN document (dcgan:mnist, 28x28x1; dcgan:cifar10, 32x32x3)
and of the paper (dcgan:size=64; Radford et al. 2016, section 3 and figure 1).

Both grow with the image, whose size is any multiple of 4 from 16 to 256: each halving of the map
doubles the channels, up to 1,024. A label joins the noise and is broadcast over the image.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.convolutions import Padding, transposed_padding
from jaxgan.models.dropout import Dropout
from jaxgan.models.latents import Latent, joined
from jaxgan.models.layers import Network, concatenate_condition, flat, leaky_relu

NORMAL = nn.initializers.normal(0.02)


def map_sizes(size: int) -> list[int]:
    """Sizes of the maps from the image down to 4x4 or 3x3, each half of the one before, rounded up:
    28 -> [28, 14, 7, 4], 48 -> [48, 24, 12, 6, 3], 100 -> [100, 50, 25, 13, 7, 4]."""
    sizes = [size]
    while sizes[-1] > 4:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def map_channels(halvings: int) -> int:
    """Channels of the map after so many halvings of the image: 128, 256, 512, 1,024, 1,024, ….

    1,024 is the paper's widest map. Doubling on would quadruple the parameters whenever the image
    doubles, nearly all of them between the two smallest maps: the paper's networks for 128x128
    images would have 73 and 70 million instead of 45 and 43.
    """
    return min(64 * 2**halvings, 1024)


def doubling(kernel: int, size: int) -> Padding:
    """Padding of the transposed convolution of stride 2 from a map of half the size, rounded up, to
    size x size. The doubled map loses its last row and column if `size` is odd."""
    if size % 2 == 0:
        return "SAME"
    before, after = transposed_padding(kernel, 2, "SAME")
    return ((before, after - 1), (before, after - 1))


def stages(size: int, kernel: int, first: int) -> list[tuple[int, int, Padding]]:
    """(kernel, stride, padding) of the transposed convolutions up the `map_sizes` of an image.

    Each doubles the map, except that for 28x28 the first maps 4x4 to 7x7 (4 = 7 - 4 + 1).

    Args:
      size: of the image, at least 8.
      kernel: kernel size of all but the first.
      first: kernel size of the first; ignored for 28.
    """
    targets = map_sizes(size)[-2::-1]
    kernels = [first] + [kernel] * (len(targets) - 1)
    found = [(k, 2, doubling(k, target)) for k, target in zip(kernels, targets, strict=True)]
    return [(4, 1, "VALID"), *found[1:]] if size == 28 else found


class Generator(Network):
    """Noise -> smallest map -> transposed convolutions -> tanh: [B, H, W, C] in (-1, 1). BatchNorm,
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
            return Dropout(self.dropout, deterministic=deterministic, name=f"{name}_dropout")(x)

        size, channels = self.image_shape[0], self.image_shape[2]
        *inner, last = stages(size, self.kernel, self.first_kernel)
        depth, smallest = len(inner) + 1, map_sizes(size)[-1]
        wide = self.scaled(map_channels(depth))
        x = joined(latent._replace(condition=self.embed(latent.condition)))
        # As in the source, BatchNorm precedes the reshape: each pixel has its own statistics.
        x = activate(self.dense(smallest**2 * wide, "dense")(x), "dense")
        x = x.reshape(-1, smallest, smallest, wide)
        for i, (kernel, stride, padding) in enumerate(inner, 1):
            features = self.scaled(map_channels(depth - i))
            x = self.conv_transpose(features, kernel, stride, f"conv_{i}", padding)(x)
            x = activate(x, f"conv_{i}")
        x = self.conv_transpose(channels, *last[:2], "image", last[2])(x)
        return jnp.tanh(x).astype(self.param_dtype)


class Discriminator(Network):
    """Strided convolutions down the `map_sizes`, BatchNorm after all but the first; no pooling, no
    dense layer but the logit: (logit [B], features [B, F] of the smallest map)."""

    kernel: int = 3
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.01)
    dropout: float = 0.2

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        depth = len(map_sizes(x.shape[1])) - 1
        if condition is not None:
            x = concatenate_condition(x, self.embed(condition))
        for i in range(1, depth + 1):
            x = self.conv(self.scaled(map_channels(i)), self.kernel, 2, f"conv_{i}")(x)
            if i > 1:
                x = self.normalize(f"conv_{i}_norm", train)(x)
            drop = Dropout(self.dropout, deterministic=not train, name=f"conv_{i}_dropout")
            x = drop(self.activation(x))
        features = flat(x)
        logit = self.dense(1, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features
