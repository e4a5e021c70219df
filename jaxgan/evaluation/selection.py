"""Compares the seeds of a run without labels: the information in their codes, how well they agree,
which seed is chosen, and the consensus of all.

Duan et al. 2020 and Lin et al. 2020 choose the medoid (`metrics.codes.seed_agreement`). On the
digits it errs where most seeds share one confusion, and the information in Q's predictions of
training images chooses better (experiments/selection).
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxgan.evaluation.code_metrics import compare_with_labels
from jaxgan.evaluation.context import PredictedCodes, RealCodes
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.codes import information, seed_agreement
from jaxgan.models.latents import Code

AGREEMENT, INFORMATION = "seed_agreement", "seed_information"
_INFORMATION = "I = H(E q) - E H(q) of Q's predictions, summed over the codes; no label is used"
_CATEGORICAL = (
    "mean NMI of Q's most likely codes with those of each other seed among {seeds}, on the same"
    " images; no label is used"
)
_CONTINUOUS = (
    "mean similarity (UDR, absolute Spearman correlations) of the means that Q predicts with those"
    " of each other seed among {seeds}, on the same images; no label is used"
)
_CONSENSUS = (
    "mean prediction of seeds {seeds}, code values aligned with seed {seed} (Hungarian) on training"
    " images"
)


class SeedCodes(NamedTuple):
    """What one seed's networks predict for real images; `about` has their `seed`, `step` and
    `checkpoint`."""

    about: dict[str, Any]
    codes: RealCodes


def compare_seeds(codes: Sequence[Code], seeds: Sequence[SeedCodes]) -> list[MetricResult]:
    """Rows of `seed_information` and `seed_agreement` for each seed, and one of
    `consensus_code_accuracy`, of the last and of the best networks; [] for fewer than two seeds, or
    without codes. The information needs a categorical code; the consensus exactly one, and labels.

    Args:
      codes: the codes of the run.
      seeds: what the last and the best networks of each seed predict.
    """
    rows: list[MetricResult] = []
    for checkpoint in ("last", "best"):
        compared = [one for one in seeds if one.about["checkpoint"] == checkpoint]
        if len(compared) < 2 or not codes:
            continue
        agreement = _agreement(codes, compared)
        rows += _information(codes, compared) + agreement
        medoid = int(np.argmax([row.value for row in agreement]))
        rows += _consensus(codes, compared, medoid)
    return rows


def choose_seed(
    rows: Sequence[MetricResult], scores: Mapping[int, float], best_by: str
) -> dict[str, Any] | None:
    """The seed that commands take where none is named, and by which metric it was chosen.

    With categorical codes it is the seed with the most information in its predictions of training
    images; with continuous codes alone, of three seeds or more, the one whose codes agree best with
    the others'; else the one with the best score on the validation split.

    Args:
      rows: the run's rows, with those of `compare_seeds`.
      scores: the score of each seed's best networks by the metric `best_by`.
      best_by: that metric.

    Returns:
      {"seed": int, "by": str}; None for a single seed, or if there is nothing to choose by.
    """
    # Two seeds agree with each other equally.
    for name, least in ((INFORMATION, 2), (AGREEMENT, 3)):
        for checkpoint in ("best", "last"):
            found = [row for row in rows if (row.name, row.checkpoint) == (name, checkpoint)]
            if len(found) >= least:
                return {"seed": max(found, key=lambda row: row.value).seed, "by": name}
    if len(scores) < 2:
        return None
    return {"seed": max(scores, key=lambda seed: scores[seed]), "by": best_by}


def _information(codes: Sequence[Code], seeds: Sequence[SeedCodes]) -> list[MetricResult]:
    from scipy.special import softmax

    categorical = _categorical(codes)
    if not categorical:
        return []
    rows = []
    for one in seeds:
        train = one.codes.train
        predictions = [softmax(train.logits(i), axis=-1) for i in categorical]
        value = sum(information.information_read(predicted) for predicted in predictions)
        rows.append(
            MetricResult(
                INFORMATION, value, "nats", train.name, protocol=_INFORMATION, n_real=train.size,
                reference=sum(codes[i].entropy for i in categorical), **one.about,
            )
        )  # fmt: skip
    return rows


def _agreement(codes: Sequence[Code], seeds: Sequence[SeedCodes]) -> list[MetricResult]:
    categorical = _categorical(codes)
    unseen = [one.codes.validation for one in seeds]
    similarity = np.zeros((len(seeds), len(seeds)))
    for i, j in itertools.combinations(range(len(seeds)), 2):
        similarity[i, j] = similarity[j, i] = _similarity(codes, unseen[i], unseen[j])
    protocol = (_CATEGORICAL if categorical else _CONTINUOUS).format(seeds=_seeds(seeds))
    return [
        MetricResult(
            AGREEMENT, float(value), "1", unseen[0].name, protocol=protocol,
            n_real=unseen[0].size, **one.about,
        )
        for one, value in zip(seeds, seed_agreement.agreement(similarity), strict=True)
    ]  # fmt: skip


def _similarity(codes: Sequence[Code], one: PredictedCodes, other: PredictedCodes) -> float:
    """That of the categorical codes if there are any, else of the continuous codes."""
    categorical = _categorical(codes)
    if not categorical:
        every = range(len(codes))
        return seed_agreement.continuous_similarity(one.means(every), other.means(every))
    return seed_agreement.categorical_similarity(
        *([read.logits(i).argmax(-1) for i in categorical] for read in (one, other))
    )


def _consensus(
    codes: Sequence[Code], seeds: Sequence[SeedCodes], medoid: int
) -> list[MetricResult]:
    """The row of the codes of all seeds, named as the medoid names them; [] without labels, or
    unless the run has exactly one categorical code."""
    from scipy.special import softmax

    categorical = _categorical(codes)
    train, _, test = seeds[medoid].codes
    labels, test_labels = train.labels, test.labels
    if len(categorical) != 1 or labels is None or test_labels is None:
        return []
    [index] = categorical
    values = codes[index].values
    target = train.logits(index).argmax(-1)
    renamed = [
        seed_agreement.align(one.codes.train.logits(index).argmax(-1), target, values)
        for one in seeds
    ]
    read, test_read = (
        seed_agreement.consensus(
            [softmax(getattr(one.codes, split).logits(index), axis=-1) for one in seeds], renamed
        ).argmax(-1)
        for split in ("train", "test")
    )
    name, value, unit, fitted = next(
        measure
        for measure in compare_with_labels(read, labels, test_read, test_labels, values)
        if measure[0] == "code_accuracy"
    )
    about = seeds[medoid].about
    protocol = _CONSENSUS.format(seeds=_seeds(seeds), seed=about["seed"]) + fitted
    return [
        MetricResult(
            f"consensus_{name}", value, unit, test.name, protocol=protocol,
            n_real=len(test_labels), code=index, **about,
        )
    ]  # fmt: skip


def _categorical(codes: Sequence[Code]) -> list[int]:
    return [i for i, code in enumerate(codes) if code.categorical]


def _seeds(seeds: Sequence[SeedCodes]) -> str:
    return ", ".join(str(one.about["seed"]) for one in seeds)
