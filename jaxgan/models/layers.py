"""Layers that Linen lacks or computes slowly."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models.convolutions import Padding, conv, conv_transpose, on_cpu

# --- Sums over a batch


@jax.custom_vjp
def column_sum(x: jax.Array) -> jax.Array:
    """Sum over all axes but the last: [..., C] -> [C].

    On the CPU it is a product with a row of ones, because XLA's reduction is slow there
    (12,544 x 96, one core: 1.07 -> 0.09 ms).
    """
    rows = x.reshape(-1, x.shape[-1])
    if on_cpu():
        return jnp.ones(rows.shape[0], x.dtype) @ rows
    return jnp.sum(rows, axis=0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def broadcast_rows(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[C] broadcast to `shape`, [..., C]; its gradient is a `column_sum`."""
    return jnp.broadcast_to(x, shape)


column_sum.defvjp(
    lambda x: (column_sum(x), x.shape), lambda shape, gradient: (broadcast_rows(gradient, shape),)
)
broadcast_rows.defvjp(
    lambda x, shape: (broadcast_rows(x, shape), None),
    lambda shape, _, gradient: (column_sum(gradient),),
)


# --- Layers


class Dense(nn.Module):
    """`flax.linen.Dense`, its bias's gradient as a `column_sum`: [..., N] -> [..., features].
    Parameters have Flax's names, shapes and meaning."""

    features: int
    use_bias: bool = True
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, shape[1:], self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = x @ kernel
        return y if bias is None else y + broadcast_rows(bias, y.shape)


class Conv(nn.Module):
    """`flax.linen.Conv` for images, through `conv`: [B, H, W, C] -> [B, H', W', features].
    Parameters have Flax's names, shapes and meaning."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """`condition`, [B, K], is joined to every pixel as K more channels. Only in unpadded
        convolutions: padding would lack it."""
        channels = x.shape[-1]
        more = 0 if condition is None else condition.shape[-1]
        shape = (*self.kernel_size, channels + more, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = self.convolve(x, kernel[:, :, :channels])
        if condition is not None:
            # The convolution of a constant image is constant, so that the first layer of
            # "cgan:mnist" convolves 1 channel instead of 11.
            assert self.padding == "VALID"
            everywhere = condition.astype(y.dtype) @ kernel[:, :, channels:].sum((0, 1))
            y += everywhere[:, None, None, :]
        return y if bias is None else y + broadcast_rows(bias, y.shape)

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv(x, kernel, self.strides, self.padding)


class ConvTranspose(Conv):
    """`flax.linen.ConvTranspose` for images, through `conv_transpose`: [B, H, W, C] ->
    [B, H', W', features]. Parameters have Flax's names, shapes and meaning."""

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv_transpose(x, kernel, self.strides, self.padding)


class BatchNorm(nn.BatchNorm):
    """`flax.linen.BatchNorm` over all axes but the last (Ioffe and Szegedy 2015, algorithm 1), its
    sums as `column_sum`s. Statistics in float32 at least; parameters and statistics have Flax's
    names and meaning."""

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        use_running_average = nn.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        features = x.shape[-1:]
        mean_of = self.variable("batch_stats", "mean", jnp.zeros, features, jnp.float32)
        var_of = self.variable("batch_stats", "var", jnp.ones, features, jnp.float32)
        given, x = x, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, var = mean_of.value, var_of.value
        if not use_running_average:
            moments = jnp.stack([column_sum(x), column_sum(jnp.square(x))])
            moments = moments * (features[0] / x.size)
            if self.axis_name is not None and not self.is_initializing():
                moments = lax.pmean(moments, self.axis_name)
            mean, var = moments[0], jnp.maximum(0.0, moments[1] - jnp.square(moments[0]))
            if not self.is_initializing():
                mean_of.value = self.momentum * mean_of.value + (1 - self.momentum) * mean
                var_of.value = self.momentum * var_of.value + (1 - self.momentum) * var
        factor = lax.rsqrt(var + self.epsilon)
        if self.use_scale:
            factor *= self.param("scale", self.scale_init, features, self.param_dtype)
        shift = -mean * factor
        if self.use_bias:
            shift += self.param("bias", self.bias_init, features, self.param_dtype)
        y = x * broadcast_rows(factor, x.shape) + broadcast_rows(shift, x.shape)
        return y.astype(self.dtype or given.dtype)


class Network(nn.Module):
    """What all networks share: their width, types, initial weights and BatchNorm.

    Attributes:
      width: multiplies the inner layers; 1.0 is the source's.
      kernel_init: of every layer without one of its own.
      momentum, epsilon: of BatchNorm, whose moving statistics become
        momentum * old + (1 - momentum) * batch.
      embedding: dimensions of a label's embedding; 0 for the one-hot vector itself.
      dtype: of the layers' computation.
      param_dtype: of the parameters and of the network's outputs.
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
        """A label [B, K] embedded, [B, embedding]; an image or None unchanged."""
        if not self.embedding or condition is None or condition.ndim > 2:
            return condition
        return self.dense(self.embedding, "embedding", bias=False)(condition)

    def batch_norm(self, name: str, train: bool, scale: bool = True) -> BatchNorm:
        """Batch statistics in training, moving ones otherwise; `scale` false fixes gamma at 1."""
        return BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=scale,
            name=name,
            **self.types(),
        )

    def dense(
        self, features: int, name: str, init: Callable[..., Any] | None = None, bias: bool = True
    ) -> Dense:
        """A dense layer of exactly `features`."""
        return Dense(
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
        kind: Any = ConvTranspose if transposed else Conv
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
        y = x @ kernel
        pieces = (y + broadcast_rows(bias, y.shape)).reshape(-1, self.features, self.pieces)
        return jnp.max(pieces, axis=-1)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """The maximum over disjoint windows of size x size; rows and columns that fill no window are
    dropped: [B, H, W, C] -> [B, H // size, W // size, C].

    Equal to `flax.linen.max_pool` with that stride, in value and gradient (a tie goes to the first
    pixel). XLA's gradient of a pooling is slow on the CPU, and one through `jnp.argmax` takes twice
    as long as this. The gradient of `jnp.max` divides by the number of maxima, which is 0 if XLA
    computes the input twice and rounds differently.
    """
    h, w = x.shape[1] // size * size, x.shape[2] // size * size
    places = [x[:, i:h:size, j:w:size] for i, j in np.ndindex(size, size)]
    return functools.reduce(lambda a, b: jnp.where(a >= b, a, b), places)


def flat(x: jax.Array) -> jax.Array:
    """[B, ...] -> [B, N]."""
    return x.reshape(x.shape[0], -1)


def beside_image(x: jax.Array, condition: jax.Array) -> jax.Array:
    """An image [B, H, W, C] and its condition, concatenated on the channels. A vector [B, K] is
    broadcast over the image."""
    if condition.ndim == 2:
        shape = (*x.shape[:3], condition.shape[-1])
        condition = jnp.broadcast_to(condition[:, None, None, :], shape)
    return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """The function max(x, slope * x)."""
    return functools.partial(nn.leaky_relu, negative_slope=slope)
