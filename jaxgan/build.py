"""From a config to the rules of the game: the networks, what feeds them, the losses."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan import losses, optim
from jaxgan.conditions import Condition
from jaxgan.config import UserError
from jaxgan.latents import Code, LatentSpec, parse_codes
from jaxgan.models import cgan, dcgan, infogan, mlp, tags
from jaxgan.models.infogan import CategoricalParameters
from jaxgan.models.layers import leaky_relu
from jaxgan.state import Gan, example_inputs


class Modules(NamedTuple):
    """A system's Linen modules.

    Attributes:
      generator: (latent, train) -> images [B, H, W, C].
      discriminator: (images, condition, train) -> (logit [B], features [B, F]).
      q: (features, train) -> the codes' parameters; None without codes.
      low: the lower end of the images' range: -1 (tanh) or 0 (sigmoid).
    """

    generator: nn.Module
    discriminator: nn.Module
    q: nn.Module | None
    low: float


def build_gan(
    config: ConfigDict,
    image_shape: tuple[int, int, int],
    condition: Condition | None = None,
    modules: Modules | None = None,
) -> Gan:
    """Everything that is fixed in a run.

    Args:
      config: validated.
      image_shape: (H, W, C) of the data.
      condition: what both networks are told (`conditions.make`).
      modules: networks of one's own; None is those that the config names.

    Raises:
      UserError: if the latent codes are not of the form that `parse_codes` reads, or the networks
        do not make images of that shape, or return something else than `Modules` says.
    """
    dtype = jnp.float64 if config.dtype == "float64" else jnp.float32
    types: dict[str, Any] = {
        "dtype": jnp.bfloat16 if config.dtype == "bfloat16" else dtype,
        "param_dtype": dtype,
        "width": config.width,
    }
    codes = parse_codes(config.latent.codes)
    if config.condition.embedding:
        types["embedding"] = config.condition.embedding
    adversarial = losses.ADVERSARIAL[config.loss]
    own = modules is not None
    if modules is None:
        modules = SYSTEMS[config.system](config, image_shape, codes, types)
    optimizers = {
        "generator": optim.optimizer(config.generator),
        "discriminator": optim.optimizer(config.discriminator),
        # Q's head learns at the rate of the player in whose update it learns.
        "q": optim.optimizer(
            config.generator if config.information == "document" else config.discriminator
        ),
    }
    gan = Gan(
        generator=modules.generator,
        discriminator=modules.discriminator,
        q=modules.q,
        optimizers=optimizers,
        latent=LatentSpec(config.latent.noise, config.latent.noise_prior, codes, dtype),
        condition=condition,
        image_shape=image_shape,
        low=modules.low,
        adversarial=adversarial,
        real_target=config.real_target,
        fake_target=config.fake_target,
        generator_target=(
            config.generator_target if adversarial.generator_aims_at_real else config.fake_target
        ),
        real_factor=config.real_factor,
        fake_factor=config.fake_factor,
        generator_factor=config.generator_factor,
        information=config.information,
        code_weights=tuple(
            config.lambda_categorical if code.categorical else config.lambda_continuous
            for code in codes
        ),
        learned_deviation=config.q.continuous == "gaussian" and config.q.deviation != "fixed",
        batch_size=config.batch_size,
        discriminator_batch_size=config.discriminator_batch_size or config.batch_size,
        discriminator_steps=config.discriminator_steps,
        discriminator_batches=config.discriminator_batches,
        order=config.order,
        fresh_noise=config.fresh_noise,
        ema_decay=config.ema_decay,
        dtype=dtype,
    )
    if own:
        _check_contract(gan)
    return gan


def _check_contract(gan: Gan) -> None:
    """Looks at the shapes that networks of one's own return; nothing is computed.

    Raises:
      UserError: naming the network that returns something else than `Modules` says.
    """

    def returned(module: nn.Module, *inputs: Any) -> Any:
        rngs = {"params": jax.random.key(0), "dropout": jax.random.key(0)}
        return jax.eval_shape(
            lambda *inputs: module.init_with_output(rngs, *inputs, train=False)[0], *inputs
        )

    latent, image = example_inputs(gan)
    made = returned(gan.generator, latent)
    if getattr(made, "shape", None) != image.shape:
        raise UserError(
            f"generator: returns {_shapes(made)} for a batch of 2, not {image.shape}",
            "the data's images have that shape",
        )
    read = returned(gan.discriminator, image, latent.condition)
    shapes = [part.shape for part in read] if isinstance(read, tuple) else []
    if [len(shape) for shape in shapes] != [1, 2] or {shape[0] for shape in shapes} != {2}:
        raise UserError(
            f"discriminator: returns {_shapes(read)} for a batch of 2",
            "it is to return (logit [B], features [B, F])",
        )
    codes = gan.latent.codes
    if (gan.q is None) != (not codes):
        raise UserError(
            "q: a network that reads codes and latent.codes go together, one is missing",
            "give both, or q=None and latent.codes=''",
        )
    if gan.q is None:
        return
    parameters = returned(gan.q, read[1])
    kinds = [isinstance(one, CategoricalParameters) for one in parameters]
    if not isinstance(parameters, tuple) or kinds != [code.categorical for code in codes]:
        raise UserError(
            f"q: returns {_shapes(parameters)} for {len(codes)} codes",
            "it is to return a tuple with one of jaxgan.models.infogan's CategoricalParameters,"
            " GaussianParameters or PointParameters for each code",
        )


def _shapes(returned: Any) -> str:
    return str(jax.tree.map(lambda x: x.shape, returned))


Shape = tuple[int, int, int]
Types = dict[str, Any]


def _gan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    del codes
    points = shape[:2] == (1, 1)  # Not pixels: their range is the data's own.
    if config.networks == "paper":
        generator = mlp.Generator(
            image_shape=shape,
            layers=(1200, 1200),
            activation=nn.relu,
            output=_identity if points else nn.sigmoid,
            kernel_init=mlp.uniform(0.05),
            **types,
        )
        discriminator = mlp.MaxoutDiscriminator(
            dropout=config.discriminator.dropout,
            input_dropout=config.discriminator.input_dropout,
            **types,
        )
        return Modules(generator, discriminator, None, 0.0)
    layers = (128, 128) if points else (128,)
    output = _identity if points else jnp.tanh
    return Modules(
        mlp.Generator(image_shape=shape, layers=layers, output=output, **types),
        mlp.Discriminator(layers=layers, **types),
        None,
        -1.0,
    )


def _identity(x: jax.Array) -> jax.Array:
    return x


def _dcgan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    del codes
    _require_size(config, shape)
    of_g: Types = {
        "image_shape": shape,
        "dropout": config.generator.dropout,
        "sample_dropout": config.sample_dropout,
    }
    of_d: Types = {"dropout": config.discriminator.dropout}
    if config.networks == "paper":
        types = types | {"kernel_init": dcgan.NORMAL, "momentum": 0.9, "epsilon": 1e-5}
        of_g |= {"kernel": 5, "first_kernel": 5, "activation": nn.relu}
        of_d |= {"kernel": 5, "activation": leaky_relu(0.2)}
    return Modules(
        dcgan.Generator(**of_g, **types), dcgan.Discriminator(**of_d, **types), None, -1.0
    )


def _dropouts(config: ConfigDict) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of the generator and of the discriminator, in the fully connected conditional networks."""
    d = config.discriminator
    return (
        {"dropout": config.generator.dropout, "sample_dropout": config.sample_dropout},
        {"dropout": d.dropout, "input_dropout": d.input_dropout},
    )


