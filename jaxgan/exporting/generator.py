"""A trained generator as one function of named arrays, the form in which it is exported."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.common.errors import UserError
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.models.latents import UNIFORM, Code, Latent
from jaxgan.models.variables import Variables, apply_network


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of an exported generator.

    Attributes:
      name: such as "noise".
      size: numbers per image: the shape is [B, size]; None for [B].
      values: of an int32 input, those that it may have; of a float32 one ().
      low, high: the ends of a uniform prior; None for a standard normal one.
      meaning: what it is, a phrase.
    """

    name: str
    size: int | None
    meaning: str
    values: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None

    @property
    def dtype(self) -> str:
        """float32 or int32."""
        return "int32" if self.values else "float32"

    def shape(self, batch: Any) -> tuple[Any, ...]:
        """The shape for a batch of that size, which may be symbolic."""
        return (batch,) if self.size is None else (batch, self.size)

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n draws from the prior: the shape and dtype above."""
        if self.values:
            return rng.choice(self.values, n).astype(np.int32)
        if self.low is None or self.high is None:
            return rng.standard_normal(self.shape(n), np.float32)
        return rng.uniform(self.low, self.high, self.shape(n)).astype(np.float32)


class SamplingGenerator:
    """The generator of a run in sampling: BatchNorm on its moving statistics, float32 throughout.

    Called with the arrays that `inputs` names, by keyword, it returns images, float32 [B, H, W, C]
    in [0, 1]. Products are float32 on every platform, whatever the run's `precision` and `dtype`.

    Where the run keeps dropout on in sampling, its random numbers are an input as well: ONNX has no
    random numbers that a caller could reproduce.

    Args:
      run: a trained run.

    Raises:
      UserError: if the run does not generate whole images.
    """

    def __init__(self, run: Run) -> None:
        condition = run.gan.condition
        what = ""
        if isinstance(condition, Features):
            what = "it generates word vectors"
        elif isinstance(condition, MaskedImage):
            what = "it fills a hole in an image"
        elif run.draws_points:
            what = "it generates points"
        if what:
            remedy = "only generators of whole images are exported; use python -m jaxgan.sample"
            raise UserError(f"the run cannot be exported: {what}", remedy)
        self.run = run
        # float32 networks stay as they are, so that networks of one's own need no such fields.
        self.module: nn.Module = run.gan.generator
        if run.config.dtype != "float32":
            fields = {field.name for field in dataclasses.fields(self.module)}
            types = {name: jnp.float32 for name in ("dtype", "param_dtype") if name in fields}
            self.module = self.module.clone(**types)
        self.variables = Variables(
            *jax.tree.map(lambda x: np.asarray(x, np.float32), tuple(run.networks.generator))
        )

    @functools.cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs in their order: `noise`, `label`, `code_0`, `code_1`, …, `dropout`, each only
        where the network has it."""
        latent = self.run.gan.latent
        low, high = UNIFORM.get(latent.noise_prior, (None, None))
        inputs = [Input("noise", latent.noise, "noise", low=low, high=high)]
        condition = self.run.gan.condition
        if isinstance(condition, Label):
            inputs.append(Input("label", None, "index of the class", condition.members))
        inputs += [_code_input(i, code) for i, code in enumerate(latent.codes)]
        dropped = self._dropped(inputs)
        if dropped:
            meaning = "random numbers that choose which units are dropped; draw them anew"
            inputs.append(Input("dropout", dropped, meaning, low=0.0, high=1.0))
        return tuple(inputs)

    def __call__(self, **inputs: Any) -> jax.Array:
        dropout = inputs.pop("dropout", None)
        with nn.intercept_methods(_Dropping(dropout)):
            images = self._generate(inputs)
        low = self.run.gan.low
        return (images - low) / (1 - low)

    def _generate(self, inputs: dict[str, Any]) -> jax.Array:
        """Images in the network's range."""
        gan, condition = self.run.gan, None
        if isinstance(gan.condition, Label):
            condition = _one_hot(inputs["label"], gan.condition.classes)
        codes = []
        for i, code in enumerate(gan.latent.codes):
            value = inputs[f"code_{i}"]
            codes.append(_one_hot(value, code.values) if code.categorical else value[:, None])
        latent = Latent(inputs["noise"], tuple(codes), condition)
        with jax.default_matmul_precision("highest"):
            images: jax.Array = apply_network(self.module, self.variables, latent, train=False)[0]
        return images

    def _dropped(self, inputs: list[Input]) -> int:
        """How many units of an image dropout decides about in sampling."""
        dropping = _Dropping(None)
        with nn.intercept_methods(dropping):
            shapes = {x.name: jax.ShapeDtypeStruct(x.shape(1), x.dtype) for x in inputs}
            jax.eval_shape(self._generate, shapes)
        return dropping.units


def _one_hot(values: Any, count: int) -> jax.Array:
    return jax.nn.one_hot(values, count, dtype=jnp.float32)


def _code_input(index: int, code: Code) -> Input:
    name = f"code_{index}"
    if code.categorical:
        return Input(name, None, "value of a categorical code", tuple(range(code.values)))
    if code.kind == "uniform":
        return Input(name, None, "continuous code", low=-1.0, high=1.0)
    return Input(name, None, "continuous code")


class _Dropping:
    """A Linen interceptor for dropout that is on: it takes the random numbers from an array, a
    slice for each layer in turn, in place of a PRNG key.

    Args:
      numbers: uniform on [0, 1), [B, units]; None to count the units and drop none.
    """

    def __init__(self, numbers: Any) -> None:
        self.numbers, self.units = numbers, 0

    def __call__(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        layer = context.module
        if not isinstance(layer, nn.Dropout):
            return call(*args, **kwargs)
        off = kwargs.get("deterministic") if layer.deterministic is None else layer.deterministic
        if off or not layer.rate:
            return call(*args, **kwargs)
        x, first = args[0], self.units
        self.units += math.prod(x.shape[1:])
        if self.numbers is None:
            return x
        kept = self.numbers[:, first : self.units].reshape(x.shape) < 1 - layer.rate
        return jnp.where(kept, x / (1 - layer.rate), jnp.zeros((), x.dtype))
