"""Layers that Linen lacks or that XLA computes slowly."""

import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models.convolutions import Padding, conv, conv_transpose
from jaxgan.models.cpu import on_cpu

# --- Sums over a batch


@jax.custom_vjp
def column_sum(x: jax.Array) -> jax.Array:
    """Sum over all axes but the last: [..., C] -> [C].

    On the CPU, a product with a row of ones replaces XLA's reduction: 1.07 -> 0.09 ms for
    12,544 x 96 on one core.
    """
    rows = x.reshape(-1, x.shape[-1])
    if on_cpu():
        return jnp.ones(rows.shape[0], x.dtype) @ rows
    return jnp.sum(rows, axis=0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def broadcast_rows(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[C] repeated to `shape`, [..., C]; its gradient is a `column_sum`."""
    return jnp.broadcast_to(x, shape)


column_sum.defvjp(
    lambda x: (column_sum(x), x.shape), lambda shape, gradient: (broadcast_rows(gradient, shape),)
)
broadcast_rows.defvjp(
    lambda x, shape: (broadcast_rows(x, shape), None),
    lambda shape, _, gradient: (column_sum(gradient),),
)


# --- Layers


def spectrally_normalized(layer: nn.Module, kernel: jax.Array) -> jax.Array:
    """The kernel divided by its largest singular value, which one power iteration in each pass
    estimates (Miyato et al. 2018, algorithm 1); the kernel of a convolution, [H, W, C, features],
    counts as the matrix [H * W * C, features].

    The vector of the iteration, "u", is among the layer's batch statistics: like BatchNorm's moving
    statistics, only the discriminator's own update changes it.
    """

    def initial() -> jax.Array:
        return jax.random.normal(layer.make_rng("params"), kernel.shape[-1:], kernel.dtype)

    def unit(x: jax.Array) -> jax.Array:
        return x / (jnp.linalg.norm(x) + 1e-12)

    vector = layer.variable("batch_stats", "u", initial)
    matrix = lax.stop_gradient(kernel).reshape(-1, kernel.shape[-1])
    left = unit(matrix @ vector.value)
    right = unit(left @ matrix)
    if layer.is_mutable_collection("batch_stats") and not layer.is_initializing():
        vector.value = right
    return kernel / (left @ kernel.reshape(matrix.shape) @ right)


def _promoted(layer: Any, x: jax.Array, shape: tuple[int, ...], use_bias: bool = True) -> Any:
    """The input, the layer's kernel of that shape and its bias (or None), in one dtype."""
    kernel = layer.param("kernel", layer.kernel_init, shape, layer.param_dtype)
    if layer.spectral:
        kernel = spectrally_normalized(layer, kernel)
    bias = None
    if use_bias:
        bias = layer.param("bias", nn.initializers.zeros, shape[-1:], layer.param_dtype)
    return nn.dtypes.promote_dtype(x, kernel, bias, dtype=layer.dtype)


def _add_bias(y: jax.Array, bias: jax.Array | None) -> jax.Array:
    return y if bias is None else y + broadcast_rows(bias, y.shape)


class Dense(nn.Module):
    """`flax.linen.Dense` whose bias gradient is a `column_sum`: [..., N] -> [..., features].
    Parameters have Flax's names, shapes and meaning."""

    features: int
    use_bias: bool = True
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    spectral: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x, kernel, bias = _promoted(self, x, (x.shape[-1], self.features), self.use_bias)
        return _add_bias(x @ kernel, bias)


class Maxout(nn.Module):
    """Maximum over `pieces` affine maps for each of `features` units: [B, N] -> [B, features]
    (Goodfellow et al. 2013, "Maxout networks", eq. 2)."""

    features: int
    pieces: int
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    spectral: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x, kernel, bias = _promoted(self, x, (x.shape[-1], self.features * self.pieces))
        pieces = _add_bias(x @ kernel, bias).reshape(-1, self.features, self.pieces)
        return jnp.max(pieces, axis=-1)


class Conv(nn.Module):
    """`flax.linen.Conv` for images, through `conv`: [B, H, W, C] -> [B, H', W', features].
    Parameters have Flax's names, shapes and meaning."""

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    spectral: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """`condition`, [B, K], acts as K further channels of every pixel; it needs VALID padding,
        because padded pixels would have no condition."""
        channels = x.shape[-1]
        extra = 0 if condition is None else condition.shape[-1]
        shape = (*self.kernel_size, channels + extra, self.features)
        x, kernel, bias = _promoted(self, x, shape, self.use_bias)
        y = self.convolve(x, kernel[:, :, :channels])
        if condition is not None:
            # The convolution of a constant image is constant: a product per example replaces K
            # channels (cgan:mnist's first layer convolves 1 channel, not 11).
            assert self.padding == "VALID"
            constant = condition.astype(y.dtype) @ kernel[:, :, channels:].sum((0, 1))
            y += constant[:, None, None, :]
        return _add_bias(y, bias)

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv(x, kernel, self.strides, self.padding)


class ConvTranspose(Conv):
    """`flax.linen.ConvTranspose` for images, through `conv_transpose`: [B, H, W, C] ->
    [B, H', W', features]. Parameters have Flax's names, shapes and meaning."""

    def convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return conv_transpose(x, kernel, self.strides, self.padding)


class BatchNorm(nn.BatchNorm):
    """`flax.linen.BatchNorm` over all axes but the last (Ioffe and Szegedy 2015, algorithm 1),
    summing with `column_sum`. Statistics are float32 or wider; parameters and statistics have
    Flax's names and meaning. It takes no mask."""

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        use_running_average: bool | None = None,
        *,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        if mask is not None:
            raise ValueError("mask: this BatchNorm takes none")
        use_moving = nn.merge_param(
            "use_running_average", self.use_running_average, use_running_average
        )
        features = x.shape[-1:]
        moving_mean = self.variable("batch_stats", "mean", jnp.zeros, features, jnp.float32)
        moving_var = self.variable("batch_stats", "var", jnp.ones, features, jnp.float32)
        dtype, x = self.dtype or x.dtype, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, var = moving_mean.value, moving_var.value
        if not use_moving:
            moments = jnp.stack([column_sum(x), column_sum(jnp.square(x))])
            moments = moments * (features[0] / x.size)
            if self.axis_name is not None and not self.is_initializing():
                moments = lax.pmean(moments, self.axis_name)
            mean, var = moments[0], jnp.maximum(0.0, moments[1] - jnp.square(moments[0]))
            if not self.is_initializing():
                moving_mean.value = self.momentum * moving_mean.value + (1 - self.momentum) * mean
                moving_var.value = self.momentum * moving_var.value + (1 - self.momentum) * var
        factor = lax.rsqrt(var + self.epsilon)
        if self.use_scale:
            factor *= self.param("scale", self.scale_init, features, self.param_dtype)
        shift = -mean * factor
        if self.use_bias:
            shift += self.param("bias", self.bias_init, features, self.param_dtype)
        y = x * broadcast_rows(factor, x.shape) + broadcast_rows(shift, x.shape)
        return y.astype(dtype)


class Network(nn.Module):
    """Base of all networks: their width, dtypes, initial weights and BatchNorm.

    Attributes:
      width: multiplies the inner layers' sizes; 1.0 is the source's width.
      kernel_init: initialiser of every layer that names none.
      conv_init: initialiser of the convolutions; None for `kernel_init`.
      scale_init: initialiser of BatchNorm's gamma.
      momentum, epsilon: of BatchNorm; moving statistics become
        momentum * old + (1 - momentum) * the batch's.
      normalization: what `normalize` does: "batch", "layer", "instance", "none", or "spectral":
        activations are left as they are, and each kernel is `spectrally_normalized`.
      embedding: size of a label's learned embedding; 0 for the one-hot vector itself.
      dtype: the dtype in which the layers compute.
      param_dtype: the dtype of the parameters and of the network's outputs.
    """

    width: float = 1.0
    kernel_init: Callable[..., Any] = nn.initializers.glorot_uniform()
    conv_init: Callable[..., Any] | None = None
    scale_init: Callable[..., Any] = nn.initializers.ones
    momentum: float = 0.99
    epsilon: float = 1e-3
    normalization: str = "batch"
    embedding: int = 0
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def dtypes(self) -> dict[str, Any]:
        """Arguments that give a layer this network's dtypes."""
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def kernel_options(self) -> dict[str, Any]:
        """The same for a layer with a kernel."""
        return {"spectral": self.normalization == "spectral", **self.dtypes()}

    def scaled(self, features: int) -> int:
        """An inner layer's size at this network's width: rounded, at least 1."""
        return max(1, round(features * self.width))

    def embed(self, condition: Any) -> Any:
        """Embeds a label [B, K] if `embedding` is set; an image or None is returned unchanged."""
        if not self.embedding or condition is None or condition.ndim > 2:
            return condition
        return self.dense(self.embedding, "embedding", bias=False)(condition)

    def batch_norm(self, name: str, train: bool, scale: bool = True) -> BatchNorm:
        """BatchNorm with batch statistics if `train`, moving ones otherwise; without `scale`, gamma
        is 1."""
        return BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            use_scale=scale,
            scale_init=self.scale_init,
            name=name,
            **self.dtypes(),
        )

    def normalize(
        self, name: str, train: bool, scale: bool = True
    ) -> Callable[[jax.Array], jax.Array]:
        """The layer that `normalization` names: BatchNorm, or one that treats each example by
        itself, as a gradient penalty requires; the identity for "none" and "spectral".

        "layer" is over all of an example (Ba et al. 2016), "instance" over each channel of it
        (Ulyanov et al. 2016) and leaves a vector, or a map of one pixel, as it is; both scale and
        shift each channel.
        """
        if self.normalization == "batch":
            return self.batch_norm(name, train, scale)

        def apart(x: jax.Array) -> jax.Array:
            positions = tuple(range(1, x.ndim - 1))
            # A single position minus its own mean would be 0.
            several = math.prod(x.shape[1:-1]) > 1
            axes = {"layer": (*positions, x.ndim - 1), "instance": positions if several else ()}
            over = axes.get(self.normalization, ())
            if not over:
                return x
            layer = nn.LayerNorm(
                epsilon=self.epsilon,
                use_scale=scale,
                reduction_axes=over,
                name=name,
                **self.dtypes(),
            )
            return layer(x)

        return apart

    def dense(
        self, features: int, name: str, init: Callable[..., Any] | None = None, bias: bool = True
    ) -> Dense:
        """A dense layer of exactly `features` units."""
        init = init or self.kernel_init
        return Dense(features, use_bias=bias, kernel_init=init, name=name, **self.kernel_options())

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
        """A convolution with a square kernel, or a transposed one."""
        kind: Any = ConvTranspose if transposed else Conv
        return kind(
            features,
            (kernel, kernel),
            (stride, stride),
            padding,
            use_bias=bias,
            kernel_init=self.conv_init or self.kernel_init,
            name=name,
            **self.kernel_options(),
        )

    def conv_transpose(self, *arguments: Any, **keywords: Any) -> Any:
        """`conv`, transposed."""
        return self.conv(*arguments, **{**keywords, "transposed": True})


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """The maximum over disjoint windows of size x size, dropping rows and columns left over at the
    end: [B, H, W, C] -> [B, H // size, W // size, C].

    Equal to `flax.linen.max_pool` with that stride, in value and gradient (a tie goes to the first
    pixel). The alternatives are worse: XLA's gradient of a pooling is slow on the CPU; a gradient
    through `jnp.argmax` takes twice as long; and that of `jnp.max` divides by the number of pixels
    equal to the maximum, which is 0 if XLA computes the input twice and rounds differently.
    """
    h, w = x.shape[1] // size * size, x.shape[2] // size * size
    pixels = [x[:, i:h:size, j:w:size] for i, j in np.ndindex(size, size)]
    return functools.reduce(lambda a, b: jnp.where(a >= b, a, b), pixels)


def flat(x: jax.Array) -> jax.Array:
    """Flattens all axes but the first: [B, ...] -> [B, N]."""
    return x.reshape(x.shape[0], -1)


def concatenate_condition(x: jax.Array, condition: jax.Array) -> jax.Array:
    """Concatenates a condition to an image [B, H, W, C] as further channels; a vector [B, K] is
    first broadcast to [B, H, W, K]."""
    if condition.ndim == 2:
        shape = (*x.shape[:3], condition.shape[-1])
        condition = jnp.broadcast_to(condition[:, None, None, :], shape)
    return jnp.concatenate([x, condition.astype(x.dtype)], axis=-1)


def leaky_relu(slope: float) -> Callable[[jax.Array], jax.Array]:
    """The function max(x, slope * x)."""
    return functools.partial(nn.leaky_relu, negative_slope=slope)
