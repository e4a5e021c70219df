"""L2-SVMs of many examples, for all classes at once on the device.

Source: Keerthi and DeCoste 2005, "A modified finite Newton method for fast solution of large scale
linear SVMs": Newton's method, whose linear systems are solved by conjugate gradients. These are
preconditioned by the Cholesky factor of the Hessian with a fixed share of the examples within the
margin: features of images are so correlated that plain conjugate gradients, like LinearSVC, take
hours for 50,000 images of 14,336 features. Here a fit takes 40 to 60 s on one core, after 3 minutes
for the products of all features.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# Newton's method ends at this fraction of the first gradient's norm.
TOLERANCE = 1e-3
_MAX_STEPS = 50
# Examples in a product: few enough for the second product of a pass to find them in the cache.
# 10,000 x 14,337, one busy core: 1.5 -> .8 s.
_BLOCK = 100
# The share of the examples that the preconditioner takes to be within the margin.
_WITHIN = 0.25

_dot = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)


class NewtonSvm:
    """Fits classifiers of each class against the rest to the first n of some examples.

    Args:
      x: features, float32 [N, F].
    """

    def __init__(self, x: np.ndarray) -> None:
        n, features = x.shape
        blocks = -(-n // _BLOCK)
        padded = np.zeros((blocks * _BLOCK, features + 1), np.float32)
        padded[:n, :-1], padded[:n, -1] = x, 1
        self._x = jnp.asarray(padded.reshape(blocks, _BLOCK, features + 1))
        self._gram = np.asarray(_gram(self._x)) / n

    def fit(self, labels: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fits to the first len(labels) examples, with the penalty c.

        Returns:
          Weights, float32 [K, F], and bias, float64 [K], of K classes (one, the second, of two),
          and the classes.
        """
        classes, indices = np.unique(labels, return_inverse=True)
        scored = np.arange(len(classes)) if len(classes) > 2 else np.array([1])
        signs = np.zeros((self._x.shape[0] * _BLOCK, len(scored)), np.float32)
        signs[: len(labels)] = np.where(indices[:, None] == scored, 1, -1)
        blocks = jnp.asarray(signs.reshape(-1, _BLOCK, len(scored)))
        w = self._minimise(blocks, c, len(labels))
        return w[:-1].T.astype(np.float32), w[-1], classes

    def _minimise(self, signs: jax.Array, c: float, n: int) -> np.ndarray:
        """The weights of n examples, float64 [F + 1, K], the bias last."""
        shape = self._x.shape[-1], signs.shape[-1]
        w, first, inverse = np.zeros(shape), 0.0, self._preconditioner(c, n, shape)
        for _ in range(_MAX_STEPS):
            value, slope, within = _gradient(jnp.float32(w), self._x, signs, c)
            size = float(jnp.linalg.norm(slope))
            first = first or size
            if size <= TOLERANCE * first:
                break
            step = self._newton_step(slope, within, c, inverse).reshape(shape)
            # Full steps nearly always; the slack is float32's rounding of the objective.
            while _gradient(jnp.float32(w + step), self._x, signs, c)[0] > value * (1 + 1e-6):
                step /= 2
            w += step
        return w

    def _preconditioner(self, c: float, n: int, shape: tuple[int, int]) -> Any:
        """The inverse of the Hessian with `_WITHIN` of the n examples within the margin."""
        from scipy.linalg import cho_factor, cho_solve

        hessian = 2 * c * _WITHIN * n * self._gram
        hessian[np.diag_indices(len(hessian))] += 1
        factor = cho_factor(hessian, overwrite_a=True, check_finite=False)
        return _operator(
            lambda v: cho_solve(factor, v.astype(np.float32), check_finite=False), shape
        )

    def _newton_step(self, slope: jax.Array, within: jax.Array, c: float, inverse: Any) -> Any:
        """Minus the inverse Hessian times the gradient, roughly."""
        from scipy.sparse.linalg import cg

        def product(v: np.ndarray) -> np.ndarray:
            return np.asarray(_hessian_product(jnp.float32(v), self._x, within, c), np.float64)

        hessian = _operator(product, slope.shape)
        step, _ = cg(
            hessian, -np.asarray(slope, np.float64).ravel(), rtol=0.1, maxiter=50, M=inverse
        )
        return step


def _operator(function: Callable[[np.ndarray], np.ndarray], shape: tuple[int, ...]) -> Any:
    """A linear function of matrices as SciPy's operator on vectors."""
    from scipy.sparse.linalg import LinearOperator

    size = math.prod(shape)
    return LinearOperator((size, size), lambda v: function(v.reshape(shape)).ravel())


@jax.jit
def _gram(x: jax.Array) -> jax.Array:
    """X^T X, [F, F], of examples [blocks, rows, F]."""
    flat = x.reshape(-1, x.shape[-1])
    return _dot(flat.T, flat)


@jax.jit
def _gradient(w: jax.Array, x: jax.Array, signs: jax.Array, c: float) -> tuple[jax.Array, ...]:
    """The objective, its gradient [F, K], and which examples are within the margin of which class,
    [blocks, rows, K]. Examples with sign 0 do not count."""

    def add(total: tuple[jax.Array, jax.Array], block: tuple[jax.Array, jax.Array]) -> Any:
        (loss, slope), (x, signs) = total, block
        margins = signs**2 * jnp.maximum(0, 1 - signs * _dot(x, w))
        return (loss + jnp.sum(margins**2), slope - _dot((signs * margins).T, x)), margins > 0

    nothing = jnp.zeros(()), jnp.zeros(w.shape[::-1])
    (loss, slope), within = lax.scan(add, nothing, (x, signs))
    return jnp.sum(w**2) / 2 + c * loss, w + 2 * c * slope.T, within


@jax.jit
def _hessian_product(v: jax.Array, x: jax.Array, within: jax.Array, c: float) -> jax.Array:
    """The generalised Hessian times a direction, [F, K]."""

    def add(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> Any:
        x, within = block
        return total + _dot((within * _dot(x, v)).T, x), None

    total, _ = lax.scan(add, jnp.zeros(v.shape[::-1]), (x, within))
    return v + 2 * c * total.T
