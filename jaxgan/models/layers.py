"""Layers that Linen lacks, or computes slowly."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
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
    if _by_taps_pays(x, kernel, strides):
        first = tuple(
            before - (k - 1) for k, (before, _) in zip(kernel.shape, padding, strict=False)
        )
        sizes = tuple(
            (size - 1) * stride + before + after - k + 2
            for size, stride, k, (before, after) in zip(
                x.shape[1:3], strides, kernel.shape[:2], padding, strict=True
            )
        )
        return _by_taps(x, jnp.flip(kernel, (0, 1)), strides, first, sizes)
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
        return _by_rows(output, mirrored, strides, pairs)

    # <y', conv_transpose(x, k)> = <strided(y', k), x>: the same bilinear form read from both sides.
    x_gradient, pull_back = jax.vjp(strided, output_gradient, kernel)
    return x_gradient, pull_back(x)[1]


_conv_transpose.defvjp(_forward, _backward)


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding) -> jax.Array:
    """A convolution whose gradient for its input is fast where its output is a small map.

    Equal to `jax.lax.conv_general_dilated(x, kernel, strides, padding)`. That gradient is a
    transposed convolution of the output: `_by_taps` says what is slow about small ones.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: (vertical, horizontal).
      padding: "SAME", "VALID", or a pair (before, after) for each axis.

    Returns:
      [B, H', W', C'].
    """
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return _conv(x, kernel, tuple(strides), tuple((int(a), int(b)) for a, b in padding))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    return _by_rows(x, kernel, strides, padding)


def _conv_forward(x: Any, kernel: Any, strides: Any, padding: Any) -> Any:
    return _conv(x, kernel, strides, padding), (x, kernel)


def _conv_backward(strides: Any, padding: Any, residuals: Any, output_gradient: Any) -> Any:
    x, kernel = residuals

    def plain(x: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)

    kernel_gradient = jax.vjp(lambda kernel: _by_rows(x, kernel, strides, padding), kernel)[1](
        output_gradient
    )[0]
    back = kernel.swapaxes(2, 3)
    if _by_taps_pays(output_gradient, back, strides):
        first = tuple(-before for before, _ in padding)
        x_gradient = _by_taps(output_gradient, back, strides, first, x.shape[1:3])
    elif strides == (1, 1):
        pairs = [(k - 1 - a, k - 1 - b) for k, (a, b) in zip(back.shape, padding, strict=False)]
        x_gradient = _by_rows(output_gradient, jnp.flip(back, (0, 1)), strides, pairs)
    else:
        x_gradient = jax.vjp(plain, x)[1](output_gradient)[0]
    return x_gradient, kernel_gradient


_conv.defvjp(_conv_forward, _conv_backward)


def _by_rows(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    """A convolution, in parts where many of the kernel's rows would meet nothing but padding.

    XLA's, on the CPU, multiplies the padding too: of a kernel of 4 on 7x7 a seventh of the rows.
    One convolution for each run of output rows that meet the same rows of the kernel leaves that
    out (E1's step, two cores: 330 ms, so 310). The columns besides save little more: they cost
    copies.
    """
    k, stride, (before, after) = kernel.shape[0], strides[0], padding[0]
    size = x.shape[1]
    runs: list[tuple[int, int, int, int]] = []
    for row in range((size + before + after - k) // stride + 1):
        first, last = max(0, before - row * stride), min(k, size + before - row * stride)
        if runs and runs[-1][2:] == (first, last):
            runs[-1] = (runs[-1][0], row + 1, first, last)
        else:
            runs.append((row, row + 1, first, last))
    met = sum((stop - start) * (last - first) for start, stop, first, last in runs)
    least = min(last - first for *_, first, last in runs)
    # Each part copies its rows of the kernel: of few pixels that is not made up for.
    few = x.shape[0] * size * x.shape[2] < 1_000
    if not _pays(kernel) or few or met > 0.9 * k * runs[-1][1] or least < 1:
        return lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)
    parts = []
    for start, stop, first, last in runs:
        begin = start * stride - before + first
        part = x[:, begin : (stop - 1) * stride - before + last]
        parts.append(
            lax.conv_general_dilated(
                part, kernel[first:last], strides, ((0, 0), padding[1]), dimension_numbers=_LAYOUT
            )
        )
    return jnp.concatenate(parts, axis=1)


def _by_taps_pays(x: Any, kernel: Any, strides: Any) -> bool:
    window, area = kernel.shape[0] * kernel.shape[1], x.shape[1] * x.shape[2]
    return _pays(kernel) and (window > area or (window == area and strides == (1, 1)))


def _pays(kernel: Any) -> bool:
    """Whether a convolution is worth another form: on the CPU, unless it is small anyhow."""
    return on_cpu() and kernel.shape[2] * kernel.shape[3] >= 1_000


def _by_taps(x: Any, kernel: Any, strides: Any, first: Any, sizes: Any) -> jax.Array:
    """A transposed convolution as one matrix product for each of the kernel's places:
    out[b, i * s + first + t] += x[b, i] @ kernel[t].

    XLA's own, on the CPU, takes the kernel for the image where it is the larger one, and has only a
    plain loop for that (C3's first, 5x5 on 4x4, 1,024 channels to 512, batch 8: 13.5 s, so 67 ms);
    and it multiplies the padding, three times the map where a kernel of 4 meets 4x4 (C1's first:
    131 ms, so 45). Elsewhere it is the faster one.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: s, (vertical, horizontal).
      first: where the first place of the first pixel lies; may be negative.
      sizes: of the result; what lies outside is cut off.

    Returns:
      [B, *sizes, C'].
    """
    zero = jnp.zeros((), x.dtype)
    out = jnp.zeros((x.shape[0], *sizes, kernel.shape[3]), x.dtype)
    for t in np.ndindex(kernel.shape[:2]):
        edges = [(0, 0, 0)]
        for place, begin, size, stride, length in zip(
            t, first, sizes, strides, x.shape[1:3], strict=True
        ):
            low = begin + place
            edges.append((low, size - low - ((length - 1) * stride + 1), stride - 1))
        out += lax.pad(x @ kernel[t], zero, [*edges, (0, 0, 0)])
    return out


def on_cpu() -> bool:
    """Whether what is compiled now will run on the CPU, where XLA has weak spots."""
    return jax.default_backend() == "cpu"


# --- Sums over a batch


@jax.custom_vjp
def column_sum(x: jax.Array) -> jax.Array:
    """Sum over all axes but the last: [..., C] -> [C].

    On the CPU as a product with a row of ones: 0.09 ms for 12,544 x 96, where XLA's own reduction
    takes 1.07 (one core).
    """
    rows = x.reshape(-1, x.shape[-1])
    if on_cpu():
        return jnp.ones(rows.shape[0], x.dtype) @ rows
    return jnp.sum(rows, axis=0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def spread(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """[C] repeated to `shape`, [..., C]; its gradient is a `column_sum`."""
    return jnp.broadcast_to(x, shape)


column_sum.defvjp(
    lambda x: (column_sum(x), x.shape), lambda shape, gradient: (spread(gradient, shape),)
)
spread.defvjp(
    lambda x, shape: (spread(x, shape), None), lambda shape, _, gradient: (column_sum(gradient),)
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
        return y if bias is None else y + spread(bias, y.shape)


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
    def __call__(self, x: jax.Array, told: jax.Array | None = None) -> jax.Array:
        """`told`, [B, K], stands beside every pixel on K more channels (of an unpadded convolution:
        elsewhere the border is not told)."""
        channels = x.shape[-1]
        more = 0 if told is None else told.shape[-1]
        shape = (*self.kernel_size, channels + more, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = self.convolve(x, kernel[:, :, :channels])
        if told is not None:
            # Of an image that is the same everywhere, a convolution is the same everywhere: D2's
            # first one takes 1 channel, not 11.
            assert self.padding == "VALID"
            everywhere = told.astype(y.dtype) @ kernel[:, :, channels:].sum((0, 1))
            y += everywhere[:, None, None, :]
        return y if bias is None else y + spread(bias, y.shape)

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
        still = nn.merge_param("use_running_average", self.use_running_average, use_running_average)
        features = x.shape[-1:]
        mean_of = self.variable("batch_stats", "mean", jnp.zeros, features, jnp.float32)
        var_of = self.variable("batch_stats", "var", jnp.ones, features, jnp.float32)
        given, x = x, x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean, var = mean_of.value, var_of.value
        if not still:
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
        y = x * spread(factor, x.shape) + spread(shift, x.shape)
        return y.astype(self.dtype or given.dtype)


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
        pieces = (y + spread(bias, y.shape)).reshape(-1, self.features, self.pieces)
        return jnp.max(pieces, axis=-1)


def max_pool(x: jax.Array, size: int) -> jax.Array:
    """The maximum over windows of size x size that do not overlap; rows and columns left over at
    the end are dropped: [B, H, W, C] -> [B, H // size, W // size, C].

    Equal to `flax.linen.max_pool` with that stride, in value and gradient (a tie goes to the first
    place). XLA's own gradient of a pooling is slow on the CPU, one through `jnp.argmax` takes twice
    the time of this one, and that of `jnp.max` divides by how often the maximum occurs, which is
    never where XLA computes the input twice with other rounding.
    """
    h, w = x.shape[1] // size * size, x.shape[2] // size * size
    places = [x[:, i:h:size, j:w:size] for i, j in np.ndindex(size, size)]
    return functools.reduce(lambda a, b: jnp.where(a >= b, a, b), places)


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
