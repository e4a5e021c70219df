"""The reference classifier: a reader of classes and of features, trained on real images only.

Source: the idea is that of the Inception score and of FID (Salimans et al. 2016; Heusel et al.
2017), which read generated images by a network that knows real ones. Inception-v3 has never seen a
28x28 digit, so here a small network is trained for each dataset:

    5x5 convolution to 32, 3x3 to 64, 3x3 to 128, each stride 2, BatchNorm, ReLU;
    dense to 128, BatchNorm, ReLU (the features); dense to the classes.

Protocol: cross entropy on the whole real training split, all classes, every image shifted at random
by up to a fourteenth of its side; Adam under one cycle of its rate (Smith and Topin 2018);
a fixed seed; the weights at the end. Judged once on the test split. Its hash, and its accuracy,
belong beside every figure that it gave. Units: shares in [0, 1]; features have no unit.

Trained once on a machine and kept under $XDG_CACHE_HOME/jaxgan (or ~/.cache/jaxgan).
"""

import dataclasses
import functools
import hashlib
import math
import os
import time
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxgan.common import cache
from jaxgan.common.errors import UserError
from jaxgan.common.rng import stream
from jaxgan.data.batches import indices, map_batches
from jaxgan.data.dataset import Dataset, Split
from jaxgan.data.pixels import to_network
from jaxgan.models.variables import Variables, apply_network

# Goes up with every change to the network or to how it is trained: it is part of the cache's key.
VERSION = "1"
SEED = 0
FEATURES = 128
# Images that are read at once.
_BATCH = 250
# Images that the accuracy is read on, at most.
_MOST_JUDGED = 10_000


class ReferenceNetwork(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> (features [B, 128] from 0 up, logits [B, classes])."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        # Strides, not pooling: convolutions at full size are three quarters of such a network's
        # time on a CPU.
        for i, (width, size) in enumerate(((32, 5), (64, 3), (128, 3)), start=1):
            x = nn.Conv(width, (size, size), strides=2, use_bias=False, name=f"conv_{i}")(x)
            x = nn.relu(self._norm(f"conv_{i}_norm", train)(x))
        x = nn.Dense(FEATURES, use_bias=False, name="features")(x.reshape(len(x), -1))
        x = nn.relu(self._norm("features_norm", train)(x))
        return x, nn.Dense(self.classes, name="logits")(x)

    def _norm(self, name: str, train: bool) -> nn.BatchNorm:
        return nn.BatchNorm(use_running_average=not train, momentum=0.9, name=name)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How long the classifier trains: `updates` batches of `batch` images; `rate` is Adam's at the
    top of its cycle."""

    batch: int
    updates: int
    rate: float = 3e-3


def recipe_for(images: int, channels: int) -> Recipe:
    """The recipe for a training split of so many images.

    Grey images are seen 4 times and coloured ones 8 times; a small set is seen more often, until
    9,000 (grey) or 24,000 images have gone by, in batches of 32 and not 128. Test accuracy, on
    one CPU core that other programs used too: MNIST 99.36 % in 182 s (99.24 % with 3 passes),
    CIFAR-10 78.45 % in 418 s, the digits 99.66 % in 29 s (8 s of updates, the rest compiling).
    """
    passes, least = (4, 9_000) if channels == 1 else (8, 24_000)
    batch = 128 if images >= 10_000 else min(32, images)
    return Recipe(batch, math.ceil(max(passes * images, least) / batch))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained reference classifier. Images are uint8 [N, H, W, C], any N, of its dataset's shape.

    Attributes:
      name: "reference classifier 1 (mnist)", for the record.
      network, variables: the module and its numbers, NumPy arrays.
      image_shape: (H, W, C).
      accuracy: on real images that it was not trained on, a share.
      judged: their split, "test" ("validation", or even "train", where there is no other).
      digest: SHA-256 of its weights, 16 hexadecimal digits.
    """

    name: str
    network: ReferenceNetwork
    variables: Variables
    image_shape: tuple[int, int, int]
    accuracy: float
    judged: str
    digest: str

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The likeliest class of each image, int64 [N]."""
        return self._read(images)[1].argmax(axis=-1)

    def features(self, images: np.ndarray) -> np.ndarray:
        """The last hidden layer, float32 [N, 128], from 0 up."""
        return self._read(images)[0]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The probability of each class, float32 [N, classes]; a row sums to 1."""
        logits = self._read(images)[1]
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)

    def _read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images are {images.dtype} {images.shape}, not uint8 [N, *{self.image_shape}]"
            )
        return _read(self.network, self.variables, images)


