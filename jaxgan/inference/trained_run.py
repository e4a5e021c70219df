"""A trained run, for use: its config, its networks, and a function that samples."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgan import config as config_lib
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.config import keys
from jaxgan.data.pixels import to_network, to_uint8
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.models import conditions
from jaxgan.models.latents import Latent
from jaxgan.models.registry import Modules
from jaxgan.models.variables import Networks
from jaxgan.training import run_folder
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.state import first_best, initialise, networks


class Asked(NamedTuple):
    """What the examples are to be; the fields are the arguments of `Run.sample`."""

    label: str | int | None = None
    codes: tuple[int, ...] = ()
    continuous: tuple[float, ...] = ()
    image: np.ndarray | None = None
    features: np.ndarray | None = None


NOTHING = Asked()
# How many examples are drawn at once: they and their noise lie in memory together.
MOST = 100_000


@dataclasses.dataclass(frozen=True)
class Run:
    """One seed of a run.

    Attributes:
      config: of the run.
      gan: the rules: networks, prior, condition.
      networks: the numbers that are sampled with.
      label_names: of the dataset, in the order of their numbers; () without labels.
      step: at which the networks stood.
      checkpoint: "best" or "last".
      run_seed: which of the run's seeds it is.
    """

    config: ConfigDict
    gan: Gan
    networks: Networks
    label_names: tuple[str, ...]
    step: int
    checkpoint: str
    run_seed: int = 0

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        label: str | int | None = None,
        code: int | Sequence[int] | None = None,
        continuous: Sequence[float] = (),
        image: np.ndarray | None = None,
        features: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draws n examples.

        Args:
          n: how many, from 1 to 100,000.
          seed: of the noise, from 0 up; the same seed gives the same examples.
          label: the class that all are to show, by name or number; None is each in turn.
          code: the value of the categorical code, or of the first few; None leaves them random.
          continuous: the values of the first continuous codes; the others are random.
          image: the image whose hole is filled n times, uint8 [H, W, C] of the run's shape.
          features: of the image that n words are drawn for, [F].

        Returns:
          uint8 [n, H, W, C]; of a run on points float32 [n, 1, 1, 2], of one that tags images the
          vectors of words, float32 [n, 1, 1, D].

        Raises:
          UserError: if the run has no such label or code, or wants what is not given.
        """
        codes = () if code is None else (code,) if isinstance(code, int) else tuple(code)
        latent = self.latent(n, seed, Asked(label, codes, tuple(continuous), image, features))
        key = stream(jax.random.key(seed), "sample")
        made = NetworkFunctions(self.gan).sample(self.networks.generator, latent, key)
        return made if self.draws_points else to_uint8(made, self.gan.low)

    @property
    def draws_points(self) -> bool:
        """Whether the examples are points, or vectors of words, and not images."""
        return self.gan.image_shape[:2] == (1, 1)

    def latent(self, n: int, seed: int = 0, asked: Asked = NOTHING) -> Latent:
        """What `sample` feeds the generator."""
        if n < 1:
            raise UserError(f"n={n}: must be at least 1")
        if n > MOST:
            raise UserError(
                f"n={n}: must be at most {MOST:,}", "draw several times, each with another seed"
            )
        if not 0 <= seed < 2**31:
            raise UserError(f"seed={seed}: must be from 0 to {2**31 - 1}")
        latent = self.gan.latent.sample(stream(jax.random.key(seed), "sample"), n)
        latent = latent._replace(codes=self._with_values(latent.codes, n, asked))
        return latent._replace(condition=self._condition(n, asked))

    def _with_values(self, drawn: tuple[Any, ...], n: int, asked: Asked) -> tuple[Any, ...]:
        """The codes as drawn, the first ones of each kind at the values that are asked for."""
        codes = list(drawn)
        for values, categorical, name in (
            (asked.codes, True, "code"),
            (asked.continuous, False, "continuous"),
        ):
            places = [
                i for i, x in enumerate(self.gan.latent.codes) if x.categorical == categorical
            ]
            if len(values) > len(places):
                raise UserError(
                    f"{name}={','.join(map(str, values))}: the run has {len(places)} such codes",
                    f"its codes are {self.config.latent.codes or 'none'}",
                )
            for i, value in zip(places, values, strict=False):
                prior = self.gan.latent.codes[i]
                if categorical and not 0 <= value < prior.values:
                    raise UserError(f"code={value}: the code has values 0 to {prior.values - 1}")
                if not math.isfinite(value):
                    raise UserError(f"continuous={value}: not a finite number")
                codes[i] = prior.fixed(value, n, self.gan.latent.dtype)
        return tuple(codes)

    def _condition(self, n: int, asked: Asked) -> Any:
        condition, dtype = self.gan.condition, self.gan.dtype
        label, image, features = asked.label, asked.image, asked.features
        if label is not None and not isinstance(condition, conditions.Label):
            raise UserError(
                f"label={label}: the run has no label as its condition", "configs/cgan.py makes one"
            )
        if image is not None and not isinstance(condition, conditions.MaskedImage):
            raise UserError(
                "image: the run fills no holes", "--config=configs/cgan.py:inpaint does"
            )
        if features is not None and not isinstance(condition, conditions.Features):
            raise UserError(
                "features: the run has none as its condition", "configs/tags.py makes one"
            )
        if isinstance(condition, conditions.Label):
            members = condition.members if label is None else (self._number(label),)
            labels = jnp.asarray(np.resize(members, n))
            return jax.nn.one_hot(labels, condition.classes, dtype=dtype)
        if isinstance(condition, conditions.MaskedImage):
            if image is None:
                raise UserError("image: the run fills holes and wants an image", "--image=FILE")
            if image.shape != self.gan.image_shape or image.dtype != np.uint8:
                raise UserError(
                    f"image: {image.dtype} {image.shape}, the run's are uint8"
                    f" {self.gan.image_shape}"
                )
            given = condition.of(to_network(image[None], self.gan.low, dtype), None, dtype)
            return jnp.repeat(given, n, axis=0)
        if isinstance(condition, conditions.Features):
            if features is None:
                raise UserError("features: the run tags images, and wants an image's", "--image=…")
            if features.shape != (condition.size,):
                raise UserError(
                    f"features: {list(features.shape)}, the run's images have [{condition.size}]"
                )
            return jnp.tile(jnp.asarray(features, dtype), (n, 1))
        return None

    def _number(self, label: str | int) -> int:
        assert isinstance(self.gan.condition, conditions.Label)
        names, members = self.label_names, self.gan.condition.members
        if str(label) in names:
            number = names.index(str(label))
        else:
            number = int(label) if str(label).isdigit() else -1
        if number not in members:
            raise UserError(
                f"label={label}: the run was trained with no such label",
                f"there are: {', '.join(names[i] for i in members)}",
            )
        return number


