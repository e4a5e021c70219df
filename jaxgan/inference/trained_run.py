"""Loads trained runs: config, networks, and a method that samples."""

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

from jaxgan import config as config_lib
from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.config import keys
from jaxgan.config.validation import validate
from jaxgan.data.dataset import label_number
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.inference import pictures
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models import conditions
from jaxgan.models.infogan import CategoricalParameters, CodeParameters
from jaxgan.models.latents import Latent
from jaxgan.models.registry import Modules
from jaxgan.models.variables import Networks
from jaxgan.training import run_files, run_folder
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.state import first_best, has_averages, initialise, networks, raw_networks


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
        """The same from arguments of which a single value stands for a sequence of one."""
        whole = () if code is None else np.atleast_1d(code)
        if len(whole) and not np.issubdtype(np.asarray(whole).dtype, np.integer):
            raise UserError(f"code={code}: not a whole number, nor some of them")
        codes = tuple(int(value) for value in whole)
        return Asked(label, codes, tuple(np.atleast_1d(continuous).tolist()), image, features)


NOTHING = Asked()
# Examples per call: all of them and their noise are in memory together.
MAX_EXAMPLES = 100_000


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
        return f"<{self.config.system}: {self.described}, in {self.workdir or 'memory'}>"

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows: samples, a row for each label or value of the first code."""
        return None if self.needs_an_input else pictures.to_png(pictures.sheet(self))

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
        latent = self.latent(len(noise), seed, Asked.of(**asked))
        return self._examples(latent._replace(noise=jnp.asarray(noise, latent.noise.dtype)), seed)

    def _examples(self, latent: Latent, seed: int) -> np.ndarray:
        key = stream(jax.random.key(seed), "sample")
        examples = self.functions.sample(self.networks.generator, latent, key)
        return examples if self.draws_points else to_uint8(examples, self.gan.low)

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
    def needs_an_input(self) -> bool:
        """Whether there are no images to show without an image, or features, to start from."""
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
        """The generator's input in `sample`."""
        if n < 1:
            raise UserError(f"n={n}: must be at least 1")
        if n > MAX_EXAMPLES:
            remedy = "sample several times, with other seeds"
            raise UserError(f"n={n}: must be at most {MAX_EXAMPLES:,}", remedy)
        if not 0 <= seed < 2**31:
            raise UserError(f"seed={seed}: must be from 0 to {2**31 - 1}")
        latent = self.gan.latent.sample(stream(jax.random.key(seed), "sample"), n)
        codes = self._with_values(latent.codes, n, asked)
        return latent._replace(codes=codes, condition=self._condition(n, asked))

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
            if image.shape != self.gan.image_shape or image.dtype != np.uint8:
                raise UserError(
                    f"image: {image.dtype} {image.shape}, not uint8 {self.gan.image_shape}"
                )
            masked = condition.of(to_network(image[None], self.gan.low, dtype), None, dtype)
            return jnp.repeat(masked, n, axis=0)
        if isinstance(condition, conditions.Features):
            if features is None:
                raise UserError("features: the run tags images and needs those of one", "--image=…")
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


def _value(parameters: CodeParameters) -> np.ndarray:
    """A categorical code's probabilities [N, K], or a continuous one's mean [N]."""
    if isinstance(parameters, CategoricalParameters):
        return np.asarray(nn.softmax(parameters.logits))
    return np.asarray(parameters.mean)[:, 0]


def load(
    workdir: str, checkpoint: str = "best", seed: int | None = None, modules: Modules | None = None
) -> Run:
    """Loads a run's networks; its data is not needed.

    Args:
      workdir: the run's folder, on a disk or in a bucket (gs://…, s3://…), which is only read; the
        run may still be training.
      checkpoint: "best", "last" or "raw", the last ones without their moving averages. Without best
        networks "best" is the last, and without averages "raw" is.
      seed: which of the run's seeds; None is the one that the run chose at its end, or the first
        whose losses are finite.
      modules: the networks, if they are not those that the config names.

    Raises:
      UserError: if there is no run, no whole checkpoint, or no such seed.
    """
    with buckets.reading_copy(workdir) as folder:
        step, runs, finite = _restore(folder, modules)
        chosen = run_folder.chosen_seed(folder, step)
    if seed is None:
        seed = chosen
    if seed is None:  # The first that stayed finite.
        seed = min(finite or runs)
    if seed not in runs:
        what = f"{workdir} has seeds {min(runs)} to {max(runs)}, not {seed}"
        raise UserError(what, "choose one of them")
    # Absolute, because the process may go to another folder.
    place = workdir if buckets.is_remote(workdir) else os.path.abspath(workdir)
    return dataclasses.replace(runs[seed].get(checkpoint, runs[seed]["last"]), workdir=place)


