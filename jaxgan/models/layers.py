"""Layers that Linen lacks, or computes slowly."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

Padding = str | Sequence[tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def transposed_padding(kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """How much of the dilated input's border a transposed convolution sees, along one axis.

    "SAME" gives an output of size input * stride, "VALID" one of (input - 1) * stride + kernel
    (at least input * stride), as `jax.lax.conv_transpose` does. PyTorch's and MXNet's padding p is
    the explicit (kernel - 1 - p, kernel - 1 - p).
    """
    if padding == "SAME":
        total = kernel + stride - 2
        before = kernel - 1 if stride > kernel - 1 else (total + 1) // 2
    elif padding == "VALID":
        total = kernel + stride - 2 + max(kernel - stride, 0)
        before = kernel - 1
    else:
        raise ValueError(f"padding is SAME, VALID or a list of pairs, not {padding!r}")
    return before, total - before


def conv_transpose(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding
) -> jax.Array:
    """A transposed (fractionally strided) convolution with a fast gradient for its kernel.

    Equal to `jax.lax.conv_transpose(x, kernel, strides, padding)`. XLA writes the kernel gradient
    of that as a convolution with a dilated operand, which on the CPU takes 137 ms for the 128->64
    layer of InfoGAN's generator (batch 64, 2 cores); written as the kernel gradient of the strided
    convolution that this one transposes it takes 11 ms, and the forward pass and the input's
    gradient stay as they were (jax issues 23783 and 31662). Differentiable in reverse mode, any
    number of times.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: of the output, (vertical, horizontal).
      padding: "SAME", "VALID", or a pair (before, after) for each axis, counted on the dilated
        input.

    Returns:
      [B, H', W', C'].
    """
    if isinstance(padding, str):
        pairs = tuple(
            transposed_padding(k, s, padding)
            for k, s in zip(kernel.shape[:2], strides, strict=True)
        )
    else:
        pairs = tuple((int(a), int(b)) for a, b in padding)
    return _conv_transpose(x, kernel, tuple(strides), pairs)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv_transpose(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    return lax.conv_general_dilated(
        x, kernel, (1, 1), padding, lhs_dilation=strides, dimension_numbers=_LAYOUT
    )


def _forward(x: Any, kernel: Any, strides: Any, padding: Any) -> Any:
    return _conv_transpose(x, kernel, strides, padding), (x, kernel)


def _backward(strides: Any, padding: Any, residuals: Any, output_gradient: Any) -> Any:
    x, kernel = residuals
    rows, columns = output_gradient.shape[1:3]
    pairs = []
    for size, out, k, stride, (before, _) in zip(
        x.shape[1:3], (rows, columns), kernel.shape[:2], strides, padding, strict=True
    ):
        # The strided convolution maps the output's size back to x's: its padding in front mirrors
        # ours, and what is left (negative: cut off) stands behind.
        front = k - 1 - before
        pairs.append((front, (size - 1) * stride + k - front - out))

    def strided(output: jax.Array, kernel: jax.Array) -> jax.Array:
        mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
        return lax.conv_general_dilated(output, mirrored, strides, pairs, dimension_numbers=_LAYOUT)

    # <y', conv_transpose(x, k)> = <strided(y', k), x>: the same bilinear form read from both sides.
    x_gradient, pull_back = jax.vjp(strided, output_gradient, kernel)
    return x_gradient, pull_back(x)[1]


_conv_transpose.defvjp(_forward, _backward)


class ConvTranspose(nn.Module):
    """`flax.linen.ConvTranspose` for images, through `conv_transpose`: [B, H, W, C] ->
    [B, H', W', features]. Parameters have Flax's names, shapes and meaning."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = conv_transpose(x, kernel, self.strides, self.padding)
        return y if bias is None else y + jnp.reshape(bias, (1, 1, 1, -1))


class Network(nn.Module):
    """What all families of networks share: how large, in which types, with which initial weights
    and which BatchNorm.

    Attributes:
      width: multiplies the inner layers; 1.0 is the source's.
      kernel_init: of every layer that is not told otherwise.
      momentum, epsilon: BatchNorm's; its moving statistics are
        momentum * before + (1 - momentum) * the batch's.
      embedding: numbers in which a label is embedded; 0 for the one-hot vector itself.
      dtype: the layers compute in it.
      param_dtype: of the parameters, and of what the network returns.
    """

    width: float = 1.0
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    momentum: float = 0.99
    epsilon: float = 1e-3
    embedding: int = 0
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def types(self) -> dict[str, Any]:
        """The arguments that give a Linen layer this network's types."""
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def scaled(self, features: int) -> int:
        """An inner layer's size at this network's width: rounded, at least 1."""
        return max(1, round(features * self.width))

    def embed(self, condition: Any) -> Any:
        """A condition as the layers take it: a label [B, K] in `embedding` numbers of its own, an
        image or None as it is."""
        if not self.embedding or condition is None or condition.ndim > 2:
            return condition
        return self.dense(self.embedding, "embedding", bias=False)(condition)

    def batch_norm(self, name: str, train: bool, scale: bool = True) -> nn.BatchNorm:
        """Batch statistics in training, moving ones otherwise; `scale` false fixes gamma at 1."""
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=scale,
            name=name,
            **self.types(),
        )

    def dense(
        self, features: int, name: str, init: Callable[..., Any] | None = None, bias: bool = True
    ) -> nn.Dense:
        """A dense layer of exactly `features`."""
        return nn.Dense(
            features,
            use_bias=bias,
            kernel_init=init or self.kernel_init,
            name=name,
            **self.types(),
        )

    def conv(
        self,
        features: int,
        kernel: int,
        stride: int,
        name: str,
        padding: Padding = "SAME",
        bias: bool = True,
        transposed: bool = False,
    ) -> Any:
        """A square convolution, or a transposed one."""
        kind: Any = ConvTranspose if transposed else nn.Conv
        return kind(
            features,
            (kernel, kernel),
            (stride, stride),
            padding,
            use_bias=bias,
            kernel_init=self.kernel_init,
            name=name,
            **self.types(),
        )

    def conv_transpose(self, *arguments: Any, **named: Any) -> Any:
        """The same as `conv`, transposed."""
        return self.conv(*arguments, **{**named, "transposed": True})