def _cgan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    del codes
    if config.networks == "paper":
        of_g, of_d = _dropouts(config)
        generator = mlp.ConditionalGenerator(image_shape=shape, **of_g, **types)
        return Modules(generator, mlp.ConditionalDiscriminator(**of_d, **types), None, 0.0)
    _require_size(config, shape)
    kind: Callable[..., nn.Module] = cgan.Generator
    if config.condition.kind == "known_part":
        kind = cgan.Inpainter
    return Modules(kind(image_shape=shape, **types), cgan.Discriminator(**types), None, -1.0)


def _tags(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    del codes
    if shape[:2] != (1, 1):
        raise UserError(
            f"{config.dataset.name}: its examples are images, and system=tags makes word vectors",
            "take glyph_tags, mirflickr or tags",
        )
    of_g, of_d = _dropouts(config)
    generator = tags.Generator(image_shape=shape, **of_g, **types)
    return Modules(generator, tags.Discriminator(**of_d, **types), None, -1.0)


def _require_size(config: ConfigDict, shape: Shape) -> None:
    size = shape[0]
    if size != 28 and (size < 16 or size & (size - 1)):
        raise UserError(
            f"dataset.size={size}: {config.system}'s convolutional networks make images of 28x28,"
            " 16x16, 32x32, 64x64, ...",
            "take one of these; the images are resized",
        )


def _infogan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    if shape[0] < 4:
        raise UserError(
            f"{config.dataset.name}: InfoGAN makes images, not points", "configs/gan.py"
        )
    generator: Any
    discriminator: Any
    if config.networks == "document":
        generator, discriminator = infogan.DocumentGenerator, infogan.DocumentDiscriminator
        q_init, low = infogan.GLOROT, -1.0
    else:
        types = types | {"momentum": 0.9, "epsilon": 1e-5}
        generator, discriminator = infogan.PaperGenerator, infogan.PaperDiscriminator
        q_init, low = infogan.NORMAL, 0.0
    q = infogan.Q(
        codes=codes,
        continuous=config.q.continuous,
        deviation=config.q.deviation,
        **types | {"kernel_init": q_init},
    )
    return Modules(
        generator(image_shape=shape, **types), discriminator(**types), q if codes else None, low
    )


SYSTEMS: dict[str, Callable[..., Modules]] = {
    "gan": _gan,
    "dcgan": _dcgan,
    "cgan": _cgan,
    "infogan": _infogan,
    "tags": _tags,
}
