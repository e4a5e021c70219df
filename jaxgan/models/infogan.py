"""The networks of InfoGAN: of the document (an article with its full tutorial), and of the paper's
own code (Chen et al. 2016, appendix C.1).

Sizes are for 28x28 images; any size that 4 divides works. `width` multiplies the inner layers,
1.0 being the source's. Each network computes in `dtype` and keeps its parameters in `param_dtype`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.latents import Code, Latent
from jaxgan.models.layers import ConvTranspose, leaky_relu, scaled

NORMAL = nn.initializers.normal(0.02)
GLOROT = nn.initializers.glorot_uniform()


class CategoricalParameters(NamedTuple):
    """Q(c | x) of a categorical code: logits [B, K]."""

    logits: jax.Array


class GaussianParameters(NamedTuple):
    """Q(c | x) of a continuous code: mean and logarithm of the deviation, both [B, 1]."""

    mean: jax.Array
    log_deviation: jax.Array


class PointParameters(NamedTuple):
    """A continuous code read as one number, [B, 1], for the squared error."""

    mean: jax.Array


CodeParameters = CategoricalParameters | GaussianParameters | PointParameters


def _join(latent: Latent) -> jax.Array:
    return jnp.concatenate([latent.noise, *latent.codes], axis=-1)


class _Network(nn.Module):
    width: float = 1.0
    momentum: float = 0.99
    epsilon: float = 1e-3
    dtype: Any = jnp.float32
    param_dtype: Any = jnp.float32

    def _types(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def _batch_norm(self, name: str, train: bool) -> nn.BatchNorm:
        return nn.BatchNorm(
            use_running_average=not train,
            momentum=self.momentum,
            epsilon=self.epsilon,
            name=name,
            **self._types(),
        )

    def _dense(self, features: int, init: Callable[..., Any], name: str) -> nn.Dense:
        return nn.Dense(features, kernel_init=init, name=name, **self._types())

    def _conv(self, features: int, stride: int, name: str) -> nn.Conv:
        return nn.Conv(
            features, (4, 4), (stride, stride), kernel_init=NORMAL, name=name, **self._types()
        )

    def _conv_transpose(self, features: int, stride: int, name: str) -> ConvTranspose:
        return ConvTranspose(
            features, (4, 4), (stride, stride), kernel_init=NORMAL, name=name, **self._types()
        )


class DocumentGenerator(_Network):
    """The document's G; activation before BatchNorm; output tanh, [B, H, W, C] in (-1, 1)."""

    size: int = 28
    channels: int = 1
    activation: Callable[[jax.Array], jax.Array] = nn.relu

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        act, wide, quarter = self.activation, scaled(512, self.width), self.size // 4
        x = self._dense(quarter * quarter * wide, GLOROT, "dense")(_join(latent))
        x = self._batch_norm("dense_norm", train)(act(x))
        x = x.reshape(-1, quarter, quarter, wide)
        x = act(self._conv(scaled(128, self.width), 1, "conv")(x))
        x = self._batch_norm("conv_norm", train)(x)
        x = act(self._conv_transpose(scaled(64, self.width), 2, "conv_transpose")(x))
        x = self._batch_norm("conv_transpose_norm", train)(x)
        x = self._conv_transpose(self.channels, 2, "image")(x)
        return jnp.tanh(x).astype(self.param_dtype)


class DocumentDiscriminator(_Network):
    """The document's D: (logit [B], features [B, H/4 * W/4 * 256])."""

    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.1)

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        del condition  # InfoGAN's discriminator is told nothing but the image.
        act = self.activation
        x = act(self._conv(scaled(64, self.width), 2, "conv_1")(x))
        x = act(self._conv(scaled(128, self.width), 2, "conv_2")(x))
        x = self._batch_norm("conv_2_norm", train)(x)
        x = act(self._conv(scaled(256, self.width), 1, "conv_3")(x))
        x = self._batch_norm("conv_3_norm", train)(x)
        features = x.reshape(x.shape[0], -1)
        logit = self._dense(1, GLOROT, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features


class PaperGenerator(_Network):
    """The paper's G; BatchNorm before the activation; output sigmoid, [B, H, W, C] in (0, 1)."""

    size: int = 28
    channels: int = 1
    activation: Callable[[jax.Array], jax.Array] = nn.relu

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        act, deep, quarter = self.activation, scaled(128, self.width), self.size // 4
        x = self._dense(scaled(1024, self.width), NORMAL, "dense_1")(_join(latent))
        x = act(self._batch_norm("dense_1_norm", train)(x))
        x = self._dense(quarter * quarter * deep, NORMAL, "dense_2")(x)
        x = act(self._batch_norm("dense_2_norm", train)(x))
        x = x.reshape(-1, quarter, quarter, deep)
        x = self._conv_transpose(scaled(64, self.width), 2, "conv_transpose")(x)
        x = act(self._batch_norm("conv_transpose_norm", train)(x))
        x = self._conv_transpose(self.channels, 2, "image")(x)
        return nn.sigmoid(x).astype(self.param_dtype)


class PaperDiscriminator(_Network):
    """The paper's D: (logit [B], features [B, 1024])."""

    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.1)

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        del condition
        act = self.activation
        x = act(self._conv(scaled(64, self.width), 2, "conv_1")(x))
        x = self._conv(scaled(128, self.width), 2, "conv_2")(x)
        x = act(self._batch_norm("conv_2_norm", train)(x))
        x = self._dense(scaled(1024, self.width), NORMAL, "dense")(x.reshape(x.shape[0], -1))
        features = act(self._batch_norm("dense_norm", train)(x))
        logit = self._dense(1, NORMAL, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features


class Q(_Network):
    """The head that reads the codes back from the discriminator's features, [B, F].

    Attributes:
      codes: the codes to read, in the order of `Latent.codes`.
      continuous: what a continuous code is read as: "gaussian", a mean and a deviation, or
        "point", one linear output.
      deviation: of a "gaussian": "exponential" or "sigmoid" of an output, or "fixed" at 1.
      kernel_init: of the dense layers.
    """

    codes: Sequence[Code] = ()
    continuous: str = "gaussian"
    deviation: str = "exponential"
    kernel_init: Callable[..., Any] = NORMAL
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.1)

    @nn.compact
    def __call__(self, features: jax.Array, train: bool) -> tuple[CodeParameters, ...]:
        x = self._dense(scaled(128, self.width), self.kernel_init, "dense")(features)
        x = self.activation(self._batch_norm("dense_norm", train)(x))
        return tuple(self._code(x, i, code) for i, code in enumerate(self.codes))

    def _code(self, x: jax.Array, index: int, code: Code) -> CodeParameters:
        def output(features: int, name: str) -> jax.Array:
            y = self._dense(features, self.kernel_init, f"code_{index}_{name}")(x)
            return y.astype(self.param_dtype)

        if code.categorical:
            return CategoricalParameters(output(code.values, "logits"))
        mean = output(1, "mean")
        if self.continuous == "point":
            return PointParameters(mean)
        if self.deviation == "fixed":
            return GaussianParameters(mean, jnp.zeros_like(mean))
        raw = output(1, "deviation")
        log_deviation = raw if self.deviation == "exponential" else nn.log_sigmoid(raw)
        return GaussianParameters(mean, log_deviation)
