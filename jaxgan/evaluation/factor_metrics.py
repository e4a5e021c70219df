"""Rows of metrics of an InfoGAN's codes on images whose generating factors are known."""

from collections.abc import Iterable
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
_MIG = f"; numbers in {BINS} bins"
_DCI = (
    f"; random forests of {TREES} trees, {LEAF} examples a leaf, fitted on these; counts weighed by"
    " what is predicted"
)


def codes_against_factors(samples: GeneratedSamples) -> list[MetricResult]:
    """MIG, DCI, the FactorVAE score, and R^2 of each continuous code and each factor that varies.

    The row of a single factor ends with the factor's name: `mig_rotation`. At most `limit` images
    of the training and of the test split are used. The FactorVAE score draws at most four times as
    many, and is left out if the dataset cannot draw (when only some of its classes are used).
    """
    context, dataset = samples.context, samples.context.dataset
    train = dataset.train.first(context.limit)
    test_name, test = dataset.split("test")
    test = test.first(context.limit)
    predict = samples.code_predictor(train.images)

    def codes_of(images: np.ndarray) -> list[np.ndarray]:
        return [_value(code) for code in predict(images)]

    factors, (train_factors, test_factors) = _varying(dataset.factors, train, test)
    names = [factor.name for factor in factors]
    codes = codes_of(test.images)
    protocol = _PROTOCOL.format(n=len(train))

    def row(name: str, value: float, how: str, **fields: Any) -> MetricResult:
        how = protocol + how
        return samples.row(name, value, "1", test_name, how, n_real=len(test), **fields)

    gap = mutual_information_gap(codes, test_factors)
    rows = [row("mig", gap.score, f"{_MIG}; the mean over factors")]
    rows += [row(name, value, _MIG) for name, value in _by_factor("mig", names, gap.gaps)]
    found = dci(codes_of(train.images), train_factors, codes, test_factors)
    for name in ("disentanglement", "completeness", "informativeness"):
        rows.append(row(f"dci_{name}", getattr(found, name), _DCI))
    predicted = _by_factor("dci_informativeness", names, found.predicted)
    rows += [row(name, value, _DCI) for name, value in predicted]
    votes, draw = min(VOTES, 4 * context.limit // BATCH), dataset.draw
    if draw is not None and votes >= 2 * len(names):
        score = factor_vae_score(dataset.factors, lambda table: codes_of(draw(table)), votes)
        how = f"; {votes} votes of {BATCH} images, half of them to fit; reference: chance"
        fields: dict[str, Any] = {"n_real": votes * BATCH, "reference": 1 / len(names)}
        rows.append(
            samples.row("factor_vae_score", score, "share", "drawn anew", protocol + how, **fields)
        )
    how = "; a straight line, or the means of a category"
    for i, code in enumerate(codes):
        if not samples.gan.latent.codes[i].categorical:
            r2 = (factor_r2(code, factor) for factor in test_factors)
            rows += [row(*one, how, code=i) for one in _by_factor("factor_r2", names, r2)]
    return rows


def _by_factor(metric: str, names: list[str], values: Iterable[float]) -> list[tuple[str, float]]:
    """The name of each factor's row, and its value."""
    pairs = zip(names, values, strict=True)
    return [(f"{metric}_{name}", float(value)) for name, value in pairs]


def _varying(
    factors: tuple[Factor, ...], *splits: Split
) -> tuple[list[Factor], list[list[np.ndarray]]]:
    """The factors that have more than one value in every split, and their values in each split. (In
    a run with a single class, the class does not vary.)"""
    columns = [factors_of(split, factors) for split in splits]
    varying = [i for i in range(len(factors)) if all(np.ptp(c[i]) > 0 for c in columns)]
    return [factors[i] for i in varying], [[c[i] for i in varying] for c in columns]


def factors_of(split: Split, factors: tuple[Factor, ...]) -> list[np.ndarray]:
    """Each factor of a split's images: int64 [N] of a categorical factor, else float64 [N]."""
    assert split.factors is not None
    return [
        column.astype(np.int64) if factor.categorical else column
        for factor, column in zip(factors, split.factors.T, strict=True)
    ]


def _value(parameters: CodeParameters) -> np.ndarray:
    """The likeliest value of a categorical code, int64 [N], or the mean of a continuous one."""
    if isinstance(parameters, CategoricalParameters):
        return np.asarray(parameters.logits).argmax(axis=-1)
    return np.asarray(parameters.mean)[:, 0]
