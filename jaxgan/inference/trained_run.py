"""One seed of a trained run: its config, its networks, and methods that sample and read."""

import contextlib
import dataclasses
import functools
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.rng import settings_of_runs, stream
from jaxgan.config.keys import MOST_IMAGES
from jaxgan.data.dataset import label_number
from jaxgan.data.pixels import to_network
from jaxgan.inference import pictures
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models import conditions
from jaxgan.models.infogan import CategoricalParameters, CodeParameters
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Networks
from jaxgan.training import run_files
from jaxgan.training.gan import Gan


class Asked(NamedTuple):
    """The conditions and codes to sample with; the fields are arguments of `Run.sample`."""

    label: str | int | Sequence[str | int] | None = None
    codes: tuple[int, ...] = ()
    continuous: tuple[float, ...] = ()
    image: np.ndarray | None = None
    features: np.ndarray | None = None

    @staticmethod
    def of(
        label: str | int | Sequence[str | int] | None = None,
        code: int | Sequence[int] | None = None,
        continuous: float | Sequence[float] = (),
        image: np.ndarray | None = None,
        features: np.ndarray | None = None,
    ) -> "Asked":
        """The same from arguments; a single value stands for a sequence of one.

        Raises:
          UserError: if a code is not a whole number.
        """
        whole = () if code is None else np.atleast_1d(code)
        if len(whole) and not np.issubdtype(np.asarray(whole).dtype, np.integer):
            raise UserError(f"code={code}: not a whole number, nor some of them")
        codes = tuple(int(value) for value in whole)
        return Asked(label, codes, tuple(np.atleast_1d(continuous).tolist()), image, features)


NOTHING = Asked()


