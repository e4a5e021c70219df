"""What the codes that Q reads off real images say of the factors that these were drawn from."""

from typing import Any

import numpy as np

from jaxgan.data.dataset import Dataset, Factor, Split
from jaxgan.evaluation.results import Measure
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.metrics.codes.dci import LEAF, TREES, dci
from jaxgan.metrics.codes.factor_r2 import factor_r2
from jaxgan.metrics.codes.factor_vae import BATCH, VOTES, factor_vae_score
from jaxgan.metrics.codes.mig import mutual_information_gap
from jaxgan.metrics.codes.variables import BINS
from jaxgan.models.infogan import CategoricalParameters, CodeParameters
from jaxgan.models.variables import Networks

PROTOCOL = (
    "the mean, or likeliest value, that Q reads of each code off real images; BatchNorm's"
    " statistics of D and Q re-estimated on {n} training images"
)


def factor_measures(
    instruments: NetworkFunctions,
    networks: Networks,
    dataset: Dataset,
    about: dict[str, Any],
    limit: int,
) -> list[Measure]:
    """MIG, DCI, the FactorVAE score, and R^2 of each continuous code and each factor that varies;
    [] for a dataset whose factors are not known, or a run without Q.

    Where a measure speaks of one factor, its name ends in it: `mig_rotation`. The FactorVAE score
    wants a dataset that can draw (with some classes only it cannot).

    Args:
      limit: at most so many images of the training and of the test split (or of the one before it,
        where there is none); the FactorVAE score draws at most four times as many.
    """
    if networks.q is None or not dataset.factors:
        return []
    train = dataset.train.first(limit)
    judged, unseen = dataset.split("test")
    test = unseen.first(limit)
    still = instruments.recalibrate_batch_norm(networks.discriminator, networks.q, train.images)

    def codes_of(images: np.ndarray) -> list[np.ndarray]:
        return [_code(parameters) for parameters in instruments.predict_codes(*still, images)]

    factors, (fitted_to, truth) = _varied(dataset.factors, train, test)
    codes = codes_of(test.images)
    protocol = PROTOCOL.format(n=len(train))
    read = {"split": judged, "n_real": len(test), **about}
    names = [factor.name for factor in factors]

    gap = mutual_information_gap(codes, truth)
    how = f"{protocol}; numbers in {BINS} bins"
    measures = [Measure("mig", gap.score, "1", protocol=f"{how}; the mean over factors", **read)]
    measures += [
        Measure(f"mig_{name}", float(value), "1", protocol=how, **read)
        for name, value in zip(names, gap.gaps, strict=True)
    ]

    fitted = dci(codes_of(train.images), fitted_to, codes, truth)
    how = (
        f"{protocol}; random forests of {TREES} trees, {LEAF} examples a leaf, fitted on these;"
        " counts weighed by what is predicted"
    )
    measures += [
        Measure("dci_disentanglement", fitted.disentanglement, "1", protocol=how, **read),
        Measure("dci_completeness", fitted.completeness, "1", protocol=how, **read),
        Measure("dci_informativeness", fitted.informativeness, "1", protocol=how, **read),
    ]
    measures += [
        Measure(f"dci_informativeness_{name}", float(value), "1", protocol=how, **read)
        for name, value in zip(names, fitted.predicted, strict=True)
    ]

    votes = min(VOTES, 4 * limit // BATCH)
    draw = dataset.draw
    if draw is not None and votes >= 2 * len(names):
        measures.append(
            Measure(
                "factor_vae_score",
                factor_vae_score(dataset.factors, lambda table: codes_of(draw(table)), votes),
                "share",
                "drawn anew",
                n_real=votes * BATCH,
                reference=1 / len(names),
                protocol=f"{protocol}; {votes} votes of {BATCH} images, half of them to fit; beside"
                " it chance",
                **about,
            )
        )

    how = f"{protocol}; a straight line, or the means of a category"
    measures += [
        Measure(f"factor_r2_{name}", factor_r2(code, factor), "1", code=i, protocol=how, **read)
        for i, code in enumerate(codes)
        if not instruments.gan.latent.codes[i].categorical
        for name, factor in zip(names, truth, strict=True)
    ]
    return measures


def _varied(
    factors: tuple[Factor, ...], *splits: Split
) -> tuple[list[Factor], list[list[np.ndarray]]]:
    """The factors that have more than one value in every split (of one class the class has not),
    and their values in each split."""
    columns = [factors_of(split, factors) for split in splits]
    varied = [
        i for i in range(len(factors)) if all(np.ptp(of_split[i]) > 0 for of_split in columns)
    ]
    return [factors[i] for i in varied], [[c[i] for i in varied] for c in columns]


def factors_of(split: Split, factors: tuple[Factor, ...]) -> list[np.ndarray]:
    """The factors of a split's images, an array for each: int64 [N] of a category, else float64."""
    assert split.factors is not None
    return [
        column.astype(np.int64) if factor.categorical else column
        for factor, column in zip(factors, split.factors.T, strict=True)
    ]


def _code(parameters: CodeParameters) -> np.ndarray:
    """int64 [N] of a categorical code, else float [N]."""
    if isinstance(parameters, CategoricalParameters):
        return np.asarray(parameters.logits).argmax(axis=-1)
    return np.asarray(parameters.mean)[:, 0]
