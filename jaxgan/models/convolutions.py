"""Convolutions with the values and gradients of `jax.lax`, up to rounding, in other forms where XLA
is slow on the CPU. The form depends only on shapes and backend."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgan.models import winograd
from jaxgan.models.cpu import materialize, on_cpu

Padding = str | Sequence[tuple[int, int]]

_lax_conv = functools.partial(lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def transposed_padding(kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Padding (before, after) of a transposed convolution's dilated input, along one axis.

    The output has input * stride pixels for "SAME" and (input - 1) * stride + kernel (at least
    input * stride) for "VALID", as in `jax.lax.conv_transpose`. The padding p of PyTorch and MXNet
    is (kernel - 1 - p, kernel - 1 - p) here.
    """
    if padding == "SAME":
        total = kernel + stride - 2
        before = kernel - 1 if stride > kernel - 1 else (total + 1) // 2
    elif padding == "VALID":
        total = kernel + stride - 2 + max(kernel - stride, 0)
        before = kernel - 1
    else:
        raise ValueError(f"padding must be SAME, VALID or a list of pairs, not {padding!r}")
    return before, total - before


def conv_transpose(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding
) -> jax.Array:
    """A transposed (fractionally strided) convolution with a fast kernel gradient.

    Equal to `jax.lax.conv_transpose(x, kernel, strides, padding)`, whose kernel gradient XLA writes
    as a convolution with a dilated operand, slow on the CPU (jax issues 23783 and 31662). Here it
    is the kernel gradient of the strided convolution that this one transposes. 128 -> 64 layer of
    infogan:mnist,document, batch 64, two cores: 137 -> 11 ms. Differentiable in reverse mode, any
    number of times.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: strides of the output, (vertical, horizontal).
      padding: "SAME", "VALID", or for each axis a pair (before, after) on the dilated input.

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
    first = tuple(before - (k - 1) for k, (before, _) in zip(kernel.shape, padding, strict=False))
    sizes = tuple(
        (size - 1) * stride + before + after - k + 2
        for size, stride, k, (before, after) in zip(
            x.shape[1:3], strides, kernel.shape[:2], padding, strict=True
        )
    )
    special = _transposed(x, jnp.flip(kernel, (0, 1)), strides, first, sizes)
    if special is not None:
        return special
    return _lax_conv(x, kernel, (1, 1), padding, lhs_dilation=strides)


def _conv_transpose_backward(strides: Any, padding: Any, residuals: Any, gradient: Any) -> Any:
    x, kernel = residuals
    gradient = materialize(gradient)
    pairs = []
    for size, out, k, stride, (before, _) in zip(
        x.shape[1:3], gradient.shape[1:3], kernel.shape[:2], strides, padding, strict=True
    ):
        # The strided convolution maps the output's size back to x's: its padding in front mirrors
        # the transposed one's, and the rest follows behind (a negative rest is cut off).
        front = k - 1 - before
        pairs.append((front, (size - 1) * stride + k - front - out))
    padding = tuple(pairs)
    # <y', conv_transpose(x, k)> = <conv(y', mirrored k), x>: one form, read from both sides.
    mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)
    x_gradient = _conv(gradient, mirrored, strides, padding)
    of_mirrored = _kernel_gradient(gradient, x, kernel.shape[:2], strides, padding)
    return x_gradient, jnp.flip(of_mirrored.swapaxes(2, 3), (0, 1))


_conv_transpose.defvjp(
    lambda *arguments: (_conv_transpose(*arguments), arguments[:2]), _conv_transpose_backward
)


def conv(x: jax.Array, kernel: jax.Array, strides: tuple[int, int], padding: Padding) -> jax.Array:
    """A convolution whose input gradient is fast for small output maps too.

    Equal to `jax.lax.conv_general_dilated(x, kernel, strides, padding)`. The input gradient is a
    transposed convolution of the output's gradient; `_by_taps` says why small ones are slow.

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