def reference_classifier(
    dataset: Dataset, say: Callable[[str], None] = print, recipe: Recipe | None = None
) -> Classifier:
    """The reference classifier of a dataset, from the cache or trained now.

    Args:
      dataset: with all its classes (so before `Dataset.only`), whatever the run trains on.
      say: called with a line before and after a training; not if the cache has it.
      recipe: None is `recipe_for` the training split.

    Raises:
      UserError: if the dataset has no labels.
    """
    if dataset.train.labels is None:
        raise UserError(
            f"{dataset.name} has no labels: no reference classifier can be trained on it",
            "a measure by thumbnails wants none",
        )
    images = dataset.train.images
    recipe = recipe or recipe_for(len(images), images.shape[-1])
    # Outside this block a run in float64 would draw other random numbers, and cost twice the time.
    with jax.enable_x64(False):
        return _cached(dataset, recipe, say)


def _cached(dataset: Dataset, recipe: Recipe, say: Callable[[str], None]) -> Classifier:
    assert dataset.train.labels is not None
    classes = max(len(dataset.label_names), int(dataset.train.labels.max()) + 1)
    network = ReferenceNetwork(classes)
    judged, unseen = _judged(dataset)
    path = os.path.join(cache.cache_folder(), f"classifier-{_key(dataset, recipe, classes)}.npz")
    arrays = cache.load_npz(path, say)
    if arrays is None:
        arrays, seconds = _train(network, dataset, recipe, say)
        classified = _read(network, _variables(arrays), unseen.images)[1].argmax(axis=-1)
        arrays["accuracy"] = np.mean(classified == unseen.labels)
        kept = cache.save_npz(path, arrays, say)
        say(
            f"reference classifier of {dataset.name}: {arrays['accuracy']:.2%} of {len(unseen)}"
            f" {judged} images right, {seconds:.0f} s{f', kept in {path}' if kept else ''}"
        )
    accuracy = float(arrays.pop("accuracy"))
    return Classifier(
        f"reference classifier {VERSION} ({dataset.name})",
        network,
        _variables(arrays),
        dataset.image_shape,
        accuracy,
        judged,
        _digest(arrays).hex()[:16],
    )


def _judged(dataset: Dataset) -> tuple[str, Split]:
    """The split that the accuracy is read on, and its name."""
    for name in ("test", "validation"):
        split: Split = getattr(dataset, name)
        if len(split) and split.labels is not None:
            return name, split.first(_MOST_JUDGED)
    return "train", dataset.train.first(_MOST_JUDGED)


# Training


def _train(
    network: ReferenceNetwork, dataset: Dataset, recipe: Recipe, say: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], float]:
    """The weights, by path, and how many seconds they took."""
    images, labels = dataset.train.images, dataset.train.labels
    assert labels is not None
    n = len(images)
    say(f"training the reference classifier of {dataset.name} on {n} images, once")
    began = time.monotonic()
    optimizer = optax.adam(
        optax.cosine_onecycle_schedule(recipe.updates, recipe.rate, pct_start=0.25)
    )
    variables = _initialise(network, dataset.image_shape)
    opt_state = optimizer.init(variables.params)
    update = jax.jit(functools.partial(_update, network, optimizer), donate_argnums=(0, 1))
    # The first updates compile; the ten after them say how long the rest will take.
    warm, timed = 5, 15
    started = began
    for i in range(recipe.updates):
        places = indices(SEED, i, n, (recipe.batch,), replacement=False)
        batch = _shifted(images[places], i)
        variables, opt_state = update(variables, opt_state, batch, labels[places])
        if i in (warm, timed):
            jax.block_until_ready(variables)
            now = time.monotonic()
            if i == timed:
                rest = (now - started) / (timed - warm) * (recipe.updates - 1 - timed)
                say(f"reference classifier: {recipe.updates} updates, about {rest:.0f} s")
            started = now
    arrays = {
        "/".join(path): np.asarray(leaf) for path, leaf in flatten_dict(variables._asdict()).items()
    }
    return arrays, time.monotonic() - began


