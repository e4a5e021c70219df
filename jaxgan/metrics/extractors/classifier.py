"""The reference classifier: predicts classes and extracts features, trained on real images only.

Source: the Inception score and FID (Salimans et al. 2016; Heusel et al. 2017) look at generated
images through a network that knows real ones. Inception-v3 has never seen a 28x28 digit, so a small
network is trained for each dataset:

    5x5 convolution to 32, 3x3 to 64, 3x3 to 128, each stride 2, BatchNorm, ReLU;
    dense to 128, BatchNorm, ReLU (the features); dense to the classes.

Protocol: cross entropy on the real training and validation images of all classes. Held-out images
are included, so that every run on a dataset shares one classifier; without a test split the
validation split tests it instead. Each image is shifted at random by up to a fourteenth of its
side; Adam under one cycle of its rate (Smith and Topin 2018); a fixed seed; the final weights,
tested once on the test split. Each result that uses the classifier reports its hash and accuracy.
Accuracies are fractions in [0, 1]; features are unitless.

Each classifier is trained once per machine and cached in $XDG_CACHE_HOME/jaxgan (~/.cache/jaxgan).
"""

import dataclasses
import functools
import hashlib
import math
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
from jaxgan.data.dataset import Dataset, Split, joined
from jaxgan.data.pixels import to_network
from jaxgan.models.variables import Variables, apply_network

# Part of the cache key: increment it with every change to the network or its training.
VERSION = "2"
SEED = 0
FEATURES = 128
# Images per forward pass.
_BATCH = 250
# Most images that the accuracy is measured on.
_MAX_TEST_IMAGES = 10_000


class ReferenceNetwork(nn.Module):
    """Images [B, H, W, C] in [-1, 1] -> (features [B, 128], at least 0, logits [B, classes])."""

    classes: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        # No pooling: full-size convolutions would take three quarters of the time on a CPU.
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
    """Training length, `updates` batches of `batch` images, and Adam's highest learning `rate`. Its
    repr is part of the cache key."""

    batch: int
    updates: int
    rate: float = 3e-3


def recipe_for(images: int, channels: int) -> Recipe:
    """The recipe for a training split of `images` images.

    4 epochs of grey images, 8 of colour images, in batches of 128; below 10,000 images, batches of
    32, and at least 9,000 (grey) or 24,000 examples in all. Test accuracy on one shared CPU core:
    MNIST 99.36 % in 182 s (99.24 % with 3 epochs), CIFAR-10 78.45 % in 418 s, the digits 99.66 % in
    29 s (8 s of updates, the rest compiling).
    """
    passes, least = (4, 9_000) if channels == 1 else (8, 24_000)
    batch = 128 if images >= 10_000 else min(32, images)
    return Recipe(batch, math.ceil(max(passes * images, least) / batch))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A trained reference classifier of uint8 images [N, H, W, C] of its dataset's shape.

    Attributes:
      name: such as "reference classifier 1 (mnist)".
      network, variables: the Linen module and its variables, NumPy arrays.
      image_shape: (H, W, C).
      accuracy: fraction of the real images in the split `judged` that it classifies correctly.
      judged: "test", or without such a split "validation", or "train" as a last resort.
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
        """The most likely class of each image, int64 [N]."""
        return self._read(images)[1].argmax(axis=-1)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Activations of the last hidden layer, float32 [N, 128], at least 0."""
        return self._read(images)[0]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 [N, classes]; each row sums to 1."""
        from scipy.special import softmax

        return np.asarray(softmax(self._read(images)[1], axis=-1))

    def _read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape:
            raise ValueError(
                f"images are {images.dtype} {images.shape}, not uint8 [N, *{self.image_shape}]"
            )
        return _read(self.network, self.variables, images)


def reference_classifier(
    dataset: Dataset,
    say: Callable[[str], None] = print,
    recipe: Recipe | None = None,
    purpose: str = "",
) -> Classifier:
    """The reference classifier of a dataset, from the cache or trained now.

    Args:
      dataset: all its classes (before `Dataset.only`), whichever of them the run trains on.
      say: prints a line of progress; called only if the classifier is trained.
      recipe: None for `recipe_for` its training images.
      purpose: what it is for, said if it is trained.

    Raises:
      UserError: if the dataset has no labels.
    """
    if dataset.train.labels is None:
        raise UserError(
            f"{dataset.name} has no labels: no reference classifier can be trained on it",
            "use a metric on thumbnails, which needs none",
        )
    dataset = _with_held_out(dataset)
    recipe = recipe or recipe_for(len(dataset.train.images), dataset.image_shape[-1])
    # With x64, a run in float64 would draw other random numbers and take twice the time.
    with jax.enable_x64(False):
        return _cached(dataset, recipe, say, purpose)


def _with_held_out(dataset: Dataset) -> Dataset:
    """The dataset with its validation images at the end of the training split, unless there is no
    test split."""
    if not len(dataset.test) or dataset.test.labels is None or not len(dataset.validation):
        return dataset
    return dataclasses.replace(dataset, train=joined(dataset.train, dataset.validation))