# --- A convolution and its two gradients are one form:
# <conv(x, k), y> = <x, input_gradient(y, k)> = <k, kernel_gradient(x, y)>.
# Each is linear in both arguments, and its derivatives are the other two, so gradients of gradients
# (losses/penalties.py) are fast as well. With R1 in every step of dcgan:cifar10 at half the width,
# one core: 25 -> 53 images/s.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _conv(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    tiling = _tiling(x, kernel, strides, padding)
    if tiling:
        return winograd.conv(x, kernel, padding, tiling)
    return _by_rows(x, kernel, strides, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _input_gradient(y: Any, kernel: Any, sizes: Any, strides: Any, padding: Any) -> jax.Array:
    """`sizes` are x's height and width."""
    swapped = kernel.swapaxes(2, 3)
    special = _transposed(y, swapped, strides, tuple(-before for before, _ in padding), sizes)
    if special is not None:
        return special
    if strides == (1, 1):
        pairs = [(k - 1 - a, k - 1 - b) for k, (a, b) in zip(swapped.shape, padding, strict=False)]
        return _by_rows(y, jnp.flip(swapped, (0, 1)), strides, pairs)
    x = jax.ShapeDtypeStruct((y.shape[0], *sizes, kernel.shape[2]), y.dtype)
    return jax.linear_transpose(lambda x: _lax_conv(x, kernel, strides, padding), x)(y)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _kernel_gradient(x: Any, y: Any, window: Any, strides: Any, padding: Any) -> jax.Array:
    """`window` is the kernel's height and width."""
    kernel = jax.ShapeDtypeStruct((*window, x.shape[3], y.shape[3]), x.dtype)
    tiling = _tiling(x, kernel, strides, padding)
    if tiling:
        return winograd.kernel_gradient(x, y, window[0], padding, tiling)
    return jax.linear_transpose(lambda k: _by_rows(x, k, strides, padding), kernel)(y)[0]


def _conv_backward(strides: Any, padding: Any, residuals: Any, gradient: Any) -> Any:
    x, kernel = residuals
    gradient = materialize(gradient)
    return (
        _input_gradient(gradient, kernel, x.shape[1:3], strides, padding),
        _kernel_gradient(x, gradient, kernel.shape[:2], strides, padding),
    )


_conv.defvjp(lambda x, kernel, *rest: (_conv(x, kernel, *rest), (x, kernel)), _conv_backward)
_input_gradient.defvjp(
    lambda y, kernel, *rest: (_input_gradient(y, kernel, *rest), (y, kernel)),
    lambda sizes, strides, padding, given, x: (
        _conv(x, given[1], strides, padding),
        _kernel_gradient(x, given[0], given[1].shape[:2], strides, padding),
    ),
)
_kernel_gradient.defvjp(
    lambda x, y, *rest: (_kernel_gradient(x, y, *rest), (x, y)),
    lambda window, strides, padding, given, kernel: (
        _input_gradient(given[1], kernel, given[0].shape[1:3], strides, padding),
        _conv(given[0], kernel, strides, padding),
    ),
)


def _by_rows(x: Any, kernel: Any, strides: Any, padding: Any) -> jax.Array:
    """A convolution that leaves out the kernel's rows wherever they meet only padding.

    XLA multiplies the padding on the CPU: a seventh of the rows for a kernel of 4 on 7x7. One
    convolution for each run of output rows that use the same rows of the kernel avoids this. Whole
    step of infogan:mnist,document, two cores: 330 -> 310 ms (its layers have Winograd's form since,
    narrower ones this one). Leaving out columns as well saves little more, because it costs copies.
    """
    if not _may_rewrite(kernel):
        return _lax_conv(x, kernel, strides, padding)
    k, stride, (before, after) = kernel.shape[0], strides[0], padding[0]
    size = x.shape[1]

    def kernel_rows(row: int) -> tuple[int, int]:
        """The kernel's rows [first, last) that meet the image at an output row."""
        return max(0, before - row * stride), min(k, size + before - row * stride)

    rows = range((size + before + after - k) // stride + 1)
    runs = [(list(run), *used) for used, run in itertools.groupby(rows, kernel_rows)]
    multiplied = sum(len(run) * (last - first) for run, first, last in runs)
    fewest = min(last - first for _, first, last in runs)
    # Each run copies its rows of the kernel, which does not pay off for few pixels.
    few_pixels = x.shape[0] * size * x.shape[2] < 1_000
    if few_pixels or multiplied > 0.9 * k * len(rows) or fewest < 1:
        return _lax_conv(x, kernel, strides, padding)
    parts = []
    for run, first, last in runs:
        part = x[:, run[0] * stride - before + first : run[-1] * stride - before + last]
        parts.append(_lax_conv(part, kernel[first:last], strides, ((0, 0), padding[1])))
    return jnp.concatenate(parts, axis=1)


def _tiling(x: Any, kernel: Any, strides: Any, padding: Any) -> winograd.Tiling | None:
    """How Winograd's form divides a convolution's output; None where another form is as good."""
    if not (_may_rewrite(kernel) and _is_precise(x)):
        return None
    return winograd.conv_tiling(x.shape, kernel.shape, strides, padding)


def _is_precise(x: Any) -> bool:
    """Whether Winograd's form is accurate enough: its error, some 30 roundings, is a tenth of the
    result in bfloat16."""
    return x.dtype in (jnp.float32, jnp.float64)


def _transposed(x: Any, kernel: Any, strides: Any, first: Any, sizes: Any) -> jax.Array | None:
    """A transposed convolution, as `_by_taps` defines it; None where XLA's form is as fast."""
    if not _may_rewrite(kernel):
        return None
    tiling = winograd.transposed_tiling(x.shape, kernel.shape, strides, first, sizes)
    if tiling and _is_precise(x):
        return winograd.transposed(x, kernel, first, sizes, tiling)
    return _by_taps(x, kernel, strides, first, sizes) if _use_taps(x, kernel, strides) else None


def _use_taps(x: Any, kernel: Any, strides: Any) -> bool:
    window, area = kernel.shape[0] * kernel.shape[1], x.shape[1] * x.shape[2]
    return window > area or (window == area and strides == (1, 1))


def _may_rewrite(kernel: Any) -> bool:
    """Whether another form may pay off: on the CPU, unless the kernel is small."""
    return on_cpu() and kernel.shape[2] * kernel.shape[3] >= 1_000


def _by_taps(x: Any, kernel: Any, strides: Any, first: Any, sizes: Any) -> jax.Array:
    """A transposed convolution as one matrix product for each position of the kernel:
    out[b, i * s + first + t] += x[b, i] @ kernel[t].

    A kernel larger than the map: XLA swaps their roles on the CPU and falls back to a plain loop.
    First layer of dcgan:size=64 (5x5 on 4x4, 1,024 -> 512 channels, batch 8): 13.5 s -> 67 ms.
    A kernel as large as the map: XLA multiplies the padding, three times the map for 4x4 on 4x4.
    First layer of dcgan:mnist: 131 -> 45 ms. In all other cases XLA's form is faster.

    Args:
      x: [B, H, W, C].
      kernel: [kh, kw, C, C'].
      strides: s, (vertical, horizontal).
      first: position of the kernel's first tap at the first pixel; may be negative.
      sizes: height and width of the result; what lies outside is cut off.

    Returns:
      [B, *sizes, C'].
    """
    zero = jnp.zeros((), x.dtype)
    out = jnp.zeros((x.shape[0], *sizes, kernel.shape[3]), x.dtype)
    for t in np.ndindex(kernel.shape[:2]):
        edges = [(0, 0, 0)]
        for tap, start, size, stride, length in zip(
            t, first, sizes, strides, x.shape[1:3], strict=True
        ):
            low = start + tap
            edges.append((low, size - low - ((length - 1) * stride + 1), stride - 1))
        out += lax.pad(x @ kernel[t], zero, [*edges, (0, 0, 0)])
    return out
