"""The networks of InfoGAN (Chen et al. 2016): the document's (infogan:mnist,document) and the
paper's (infogan:mnist,paper; appendix C.1), of which the authors' code differs in three settings
(infogan:mnist,authors). Sizes are for 28x28 images; any multiple
of 4 to 256 works, but the dense layers grow with the image's area.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.latents import Code, Latent, joined
from jaxgan.models.layers import Network, leaky_relu

NORMAL = nn.initializers.normal(0.02)
TRUNCATED = nn.initializers.truncated_normal(0.02)
GLOROT = nn.initializers.glorot_uniform()


def scale_near_one(key: Any, shape: Any, dtype: Any = jnp.float32) -> jax.Array:
    """BatchNorm's initial gamma in the authors' code: N(1, .02)."""
    return 1 + NORMAL(key, shape, dtype)


class CategoricalParameters(NamedTuple):
    """Q(c | x) of a categorical code: logits [B, K]."""

    logits: jax.Array


class GaussianParameters(NamedTuple):
    """Q(c | x) of a continuous code: mean and log standard deviation, both [B, 1]."""

    mean: jax.Array
    log_deviation: jax.Array


class PointParameters(NamedTuple):
    """A point estimate of a continuous code, [B, 1], for the squared error."""

    mean: jax.Array


CodeParameters = CategoricalParameters | GaussianParameters | PointParameters


class _Generator(Network):
    image_shape: tuple[int, int, int] = (28, 28, 1)
    kernel_init: Callable[..., Any] = NORMAL
    activation: Callable[[jax.Array], jax.Array] = nn.relu


class _LeakyNetwork(Network):
    kernel_init: Callable[..., Any] = NORMAL
    activation: Callable[[jax.Array], jax.Array] = leaky_relu(0.1)


class DocumentGenerator(_Generator):
    """The document's generator: activation, then BatchNorm; tanh, [B, H, W, C] in (-1, 1)."""

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        act, wide, quarter = self.activation, self.scaled(512), self.image_shape[0] // 4
        x = self.dense(quarter * quarter * wide, "dense")(joined(latent))
        x = self.batch_norm("dense_norm", train)(act(x))
        x = x.reshape(-1, quarter, quarter, wide)
        x = act(self.conv(self.scaled(128), 4, 1, "conv")(x))
        x = self.batch_norm("conv_norm", train)(x)
        x = act(self.conv_transpose(self.scaled(64), 4, 2, "conv_transpose")(x))
        x = self.batch_norm("conv_transpose_norm", train)(x)
        x = self.conv_transpose(self.image_shape[2], 4, 2, "image")(x)
        return jnp.tanh(x).astype(self.param_dtype)


class DocumentDiscriminator(_LeakyNetwork):
    """The document's discriminator, unconditional: (logit [B], features [B, H/4 * W/4 * 256])."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        act = self.activation
        x = act(self.conv(self.scaled(64), 4, 2, "conv_1")(x))
        x = act(self.conv(self.scaled(128), 4, 2, "conv_2")(x))
        x = self.normalize("conv_2_norm", train)(x)
        x = act(self.conv(self.scaled(256), 4, 1, "conv_3")(x))
        x = self.normalize("conv_3_norm", train)(x)
        features = x.reshape(x.shape[0], -1)
        logit = self.dense(1, "logit", GLOROT)(features)[:, 0]
        return logit.astype(self.param_dtype), features


class PaperGenerator(_Generator):
    """The paper's generator: BatchNorm, then activation; sigmoid, [B, H, W, C] in (0, 1)."""

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        act, deep, quarter = self.activation, self.scaled(128), self.image_shape[0] // 4
        x = self.dense(self.scaled(1024), "dense_1")(joined(latent))
        x = act(self.batch_norm("dense_1_norm", train)(x))
        x = self.dense(quarter * quarter * deep, "dense_2")(x)
        x = act(self.batch_norm("dense_2_norm", train)(x))
        x = x.reshape(-1, quarter, quarter, deep)
        x = self.conv_transpose(self.scaled(64), 4, 2, "conv_transpose")(x)
        x = act(self.batch_norm("conv_transpose_norm", train)(x))
        x = self.conv_transpose(self.image_shape[2], 4, 2, "image")(x)
        return nn.sigmoid(x).astype(self.param_dtype)


class PaperDiscriminator(_LeakyNetwork):
    """The paper's discriminator, unconditional: (logit [B], features [B, 1024])."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        act = self.activation
        x = act(self.conv(self.scaled(64), 4, 2, "conv_1")(x))
        x = self.conv(self.scaled(128), 4, 2, "conv_2")(x)
        x = act(self.normalize("conv_2_norm", train)(x))
        x = self.dense(self.scaled(1024), "dense")(x.reshape(x.shape[0], -1))
        features = act(self.normalize("dense_norm", train)(x))
        logit = self.dense(1, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features


class Q(_LeakyNetwork):
    """The head that predicts the codes from the discriminator's features, [B, F].

    Attributes:
      codes: the codes to predict, in the order of `Latent.codes`.
      continuous: prediction for a continuous code: "gaussian" (mean and standard deviation) or
        "point" (one linear output).
      deviation: standard deviation of a "gaussian": "exponential" or "sigmoid" of an output, or
        "fixed" at 1.
    """

    codes: Sequence[Code] = ()
    continuous: str = "gaussian"
    deviation: str = "exponential"

    @nn.compact
    def __call__(self, features: jax.Array, train: bool) -> tuple[CodeParameters, ...]:
        x = self.dense(self.scaled(128), "dense")(features)
        x = self.activation(self.batch_norm("dense_norm", train)(x))
        return tuple(self._code(x, i, code) for i, code in enumerate(self.codes))

    def _code(self, x: jax.Array, index: int, code: Code) -> CodeParameters:
        def output(features: int, name: str) -> jax.Array:
            return self.dense(features, f"code_{index}_{name}")(x).astype(self.param_dtype)

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
