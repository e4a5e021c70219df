"""Tags of images by a trained generator: a hundred word vectors for each image, and the ten words
that they name most often."""

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.tagging.types import WordVectors
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.tag_lists import tags_of_samples
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables

SAMPLES = 100
# Images in one batch; the noise of an image does not depend on how many follow.
_BLOCK = 10


def generated_tags(
    instruments: NetworkFunctions,
    generator: Variables,
    vocabulary: WordVectors,
    features: np.ndarray,
    seed: int = 0,
) -> np.ndarray:
    """The tags of some images.

    Args:
      instruments: of the run.
      generator: its numbers.
      vocabulary: the words.
      features: of the images, [M, F].
      seed: of the noise.

    Returns:
      The numbers of ten words for each image (all, where there are fewer), int [M, 10], the one
      named most often first.
    """
    key = stream(jax.random.key(seed), "tags")
    dtype = instruments.gan.dtype
    tags = []
    for i, start in enumerate(range(0, len(features), _BLOCK)):
        condition = np.zeros((_BLOCK, features.shape[1]), dtype)
        block = features[start : start + _BLOCK]
        condition[: len(block)] = block
        drawn = instruments.gan.latent.sample(stream(key, "block", i), _BLOCK * SAMPLES)
        latent = Latent(drawn.noise, (), np.repeat(condition, SAMPLES, axis=0))
        made = instruments.sample(generator, latent, stream(key, "block", i))
        for samples in made.reshape(_BLOCK, SAMPLES, -1)[: len(block)]:
            tags.append(tags_of_samples(samples, vocabulary.vectors))
    return np.stack(tags)