def load(
    workdir: str,
    checkpoint: str = "best",
    seed: int | None = None,
    modules: Modules | None = None,
) -> Run:
    """A run's networks; its data need not be at hand.

    Args:
      workdir: the run's folder; nothing in it is changed, and it may be in training.
      checkpoint: "best" or "last". Where no best was kept, "best" is the last.
      seed: which of the run's seeds; None is its first.
      modules: the networks, where they are not those that the config names.

    Raises:
      UserError: if there is no run, no whole checkpoint, or no such seed.
    """
    restored = _restore(workdir, modules)
    config = restored.config
    seed = config.seed if seed is None else seed
    if seed not in restored.seeds:
        raise _no_such_seed("run_seed", seed, restored.seeds, workdir)
    found = restored.runs(seed)
    return found.get(checkpoint, found["last"])


def load_every(
    workdir: str, seed: int | None = None, modules: Modules | None = None
) -> tuple[int, list[Run]]:
    """The last and, where one was kept, the best networks of every seed that is still finite.

    Args:
      workdir: the run's folder; nothing in it is changed.
      seed: this one of the run's seeds only.
      modules: as in `load`.

    Returns:
      The step of the last networks, and the runs.

    Raises:
      UserError: as `load`, and where no such seed is left.
    """
    restored = _restore(workdir, modules)
    if seed is not None and seed not in restored.seeds:
        raise _no_such_seed("seed", seed, restored.seeds, workdir)
    wanted = restored.seeds if seed is None else (seed,)
    finite = [one for one in wanted if bool(restored.of(one)["state"].alive)]
    if not finite:
        raise UserError(f"{workdir}: the numbers of seed {wanted[0]} ceased to be finite")
    return restored.step, [run for one in finite for run in restored.runs(one).values()]


