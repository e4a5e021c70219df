"""Rows of metrics of an InfoGAN's codes on images whose generating factors are known."""

from typing import Any

import numpy as np

from jaxgan.data.dataset import Factor, Split
from jaxgan.evaluation.context import GeneratedSamples
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.codes.dci import LEAF, TREES, dci
from jaxgan.metrics.codes.factor_r2 import factor_r2
from jaxgan.metrics.codes.factor_vae import BATCH, VOTES, factor_vae_score
from jaxgan.metrics.codes.mig import mutual_information_gap
from jaxgan.metrics.codes.variables import BINS
from jaxgan.models.infogan import CategoricalParameters, CodeParameters

_PROTOCOL = (
    "the mean, or likeliest value, that Q predicts for each code of real images; BatchNorm's"
    " statistics of D and Q re-estimated on {n} training images"
)


def codes_against_factors(samples: GeneratedSamples) -> list[MetricResult]:
    """MIG, DCI, the FactorVAE score, and R^2 of each continuous code and each factor that varies.

    A row of one factor has its name as the ending: `mig_rotation`. At most `limit` images of the
    training and of the test split are used. The FactorVAE score draws at most four times as many,
    and is left out where the dataset cannot draw (with some of its classes only).
    """
    context, networks, dataset = samples.context, samples.networks, samples.context.dataset
    train = dataset.train.first(context.limit)
    tested, unseen = dataset.split("test")
    test = unseen.first(context.limit)
    assert networks.q is not None
    recalibrated = context.functions.recalibrate_batch_norm(
        networks.discriminator, networks.q, train.images
    )

    def codes_of(images: np.ndarray) -> list[np.ndarray]:
        return [_value(code) for code in context.functions.predict_codes(*recalibrated, images)]

    factors, (fitted_to, truth) = _varied(dataset.factors, train, test)
    names = [factor.name for factor in factors]
    codes = codes_of(test.images)
    protocol = _PROTOCOL.format(n=len(train))
    shared = {"split": tested, "n_real": len(test), **samples.about}
    rows = _mig(codes, truth, names, protocol, shared)
    rows += _dci(codes_of(train.images), fitted_to, codes, truth, names, protocol, shared)
    votes = min(VOTES, 4 * context.limit // BATCH)
    draw = dataset.draw
    if draw is not None and votes >= 2 * len(names):
        score = factor_vae_score(dataset.factors, lambda table: codes_of(draw(table)), votes)
        how = f"{votes} votes of {BATCH} images, half of them to fit; reference: chance"
        drawn: dict[str, Any] = {
            "split": "drawn anew",
            "n_real": votes * BATCH,
            "reference": 1 / len(names),
        }
        rows.append(
            MetricResult(
                "factor_vae_score",
                score,
                "share",
                protocol=f"{protocol}; {how}",
                **drawn,
                **samples.about,
            )
        )
    how = f"{protocol}; a straight line, or the means of a category"
    rows += [
        MetricResult(
            f"factor_r2_{name}", factor_r2(code, factor), "1", code=i, protocol=how, **shared
        )
        for i, code in enumerate(codes)
        if not context.gan.latent.codes[i].categorical
        for name, factor in zip(names, truth, strict=True)
    ]
    return rows


def _mig(
    codes: list[np.ndarray],
    factors: list[np.ndarray],
    names: list[str],
    protocol: str,
    shared: dict[str, Any],
) -> list[MetricResult]:
    gap = mutual_information_gap(codes, factors)
    how = f"{protocol}; numbers in {BINS} bins"
    return [
        MetricResult("mig", gap.score, "1", protocol=f"{how}; the mean over factors", **shared),
        *(
            MetricResult(f"mig_{name}", float(value), "1", protocol=how, **shared)
            for name, value in zip(names, gap.gaps, strict=True)
        ),
    ]


def _dci(
    train_codes: list[np.ndarray],
    train_factors: list[np.ndarray],
    codes: list[np.ndarray],
    factors: list[np.ndarray],
    names: list[str],
    protocol: str,
    shared: dict[str, Any],
) -> list[MetricResult]:
    found = dci(train_codes, train_factors, codes, factors)
    how = (
        f"{protocol}; random forests of {TREES} trees, {LEAF} examples a leaf, fitted on these;"
        " counts weighed by what is predicted"
    )
    values = {
        "dci_disentanglement": found.disentanglement,
        "dci_completeness": found.completeness,
        "dci_informativeness": found.informativeness,
    }
    for name, value in zip(names, found.predicted, strict=True):
        values[f"dci_informativeness_{name}"] = float(value)
    return [
        MetricResult(name, value, "1", protocol=how, **shared) for name, value in values.items()
    ]


def _varied(
    factors: tuple[Factor, ...], *splits: Split
) -> tuple[list[Factor], list[list[np.ndarray]]]:
    """The factors that have more than one value in every split, and their values in each split. (Of
    one class, the class itself does not vary.)"""
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


def _value(parameters: CodeParameters) -> np.ndarray:
    """int64 [N] of a categorical code, else float [N]."""
    if isinstance(parameters, CategoricalParameters):
        return np.asarray(parameters.logits).argmax(axis=-1)
    return np.asarray(parameters.mean)[:, 0]