def load_every(
    workdir: str, seed: int | None = None, modules: Modules | None = None
) -> tuple[int, list[Run]]:
    """Loads the last networks of every seed that stayed finite, the same without moving averages if
    the run has any, and the best ones if it kept them.

    Args and errors as in `load`, but seed=None means all seeds, and UserError is also raised if
    every one of them has become non-finite. Returns the step of the last networks, and the runs.
    """
    step, runs, finite = _restore(workdir, modules)
    if seed is not None and seed not in runs:
        raise UserError(f"seed={seed}: {workdir} has seeds {min(runs)} to {max(runs)}")
    seeds = list(runs) if seed is None else [seed]
    if not finite.intersection(seeds):
        raise UserError(f"{workdir}: the losses or gradients of seed {seeds[0]} are not finite")
    return step, [run for seed in seeds if seed in finite for run in runs[seed].values()]


def _restore(
    workdir: str, modules: Modules | None
) -> tuple[int, dict[int, dict[str, Run]], set[int]]:
    """The last step, each seed's networks by the name of their checkpoint, and the finite seeds."""
    about = read_about(workdir)
    if about.get("own_networks") and modules is None:
        what = f"{workdir} was trained with networks of its own"
        raise UserError(what, "give them again: --modules=MODULE:NAME, in Python modules=…")
    config = config_lib.update(config_lib.base(), about["config"])
    if config.dtype == "float64" and not jax.config.read("jax_enable_x64"):
        remedy = 'call jax.config.update("jax_enable_x64", True) first'
        raise UserError(f"{workdir} is in float64", remedy)
    data = about["dataset"]
    label_names = tuple(data["label_names"])
    # Older versions did not record the number of features.
    condition = conditions.make(config, label_names, data["classes"], data.get("features", 0))
    gan = build_gan(config, tuple(data["image_shape"]), condition, modules)

    def target() -> dict[str, Any]:
        root_keys = jax.random.split(jax.random.key(0), config.seeds)
        state = jax.vmap(lambda key: initialise(gan, key))(root_keys)
        return {"state": state, "best": first_best(state)}

    folder = os.path.join(workdir, "checkpoints")
    checkpoints = Checkpoints(folder, 1, read_only=True, config=config)
    with contextlib.closing(checkpoints):
        restored = checkpoints.restore(jax.eval_shape(target))
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet", "train it for longer")
    runs: dict[int, dict[str, Run]] = {}
    finite = set()
    for i in range(config.seeds):
        last, best = jax.tree.map(lambda x, i=i: x[i], (restored[1]["state"], restored[1]["best"]))
        # The best networks come last: their pictures replace those of the others.
        found = {"raw": (raw_networks(last), last.step)} if has_averages(last) else {}
        found["last"] = (networks(last), last.step)
        if np.isfinite(best.score):
            found["best"] = (best.networks, best.step)
        seed = config.seed + i
        runs[seed] = {
            name: Run(config, gan, weights, label_names, int(step), name, seed, workdir)
            for name, (weights, step) in found.items()
        }
        if last.alive:
            finite.add(seed)
    return restored[0], runs, finite


def _check_dataset(dataset: dict[str, Any]) -> None:
    """Raises UserError if no run can have been trained on such data."""
    if min(dataset["image_shape"]) < 1:
        raise UserError(f"image_shape={dataset['image_shape']}")
    names, classes = dataset["label_names"], dataset["classes"]
    if names and not all(0 <= i < len(names) for i in classes):
        raise UserError(f"classes={classes} of {len(names)} names")


def read_about(workdir: str) -> dict[str, Any]:
    """The content of the run's `config.json`; UserError if there is no run, or another version of
    jaxgan wrote it."""
    about = run_files.read_info(workdir)
    if about is None:
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder")
    if any(key not in keys.KEYS for key in about["config"]):
        raise UserError(f"{workdir} was written by another version of jaxgan")
    try:
        validate(config_lib.update(config_lib.base(), about["config"]))
        _check_dataset(about["dataset"])
    except UserError as error:
        path = os.path.join(workdir, run_files.CONFIG)
        raise UserError(f"{path} is damaged, or not a run's: {error.what}") from None
    return about
