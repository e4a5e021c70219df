"""`Gan`: everything that stays fixed during a run, built from its config."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict, FrozenConfigDict

from jaxgan.common.errors import UserError
from jaxgan.data.augment import augmentations
from jaxgan.losses.adversarial import ADVERSARIAL, Adversarial
from jaxgan.models import conditioning
from jaxgan.models.conditions import Condition, Features, Label
from jaxgan.models.infogan import CategoricalParameters, GaussianParameters, PointParameters
from jaxgan.models.latents import Latent, LatentSpec, parse_codes
from jaxgan.models.registry import Modules, make_modules
from jaxgan.training.optimizers import optimizer


@dataclasses.dataclass(frozen=True)
class Gan:
    """Everything that stays fixed during a run: networks, prior, optimisers and config.

    Attributes:
      generator, discriminator, q: Linen modules; `q` is None without codes.
      low: lower end of the images' range: -1 (tanh) or 0 (sigmoid).
      optimizers: an optax optimiser for each network, by name.
      latent: prior of the generator's noise and codes.
      condition: how both networks are conditioned, or None.
      image_shape: (H, W, C).
      config: the run's config; docs/reference.md explains the keys.
      output_bias: initial bias of the generator's last layer, float [H * W * C]; None for zero.
    """

    generator: nn.Module
    discriminator: nn.Module
    q: nn.Module | None
    low: float
    optimizers: dict[str, optax.GradientTransformation]
    latent: LatentSpec
    condition: Condition | None
    image_shape: tuple[int, int, int]
    config: FrozenConfigDict
    output_bias: np.ndarray | None = None

    @property
    def dtype(self) -> Any:
        """The dtype of images, losses and parameters."""
        return parameter_dtype(self.config)

    def in_precision(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function whose matrix products and convolutions have the config's `precision`."""

        @functools.wraps(function)
        def precise(*arguments: Any) -> Any:
            with jax.default_matmul_precision(self.config.precision):
                return function(*arguments)

        return precise

    @property
    def adversarial(self) -> Adversarial:
        """The two sides of the adversarial loss."""
        return ADVERSARIAL[self.config.loss]

    @property
    def augmentations(self) -> tuple[str, ...]:
        """Names of the changes that the discriminator's images go through (`data/augment.py`)."""
        return augmentations(self.config.augment)

    @property
    def generator_target(self) -> float:
        """The target for generated images in the generator's loss."""
        real = self.adversarial.generator_aims_at_real
        return float(self.config.generator_target if real else self.config.fake_target)

    @property
    def discriminator_batch_size(self) -> int:
        """The number of real, and of generated, examples in a discriminator step."""
        return int(self.config.discriminator_batch_size or self.config.batch_size)

    @property
    def code_weights(self) -> tuple[float, ...]:
        """The weight lambda of each code."""
        return tuple(
            self.config.lambda_categorical if code.categorical else self.config.lambda_continuous
            for code in self.latent.codes
        )

    @property
    def learned_deviation(self) -> bool:
        """Whether Q predicts the standard deviation of a continuous code."""
        return self.config.q.continuous == "gaussian" and self.config.q.deviation != "fixed"


def parameter_dtype(config: ConfigDict | FrozenConfigDict) -> Any:
    """float64 if the config says so, else float32 (also with dtype=bfloat16)."""
    return jnp.float64 if config.dtype == "float64" else jnp.float32


def example_inputs(gan: Gan) -> tuple[Latent, jax.Array]:
    """A latent and images, two of each, in the shapes that the networks take."""
    image = jnp.zeros((2, *gan.image_shape), gan.dtype)
    latent = gan.latent.sample(jax.random.key(0), 2)
    if gan.condition is not None:
        given = jnp.zeros(2, jnp.int32)
        if isinstance(gan.condition, Features):
            given = jnp.zeros((2, gan.condition.size))
        latent = latent._replace(condition=gan.condition.of(image, given, gan.dtype))
    return latent, image