@dataclasses.dataclass(frozen=True)
class Run:
    """One seed of a run.

    Attributes:
      config: the run's config.
      gan: networks and config.
      networks: the networks' variables.
      label_names: names of the dataset's classes; () without labels.
      step: the step of these networks.
      checkpoint: "best", "last" or "raw", the last ones without their moving averages.
      run_seed: which of the run's seeds this is.
      workdir: the run's folder; "" if it has none.
    """

    config: ConfigDict
    gan: Gan
    networks: Networks
    label_names: tuple[str, ...]
    step: int
    checkpoint: str
    run_seed: int = 0
    workdir: str = ""

    def __repr__(self) -> str:
        place = self.workdir or "memory"
        if os.path.isabs(place) and not os.path.relpath(place).startswith(os.pardir):
            place = os.path.relpath(place)  # As it was given, most likely.
        return f"<{self.config.system}: {self.described}, in {place}>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: samples, a row for each label or value of the first code."""
        return None if self.shows_no_images else pictures.to_png(pictures.sheet(self))

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        label: str | int | Sequence[str | int] | None = None,
        code: int | Sequence[int] | None = None,
        continuous: float | Sequence[float] = (),
        image: np.ndarray | None = None,
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """Samples n examples.

        Args:
          n: number of examples, from 1 to 100,000.
          seed: seed of the noise, at least 0; the same seed gives the same examples.
          label: class of all examples, by name or number, or those of the first examples, which
            then repeat; None cycles through the classes.
          code: value of the first categorical code, or of the first few; the others are random.
          continuous: values of the first continuous codes; the others are random.
          image: the image whose hole is filled n times, uint8 [H, W, C] of the run's shape.
          features: features of the image to tag, [F].

        Returns:
          Images, uint8 [n, H, W, C]; points, float32 [n, 1, 1, 2], in a run on points; word
          vectors, float32 [n, 1, 1, D], in a run that tags images.

        Raises:
          UserError: if the run has no such label or code, or what is given does not match what the
            run is conditioned on.
        """
        asked = Asked.of(label, code, continuous, image, features)
        with self._settings():
            return self._examples(self.latent(n, seed, asked), seed)

    def generate(self, noise: np.ndarray, *, seed: int = 0, **asked: Any) -> np.ndarray:
        """The examples of given noise: `generate(run.latent(9).noise)` is `sample(9)`.

        Args:
          noise: float [n, D], of the run's `latent.noise` dimensions.
          seed: seed of the codes that are not given, and of dropout.
          asked: label, code, continuous, image, features as in `sample`.

        Returns and raises what `sample` does; UserError too if the noise has another shape.
        """
        noise = np.asarray(noise)
        size = self.config.latent.noise
        if noise.ndim != 2 or noise.shape[1] != size:
            raise UserError(f"noise: {list(noise.shape)}, not [n, {size}]")
        with self._settings():
            latent = self.latent(len(noise), seed, Asked.of(**asked))
            latent = latent._replace(noise=jnp.asarray(noise, latent.noise.dtype))
            return self._examples(latent, seed)

    def _examples(self, latent: Latent, seed: int) -> np.ndarray:
        key = stream(jax.random.key(seed), "sample")
        draw = self.functions.sample if self.draws_points else self.functions.sample_images
        return draw(self.networks.generator, latent, key)

    def read_codes(self, images: np.ndarray) -> tuple[np.ndarray, ...]:
        """What Q reads in images, with BatchNorm's statistics re-estimated on these same images:
        give some hundreds at once, of all kinds.

        Args:
          images: uint8 [N, H, W, C] of the run's shape.

        Returns:
          For each code: the probabilities of a categorical one, float32 [N, K], or the mean of a
          continuous one, float32 [N].

        Raises:
          UserError: if the run has no Q, or the images have another shape or type.
        """
        gan, networks, images = self.gan, self.networks, np.asarray(images)
        if gan.q is None or networks.q is None:
            raise UserError(f"{self.config.system}: it has no codes to read", "infogan has")
        if images.dtype != np.uint8 or images.shape[1:] != gan.image_shape or not len(images):
            shape = f"{images.dtype} {list(images.shape)}"
            raise UserError(f"images: {shape}, not uint8 [N, {str(list(gan.image_shape))[1:]}")
        with self._settings():
            read = self.functions.recalibrate_batch_norm(networks.discriminator, networks.q, images)
            return tuple(map(_value, self.functions.predict_codes(*read, images)))

    @property
    def history(self) -> list[dict[str, Any]]:
        """This seed's rows of `metrics.jsonl`, such as {"step": 10, "loss/generator": .7, …}:
        `pandas.DataFrame(run.history)` is a table. Empty without a folder."""
        if not self.workdir:
            return []
        with buckets.reading_copy(self.workdir) as folder:
            path = os.path.join(folder, run_files.METRICS)
            rows = run_files.read_metrics(path).rows if os.path.exists(path) else []
        return [row for row in rows if row["seed"] == self.run_seed]

    @property
    def measures(self) -> list[dict[str, Any]]:
        """The measures of these networks in `results.json`, each with its name, value, unit, split
        and protocol. Empty before the end of the run."""
        if not self.workdir:
            return []
        with buckets.reading_copy(self.workdir) as folder:
            results = run_files.read_results(folder)
        wanted = (self.run_seed, self.checkpoint, self.step)
        return [
            measure
            for measure in (results["measures"] if results else [])
            if (measure["seed"], measure["checkpoint"], measure["step"]) == wanted
        ]

    @property
    def shows_no_images(self) -> bool:
        """Whether noise, codes and a label are not enough for an image: the examples are points or
        word vectors, or an image or features must be given."""
        made_of = (conditions.MaskedImage, conditions.Features)
        return self.draws_points or isinstance(self.gan.condition, made_of)

    @functools.cached_property
    def functions(self) -> NetworkFunctions:
        """The networks' functions, compiled once."""
        return NetworkFunctions(self.gan)

    @property
    def described(self) -> str:
        """The networks in words: "the best networks (step 500)", with the seed if the run has
        several."""
        seed = f" of seed {self.run_seed}" if self.config.seeds > 1 else ""
        return f"the {self.checkpoint} networks{seed} (step {self.step})"

    @property
    def draws_points(self) -> bool:
        """Whether the examples are points or word vectors, not images."""
        return self.gan.image_shape[:2] == (1, 1)

    def latent(self, n: int, seed: int = 0, asked: Asked = NOTHING) -> Latent:
        """The generator's input in `sample`: noise [n, D], each code [n, K] or [n, 1], and the
        condition.

        Raises:
          UserError: if n or the seed is out of range, or `asked` does not fit the run.
        """
        check_asked(n, seed)
        with self._settings():
            latent = self.gan.latent.sample(stream(jax.random.key(seed), "sample"), n)
            codes = self._with_values(latent.codes, n, asked)
            return latent._replace(codes=codes, condition=self._condition(n, asked))

    def _settings(self) -> contextlib.AbstractContextManager[None]:
        """The settings in which the run was trained: the same seed gives the same examples whatever
        the process has set, for example a notebook that also trains in float64."""
        return settings_of_runs(self.config.dtype)

    def _with_values(self, sampled: tuple[Any, ...], n: int, asked: Asked) -> tuple[Any, ...]:
        """The sampled codes, with the first ones of each kind set to the given values."""
        codes = list(sampled)
        priors = self.gan.latent.codes
        for name, values in (("code", asked.codes), ("continuous", asked.continuous)):
            categorical = name == "code"
            indices = [i for i, prior in enumerate(priors) if prior.categorical == categorical]
            if len(values) > len(indices):
                raise UserError(
                    f"{name}={','.join(map(str, values))}: the run has {len(indices)} such codes",
                    f"its codes are {self.config.latent.codes or 'none'}",
                )
            for i, value in zip(indices, values, strict=False):
                prior = priors[i]
                if categorical and not 0 <= value < prior.values:
                    raise UserError(f"code={value}: the code has values 0 to {prior.values - 1}")
                if not math.isfinite(value):
                    raise UserError(f"continuous={value}: not a finite number")
                codes[i] = prior.fixed(value, n, self.gan.latent.dtype)
        return tuple(codes)

    def _condition(self, n: int, asked: Asked) -> Any:
        """The condition of n examples; UserError if `asked` does not fit the run."""
        condition, dtype = self.gan.condition, self.gan.dtype
        label, image, features = asked.label, asked.image, asked.features
        for name, value, kind, config in (
            ("label", label, conditions.Label, "configs/cgan.py"),
            ("image", image, conditions.MaskedImage, "configs/cgan.py:inpaint"),
            ("features", features, conditions.Features, "configs/tags.py"),
        ):
            if value is not None and not isinstance(condition, kind):
                what = f"{name}: the run's networks take no such condition"
                raise UserError(what, f"networks trained with --config={config} do")
        if isinstance(condition, conditions.Label):
            asked_for = () if label is None else np.atleast_1d(np.asarray(label, object)).tolist()
            members = [self._class_index(one) for one in asked_for] or condition.members
            labels = jnp.asarray(np.resize(members, n))
            return jax.nn.one_hot(labels, condition.classes, dtype=dtype)
        if isinstance(condition, conditions.MaskedImage):
            if image is None:
                raise UserError("image: the run fills holes and needs an image", "--image=FILE")
            image = np.asarray(image)
            if image.shape != self.gan.image_shape or image.dtype != np.uint8:
                raise UserError(
                    f"image: {image.dtype} {image.shape}, not uint8 {self.gan.image_shape}"
                )
            masked = condition.of(to_network(image[None], self.gan.low, dtype), None, dtype)
            return jnp.repeat(masked, n, axis=0)
        if isinstance(condition, conditions.Features):
            if features is None:
                raise UserError("features: the run tags images and needs those of one", "--image=…")
            features = np.asarray(features)
            if features.shape != (condition.size,):
                raise UserError(f"features: {list(features.shape)}, not [{condition.size}]")
            return jnp.tile(jnp.asarray(features, dtype), (n, 1))
        return None

    def _class_index(self, label: str | int) -> int:
        assert isinstance(self.gan.condition, conditions.Label)
        names, members = self.label_names, self.gan.condition.members
        index = label_number(str(label), names)
        if index not in members:
            remedy = f"there are: {', '.join(names[i] for i in members)}"
            raise UserError(f"label={label}: the run was not trained on such a label", remedy)
        return index


def check_asked(n: int, seed: int) -> None:
    """Raises UserError if a number of examples, or the seed of their noise, is not whole or out of
    range."""
    for name, value in (("n", n), ("seed", seed)):
        if not isinstance(value, (int, np.integer)):
            raise UserError(f"{name}={value!r}: not a whole number")
    if n < 1:
        raise UserError(f"n={n}: must be at least 1")
    if n > MOST_IMAGES:
        remedy = "sample several times, with other seeds"
        raise UserError(f"n={n}: must be at most {MOST_IMAGES:,}", remedy)
    if not 0 <= seed < 2**31:
        raise UserError(f"seed={seed}: must be from 0 to {2**31 - 1}")


def _value(parameters: CodeParameters) -> np.ndarray:
    """A categorical code's probabilities [N, K], or a continuous one's mean [N]."""
    if isinstance(parameters, CategoricalParameters):
        return np.asarray(nn.softmax(parameters.logits))
    return np.asarray(parameters.mean)[:, 0]