class Maxout(nn.Module):
    """max over `pieces` affine maps, for each of `features` units: [B, N] -> [B, features]
    (Goodfellow et al. 2013, eq. 2 of "Maxout networks")."""

    features: int
    pieces: int
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features * self.pieces)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, shape[1:], self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        pieces = (x @ kernel + bias[None, :]).reshape(-1, self.features, self.pieces)
        return jnp.max(pieces, axis=-1)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """The maximum over windows of size x size that do not overlap; rows and columns left over at
    the end are dropped: [B, H, W, C] -> [B, H // size, W // size, C].

    Equal to `flax.linen.max_pool` with that stride, in value and gradient. XLA's own gradient of a
    pooling is slow on the CPU; that of `jnp.max` divides by how often the maximum occurs, and where
    XLA computes the input twice with other rounding that is 0.
    """
    b, h, w, c = x.shape
    x = x[:, : h // size * size, : w // size * size]
    windows = x.reshape(b, h // size, size, w // size, size, c).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(*windows.shape[:4], size * size)
    first = jnp.argmax(windows, axis=-1, keepdims=True)
    return jnp.take_along_axis(windows, first, axis=-1)[..., 0]


def flat(x: jax.Array) -> jax.Array:
    """[B, ...] -> [B, numbers]."""
    return x.reshape(x.shape[0], -1)


def beside_image(x: jax.Array, condition: jax.Array) -> jax.Array:
    """An image [B, H, W, C] and its condition on more channels: a vector [B, K] is broadcast to
    H x W x K, a condition that is an image is joined as it is."""
    if condition.ndim == 2:
        shape = (*x.shape[:3], condition.shape[-1])
        condition = jnp.broadcast_to(condition[:, None, None, :], shape)
    return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """max(x, slope * x) with the slope bound."""
    return functools.partial(nn.leaky_relu, negative_slope=slope)
