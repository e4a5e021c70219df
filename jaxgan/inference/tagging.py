"""Tags images: a trained generator samples 100 word vectors for each image, and the tags are the
ten words found most often among the vectors' nearest ones."""

import jax
import numpy as np

from jaxgan.common.rng import stream
from jaxgan.data.tagging.types import WordVectors
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.tag_lists import tags_of_samples, unit
from jaxgan.models.latents import Latent
from jaxgan.models.variables import Variables

SAMPLES = 100
# Images per batch. An image's noise does not depend on the number of images after it.
_BLOCK = 10


def generated_tags(
    functions: NetworkFunctions,
    generator: Variables,
    vocabulary: WordVectors,
    features: np.ndarray,
    seed: int = 0,
) -> np.ndarray:
    """Tags images.

    Args:
      functions: the run's compiled functions.
      generator: the generator's variables.
      vocabulary: the words and their vectors.
      features: the images' features, [M, F].
      seed: seed of the noise.

    Returns:
      Indices of ten words for each image (of all words, if there are fewer), int [M, 10], the most
      frequent first.
    """
    key = stream(jax.random.key(seed), "tags")
    gan, directions = functions.gan, unit(vocabulary.vectors)
    tags = []
    for i, start in enumerate(range(0, len(features), _BLOCK)):
        block = features[start : start + _BLOCK]
        condition = np.zeros((_BLOCK, features.shape[1]), gan.dtype)
        condition[: len(block)] = block
        noise = gan.latent.sample(stream(key, "block", i), _BLOCK * SAMPLES).noise
        latent = Latent(noise, (), np.repeat(condition, SAMPLES, axis=0))
        vectors = functions.sample(generator, latent, stream(key, "block", i))
        for samples in vectors.reshape(_BLOCK, SAMPLES, -1)[: len(block)]:
            tags.append(tags_of_samples(samples, directions))
    return np.stack(tags)