def build_gan(
    config: ConfigDict,
    image_shape: tuple[int, int, int],
    condition: Condition | None = None,
    modules: Modules | None = None,
    pixel_means: np.ndarray | None = None,
) -> Gan:
    """Builds everything that stays fixed during a run.

    Args:
      config: a validated config.
      image_shape: (H, W, C) of the data.
      condition: how both networks are conditioned (`conditions.make`).
      modules: the networks; None builds those that the config names.
      pixel_means: each pixel's mean over the training images, in [0, 1], [H, W, C]; needed to train
        with generator.output_bias=data.

    Raises:
      UserError: if `parse_codes` cannot read the latent codes, the networks' outputs differ in
        shape or type from what `Modules` specifies, or the config's penalty or normalisation does
        not suit the discriminator.
    """
    dtype = parameter_dtype(config)
    codes = parse_codes(config.latent.codes)
    with_generator = config.information == "document"
    if modules is not None and config.discriminator.norm != "source":
        what = f"discriminator.norm={config.discriminator.norm}: the discriminator was passed in"
        raise UserError(what, "build its layers so, and leave the key at source")
    generator, discriminator, q, low = modules or make_modules(config, image_shape, codes, dtype)
    classes = condition.classes if isinstance(condition, Label) else 0
    gan = Gan(
        generator,
        conditioning.conditioned(config, discriminator, classes, dtype),
        q,
        low,
        optimizers={
            "generator": optimizer(config.generator),
            "discriminator": optimizer(config.discriminator),
            # Q's head is updated together with one network, at that network's learning rate.
            "q": optimizer(config.generator if with_generator else config.discriminator),
        },
        latent=LatentSpec(config.latent.noise, config.latent.noise_prior, codes, dtype),
        condition=condition,
        image_shape=image_shape,
        config=FrozenConfigDict(config),
        output_bias=None if pixel_means is None else log_odds(pixel_means).reshape(-1),
    )
    if modules is not None:
        _check_contract(gan)
    if config.penalty.kind == "gradient" and _has_batch_norm(gan):
        raise UserError(
            "penalty.kind=gradient: the discriminator has BatchNorm, with which there is no"
            " gradient of one example's logit (Gulrajani et al. 2017, section 4)",
            "set discriminator.norm to layer, instance, none or spectral",
        )
    return gan


def _has_batch_norm(gan: Gan) -> bool:
    """Whether the discriminator has moving means, and so BatchNorm."""
    latent, image = example_inputs(gan)
    variables = jax.eval_shape(
        lambda: gan.discriminator.init(jax.random.key(0), image, latent.condition, train=False)
    )
    paths = jax.tree_util.tree_leaves_with_path(variables.get("batch_stats", {}))
    return any("'mean'" in jax.tree_util.keystr(path) for path, _ in paths)


def has_convolutions(gan: Gan) -> bool:
    """Whether any layer of the generator or the discriminator is a convolution."""
    latent, image = example_inputs(gan)
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
    for module, inputs in (
        (gan.generator, (latent,)),
        (gan.discriminator, (image, latent.condition)),
    ):
        forward = functools.partial(module.init_with_output, rngs, train=False)
        if "conv_general_dilated" in str(jax.make_jaxpr(forward)(*inputs)):
            return True
    return False


def log_odds(means: np.ndarray) -> np.ndarray:
    """log(p / (1 - p)) of means in [0, 1], clipped at 1e-7 from both ends as in the code of
    Goodfellow et al. 2014: a sigmoid of this bias is the mean image."""
    from scipy.special import logit

    return np.asarray(logit(np.clip(means, 1e-7, 1 - 1e-7)))


def _check_contract(gan: Gan) -> None:
    """Raises UserError if a network's outputs differ from what `Modules` specifies; nothing is
    computed."""

    def returned(module: nn.Module, *inputs: Any) -> Any:
        rngs = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
        return jax.eval_shape(
            lambda *inputs: module.init_with_output(rngs, *inputs, train=False)[0], *inputs
        )

    latent, image = example_inputs(gan)
    fake = returned(gan.generator, latent)
    if getattr(fake, "shape", None) != image.shape:
        what = f"generator: returns {_shapes(fake)} for a batch of 2, not {image.shape}"
        raise UserError(what, "the data's images have that shape")
    read = returned(gan.discriminator, image, latent.condition)
    parts = read if isinstance(read, tuple) else ()
    shapes: list[tuple[int, ...]] = [getattr(part, "shape", ()) for part in parts]
    if [len(shape) for shape in shapes] != [1, 2] or {shape[0] for shape in shapes} != {2}:
        what = f"discriminator: returns {_shapes(read)} for a batch of 2"
        raise UserError(what, "it must return (logit [B], features [B, F])")
    codes = gan.latent.codes
    if (gan.q is None) != (not codes):
        what = "q: a network q needs latent.codes, and latent.codes need a network q"
        raise UserError(what, "give both, or q=None and latent.codes=''")
    if gan.q is None:
        return
    parameters = returned(gan.q, read[1])
    continuous = (GaussianParameters, PointParameters)
    wanted = [CategoricalParameters if code.categorical else continuous for code in codes]
    given = parameters if isinstance(parameters, tuple) else ()
    if len(given) != len(wanted) or not all(map(isinstance, given, wanted)):
        kinds = "CategoricalParameters, GaussianParameters or PointParameters"
        what = f"q: returns {_shapes(parameters)} for {len(codes)} codes"
        raise UserError(what, f"it must return a tuple, for each code one of infogan.py's {kinds}")


def _shapes(outputs: Any) -> str:
    return str(jax.tree.map(lambda x: x.shape, outputs))