def _cached(
    dataset: Dataset, recipe: Recipe, say: Callable[[str], None], purpose: str
) -> Classifier:
    assert dataset.train.labels is not None
    classes = max(len(dataset.label_names), int(dataset.train.labels.max()) + 1)
    network = ReferenceNetwork(classes)
    judged, unseen = _judged(dataset)

    def train() -> dict[str, np.ndarray]:
        what = f"training the reference classifier of {dataset.name} on {len(dataset.train)} images"
        say(f"{what}, once" + (f": {purpose}" if purpose else ""))
        with jax.default_matmul_precision("highest"):
            arrays, seconds = _train(network, dataset, recipe, say)
        classified = _read(network, _variables(arrays), unseen.images)[1].argmax(axis=-1)
        accuracy = np.mean(classified == unseen.labels)
        say(
            f"reference classifier of {dataset.name}: accuracy {accuracy:.2%} on {len(unseen)}"
            f" {judged} images, {seconds:.0f} s"
        )
        return {**arrays, "accuracy": accuracy}

    arrays = cache.cached(f"classifier-{_key(dataset, recipe, classes)}", train, say)
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
    """Name and images of the split that the accuracy is measured on."""
    for name in ("test", "validation"):
        split: Split = getattr(dataset, name)
        if len(split) and split.labels is not None:
            return name, split.first(_MAX_TEST_IMAGES)
    return "train", dataset.train.first(_MAX_TEST_IMAGES)


def _train(
    network: ReferenceNetwork, dataset: Dataset, recipe: Recipe, say: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], float]:
    """The weights by path, and the training time in seconds."""
    images, labels = dataset.train.images, dataset.train.labels
    assert labels is not None
    n, began = len(images), time.monotonic()
    optimizer = optax.adam(
        optax.cosine_onecycle_schedule(recipe.updates, recipe.rate, pct_start=0.25)
    )
    variables = _initialise(network, dataset.image_shape)
    opt_state = optimizer.init(variables.params)
    update = jax.jit(functools.partial(_update, network, optimizer), donate_argnums=(0, 1))
    # The first updates include compilation; the ten after them predict the remaining time.
    warm, timed = 5, 15
    started = began
    for i in range(recipe.updates):
        chosen = indices(SEED, i, n, (recipe.batch,), replacement=False)
        batch = _shifted(images[chosen], i)
        variables, opt_state = update(variables, opt_state, batch, labels[chosen])
        if i in (warm, timed):
            jax.block_until_ready(variables)
            now = time.monotonic()
            if i == timed:
                rest = (now - started) / (timed - warm) * (recipe.updates - 1 - timed)
                say(f"reference classifier: {recipe.updates} updates, about {rest:.0f} s")
            started = now
    leaves = flatten_dict(variables._asdict(), sep="/")
    arrays = {name: np.asarray(leaf) for name, leaf in leaves.items()}
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
    """Shifts each image by a random whole number of pixels, repeating its edge pixels."""
    n, height, width, _ = images.shape
    reach = max(height, width) // 14
    # The 2 separates these random numbers from those of the batches.
    generator = np.random.default_rng([SEED, step, 2])
    down, right = generator.integers(-reach, reach + 1, (2, n))
    rows = np.clip(np.arange(height)[None, :] + down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width)[None, :] + right[:, None], 0, width - 1)
    return images[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _read(
    network: ReferenceNetwork, variables: Variables, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 128] and logits [N, classes], float32."""
    if not len(images):
        return np.zeros((0, FEATURES), np.float32), np.zeros((0, network.classes), np.float32)
    variables = jax.device_put(variables)  # Once, not for each batch.
    with jax.default_matmul_precision("highest"):
        read: tuple[np.ndarray, np.ndarray] = map_batches(
            lambda batch, _: _forward(network, variables, batch), images, _BATCH
        )
    return read


@functools.partial(jax.jit, static_argnums=0)
def _forward(
    network: ReferenceNetwork, variables: Variables, images: jax.Array
) -> tuple[jax.Array, jax.Array]:
    return apply_network(network, variables, to_network(images, -1.0), train=False)[0]


def _key(dataset: Dataset, recipe: Recipe, classes: int) -> str:
    """Hash of everything that determines the weights and the accuracy, 16 hexadecimal digits."""
    judged, unseen = _judged(dataset)
    assert dataset.train.labels is not None
    assert unseen.labels is not None
    hasher = hashlib.sha256(
        f"{VERSION} {recipe} {classes} {dataset.image_shape} {dataset.digest()} {judged}".encode()
    )
    hasher.update(dataset.content.encode())
    for part in (dataset.train.labels, unseen.images, unseen.labels):
        hasher.update(hashlib.sha256(part.tobytes()).digest())
    return hasher.hexdigest()[:16]


def _variables(arrays: dict[str, np.ndarray]) -> Variables:
    return Variables(**unflatten_dict(arrays, sep="/"))


def _digest(arrays: dict[str, np.ndarray]) -> bytes:
    """SHA-256 of names, dtypes, shapes and bytes, in order of the names."""
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        hasher.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
        hasher.update(arrays[name].tobytes())
    return hasher.digest()