class _Restored(NamedTuple):
    """A checkpoint's content, all seeds together."""

    config: ConfigDict
    gan: Gan
    label_names: tuple[str, ...]
    seeds: tuple[int, ...]
    step: int
    whole: Any

    def of(self, seed: int) -> Any:
        return jax.tree.map(lambda x: x[seed - self.config.seed], self.whole)

    def runs(self, seed: int) -> dict[str, Run]:
        """The last networks of a seed, and the best where one was kept."""
        best, last = self.of(seed)["best"], self.of(seed)["state"]

        def run(networks: Networks, step: Any, checkpoint: str) -> Run:
            return Run(
                self.config, self.gan, networks, self.label_names, int(step), checkpoint, seed
            )

        found = {"last": run(networks(last), last.step, "last")}
        if np.isfinite(best.score):
            found["best"] = run(best.networks, best.step, "best")
        return found


def _restore(workdir: str, modules: Modules | None) -> _Restored:
    about = read_about(workdir)
    config = config_lib.update(config_lib.base(), about["config"])
    if config.dtype == "float64" and not jax.config.read("jax_enable_x64"):
        raise UserError(
            f"{workdir} is in float64", 'jax.config.update("jax_enable_x64", True) comes first'
        )
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    data = about["dataset"]
    label_names = tuple(data["label_names"])
    # Runs of older versions do not speak of features.
    condition = conditions.make(config, label_names, data["classes"], data.get("features", 0))
    gan = build_gan(config, tuple(data["image_shape"]), condition, modules)

    def fresh() -> dict[str, Any]:
        state = jax.vmap(lambda key: initialise(gan, key))(
            jax.random.split(jax.random.key(0), len(seeds))
        )
        return {"state": state, "best": first_best(state)}

    checkpoints = Checkpoints(os.path.join(workdir, "checkpoints"), 1, read_only=True)
    try:
        restored = checkpoints.restore(jax.eval_shape(fresh))
    finally:
        checkpoints.close()
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet", "train it for longer")
    return _Restored(config, gan, label_names, seeds, *restored)


def _no_such_seed(flag: str, seed: int, seeds: tuple[int, ...], workdir: str) -> UserError:
    return UserError(
        f"{flag}={seed}: {workdir} has seeds {seeds[0]} to {seeds[-1]}",
        "--run_seed (in Python the seed of jaxgan.load) is one of these"
        if flag == "run_seed"
        else "",
    )


def read_about(workdir: str) -> dict[str, Any]:
    """What a run wrote about itself.

    Raises:
      UserError: if there is no run, or another version of jaxgan wrote it.
    """
    path = os.path.join(workdir, run_folder.CONFIG)
    try:
        with open(path) as file:
            about: dict[str, Any] = json.load(file)
        missing = {"image_shape", "label_names", "classes"} - about["dataset"].keys()
    except FileNotFoundError:
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder") from None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a run's config ({error})") from error
    unknown = [key for key in about["config"] if key not in keys.KEYS]
    if missing or unknown:
        raise UserError(f"{workdir} was written by another version of jaxgan")
    return about