def _initialise(network: ReferenceNetwork, image_shape: tuple[int, int, int]) -> Variables:
    key = stream(jax.random.key(SEED), "classifier/initialise")

    def initialise(key: jax.Array) -> Variables:
        variables = network.init(key, jnp.zeros((1, *image_shape), jnp.float32), train=False)
        return Variables(variables["params"], variables["batch_stats"])

    return jax.jit(initialise)(key)


def _update(
    network: ReferenceNetwork,
    optimizer: optax.GradientTransformation,
    variables: Variables,
    opt_state: optax.OptState,
    images: jax.Array,
    labels: jax.Array,
) -> tuple[Variables, optax.OptState]:
    def loss(params: optax.Params) -> tuple[jax.Array, optax.Params]:
        (_, logits), stats = apply_network(
            network, variables._replace(params=params), to_network(images, -1.0), train=True
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), stats

    gradient, stats = jax.grad(loss, has_aux=True)(variables.params)
    change, opt_state = optimizer.update(gradient, opt_state, variables.params)
    return Variables(optax.apply_updates(variables.params, change), stats), opt_state


def _shifted(images: np.ndarray, step: int) -> np.ndarray:
    """Each image moved by its own whole number of pixels, the edge's pixels drawn out behind it."""
    n, height, width, _ = images.shape
    reach = max(height, width) // 14
    # The third number keeps these draws apart from the batches'.
    generator = np.random.default_rng([SEED, step, 2])
    down, right = generator.integers(-reach, reach + 1, (2, n))
    rows = np.clip(np.arange(height)[None, :] + down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width)[None, :] + right[:, None], 0, width - 1)
    return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


# Reading


def _read(
    network: ReferenceNetwork, variables: Variables, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 128] and logits [N, classes], float32."""
    if not len(images):
        return np.zeros((0, FEATURES), np.float32), np.zeros((0, network.classes), np.float32)
    read: tuple[np.ndarray, np.ndarray] = map_batches(
        lambda batch, _: _forward(network, variables, batch), images, _BATCH
    )
    return read


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    network: ReferenceNetwork, variables: Variables, images: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return apply_network(network, variables, to_network(images, -1.0), train=False)[0]


# The cache


def _key(dataset: Dataset, recipe: Recipe, classes: int) -> str:
    """16 hexadecimal digits of all that the weights and the accuracy come from."""
    judged, unseen = _judged(dataset)
    assert dataset.train.labels is not None
    assert unseen.labels is not None
    hasher = hashlib.sha256(
        f"{VERSION} {recipe} {classes} {dataset.image_shape} {dataset.digest()} {judged}".encode()
    )
    for part in (dataset.train.labels, unseen.images, unseen.labels):
        hasher.update(hashlib.sha256(part.tobytes()).digest())
    return hasher.hexdigest()[:16]


def _variables(arrays: dict[str, np.ndarray]) -> Variables:
    paths = {tuple(name.split("/")): leaf for name, leaf in arrays.items() if "/" in name}
    tree = unflatten_dict(paths)
    return Variables(tree["params"], tree["batch_stats"])


def _digest(arrays: dict[str, np.ndarray]) -> bytes:
    """SHA-256 of names, shapes and bytes, in the names' order."""
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        hasher.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
        hasher.update(arrays[name].tobytes())
    return hasher.digest()
