"""InfoGAN (Chen et al. 2016): codes in the generator's input that its images reveal.

    python -m jaxgan.main --config=configs/infogan.py[:ARG]

Without ARG: the embedded digits, one code of ten values, the paper's networks at a quarter of their
width, Q on transformed images; four seeds, 1,500 updates, four to five minutes on two cores.
The code then agrees with the digit on .856 of the test images (mean of 16 seeds that no choice of
settings used, .760 to .932).

Words of ARG: a dataset (`digits`, `glyphs`, `mnist`, `fashion_mnist`), the source of networks and
training (`document`, `paper`, or `authors`: the paper's, where its code differs), and `continuous`
for one categorical and two continuous codes.

    mnist            the default's networks, 5,000 updates of 256, 18 minutes on one core: .971
                     (mean of four seeds, .965 to .975)
    mnist,document   93,700 updates of 64; the first 4,000 take half an hour on two cores: .40
    mnist,paper      5,000 updates of 128, an hour on one core: .963, .774 and .744
                     (seeds 0 to 2 on an H100; on one core .759 and .898)
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgan.config import apply_argument, base, update

# With a learned deviation, a continuous code's log-likelihood has no ceiling, and its gradient
# swamps the categorical code's (digits, 750 updates: code accuracy .38 with lambda 1, .80 with
# 0.1).
CONTINUOUS = {"latent.codes": "categorical:10+uniform:2", "lambda_continuous": 0.1}
# Q reads generated images after a small random affine transformation, which neither source does.
# Code accuracy on the digits after 1,000 updates, mean of eight seeds ± 95 % interval: .897 ± .028;
# with half of these strengths .861 ± .020, with one and a half times .859 ± .032, with twice .842 ±
# .032, without .799 ± .035. Averaged weights of D and Q (q.ema_decay=0.99) change none of them by
# more than .011.
MOVED = {"q.rotation": 0.25, "q.shift": 0.07, "q.scale": 0.1}
# With continuous codes, Q would have to ignore the angle, position or size that they should mean.
AS_IN_THE_SOURCES = dict.fromkeys(MOVED, 0.0)
DOCUMENT = AS_IN_THE_SOURCES | {
    "networks": "document",
    "information": "document",
    "latent.noise_prior": "normal",
    "batch_size": 64,
    "latent.codes": "categorical:10",
    "discriminator_batch_size": 32,
    "discriminator_batches": "real_fake",
    "fresh_noise": True,
    "dataset.replacement": True,
    "lambda_continuous": 1.0,
    "discriminator.learning_rate": 2e-4,
    "generator.learning_rate": 2e-4,
    "discriminator.epsilon": 1e-7,
    "generator.epsilon": 1e-7,
    "width": 1.0,
    "steps": 93_700,
    "eval_every": 500,
    "seeds": 1,
}
PAPER = AS_IN_THE_SOURCES | {
    "networks": "paper",
    "information": "paper",
    "latent.noise_prior": "uniform",
    **CONTINUOUS,
    "batch_size": 128,
    "discriminator_batch_size": 0,
    "discriminator_batches": "together",
    "fresh_noise": False,
    "dataset.replacement": False,
    "discriminator.learning_rate": 2e-4,
    "generator.learning_rate": 1e-3,
    "width": 1.0,
    "steps": 5_000,
    "eval_every": 500,
    "seeds": 1,
}
# Where the authors' code differs from the paper: leak .01, BatchNorm's gamma from N(1, .02),
# truncated normal weights in D's convolutions, and fresh noise for the generator's update.
AUTHORS = PAPER | {"networks": "authors", "fresh_noise": True}
# Code accuracy of the default's small networks on MNIST after 5,000 updates, before Q read
# transformed images, seeds 0 and 1: .835 and .772 in batches of 64, .846 and .864 in batches of
# 128; .882 in batches of 256 (seed 0).
LARGE = {"batch_size": 256, "steps": 5_000, "eval_every": 500, "seeds": 1}
DATASETS = ("digits", "glyphs", "mnist", "fashion_mnist")
WORDS: dict[str, dict[str, Any]] = {
    "digits": {"dataset.name": "digits"},
    "glyphs": LARGE | {"dataset.name": "glyphs"},
    "mnist": LARGE | {"dataset.name": "mnist"},
    "fashion_mnist": LARGE | {"dataset.name": "fashion_mnist"},
    "document": DOCUMENT,
    "paper": PAPER,
    "authors": AUTHORS,
    "continuous": CONTINUOUS | AS_IN_THE_SOURCES,
}

# For the digits on two cores: the paper's training at a quarter of its width. Adam moves each
# weight by about the learning rate whatever the layer's size, so a layer with a quarter of the
# inputs changes its output a quarter as much: after 1,000 updates the code accuracy is .39 with the
# paper's rates, .80 with four times those (three and four seeds, before Q read transformed images).
DEFAULT = (
    PAPER
    | MOVED
    | {
        "latent.codes": "categorical:10",
        "lambda_continuous": 0.1,
        "width": 0.25,
        "batch_size": 64,
        "discriminator.learning_rate": 8e-4,
        "generator.learning_rate": 4e-3,
        "steps": 1_500,
        "eval_every": 250,
        "seeds": 4,
    }
)


def get_config(arg: str = "") -> ConfigDict:
    return apply_argument(
        update(base(), DEFAULT), arg, WORDS, exclusive=(DATASETS, ("document", "paper", "authors"))
    )
