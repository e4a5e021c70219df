"""From a config to the Linen modules that it names.

`config.system` picks the family, `config.networks` the source of its networks and training:

    "document"  an article that explains a paper and trains its networks in a full tutorial
    "paper"     the paper itself, and its authors' code for what it leaves open
    "authors"   InfoGAN's paper networks with three settings in which its authors' code differs

Docstrings of modules name the preset that uses them: "gan:mnist,paper" is
--config=configs/gan.py:mnist,paper.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgan.common.errors import UserError
from jaxgan.config.validation import check_size
from jaxgan.models import cgan, dcgan, infogan, mlp, word_cgan
from jaxgan.models.latents import Code
from jaxgan.models.layers import leaky_relu


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


Shape = tuple[int, int, int]
Types = dict[str, Any]


def _gan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    points = shape[:2] == (1, 1)  # Points instead of images; their range is unbounded.
    if config.networks == "paper":
        generator = mlp.Generator(
            image_shape=shape,
            layers=(1200, 1200),
            activation=nn.relu,
            output=_identity if points else nn.sigmoid,
            kernel_init=mlp.uniform(0.05),
            **types,
        )
        d = config.discriminator
        discriminator = mlp.MaxoutDiscriminator(
            dropout=d.dropout, input_dropout=d.input_dropout, **types
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
    _check_shape(config, shape)
    for_g, _ = _dropouts(config)
    for_d: Types = {"dropout": config.discriminator.dropout}
    if config.networks == "paper":
        types = types | {"kernel_init": dcgan.NORMAL, "momentum": 0.9, "epsilon": 1e-5}
        for_g |= {"kernel": 5, "first_kernel": 5, "activation": nn.relu}
        for_d |= {"kernel": 5, "activation": leaky_relu(0.2)}
    generator = dcgan.Generator(image_shape=shape, **for_g, **types)
    return Modules(generator, dcgan.Discriminator(**for_d, **types), None, -1.0)


def _dropouts(config: ConfigDict) -> tuple[Types, Types]:
    """The dropout arguments of the generator and of the discriminator."""
    d = config.discriminator
    return (
        {"dropout": config.generator.dropout, "sample_dropout": config.sample_dropout},
        {"dropout": d.dropout, "input_dropout": d.input_dropout},
    )


def _cgan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    if config.networks == "paper":
        for_g, for_d = _dropouts(config)
        generator = mlp.ConditionalGenerator(image_shape=shape, **for_g, **types)
        return Modules(generator, mlp.ConditionalDiscriminator(**for_d, **types), None, 0.0)
    _check_shape(config, shape)
    inpaints = config.condition.kind == "known_part"
    kind: Callable[..., nn.Module] = cgan.Inpainter if inpaints else cgan.Generator
    return Modules(kind(image_shape=shape, **types), cgan.Discriminator(**types), None, -1.0)


def _tags(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    if shape[:2] != (1, 1):
        raise UserError(
            f"{config.dataset.name}: its examples are images, but system=tags makes word vectors",
            "choose glyph_tags, mirflickr or tags",
        )
    for_g, for_d = _dropouts(config)
    generator = word_cgan.Generator(image_shape=shape, **for_g, **types)
    return Modules(generator, word_cgan.Discriminator(**for_d, **types), None, -1.0)


def _check_shape(config: ConfigDict, shape: Shape) -> None:
    if shape[0] != shape[1]:
        what = f"{config.dataset.name}: images of {shape[0]}x{shape[1]} are not square"
        raise UserError(what, "crop, pad or resize them; or give networks of your own")
    check_size(config, shape[0])


def _infogan(config: ConfigDict, shape: Shape, codes: tuple[Code, ...], types: Types) -> Modules:
    if shape[0] < 4:
        raise UserError(
            f"{config.dataset.name}: InfoGAN makes images, not points", "use configs/gan.py"
        )
    _check_shape(config, shape)
    generator: Any
    discriminator: Any
    if config.networks == "document":
        generator, discriminator = infogan.DocumentGenerator, infogan.DocumentDiscriminator
        q_init, low = infogan.GLOROT, -1.0
    else:
        types = types | {"momentum": 0.9, "epsilon": 1e-5}
        generator, discriminator = infogan.PaperGenerator, infogan.PaperDiscriminator
        q_init, low = infogan.NORMAL, 0.0
    for_d: Types = {}
    for_q: Types = {"kernel_init": q_init}
    if config.networks == "authors":
        types |= {"scale_init": infogan.scale_near_one}
        for_q |= {"activation": leaky_relu(0.01)}
        for_d = {"activation": leaky_relu(0.01), "conv_init": infogan.TRUNCATED}
    q = infogan.Q(
        codes=codes,
        continuous=config.q.continuous,
        deviation=config.q.deviation,
        **types | for_q,
    )
    return Modules(
        generator(image_shape=shape, **types),
        discriminator(**types, **for_d),
        q if codes else None,
        low,
    )


SYSTEMS: dict[str, Callable[..., Modules]] = {
    "gan": _gan,
    "dcgan": _dcgan,
    "cgan": _cgan,
    "infogan": _infogan,
    "tags": _tags,
}


def make_modules(
    config: ConfigDict, image_shape: Shape, codes: tuple[Code, ...], dtype: Any
) -> Modules:
    """The modules that a config names.

    Args:
      config: a validated config.
      image_shape: (H, W, C) of the data.
      codes: the codes that Q reads; () for none.
      dtype: type of the parameters.

    Raises:
      UserError: if the system's networks cannot make examples of that shape.
    """
    types: Types = {
        "dtype": jnp.bfloat16 if config.dtype == "bfloat16" else dtype,
        "param_dtype": dtype,
        "width": config.width,
    }
    if config.condition.embedding:
        types["embedding"] = config.condition.embedding
    modules = SYSTEMS[config.system](config, image_shape, codes, types)
    norm = config.discriminator.norm
    if norm == "source":
        return modules
    return modules._replace(discriminator=modules.discriminator.clone(normalization=norm))
