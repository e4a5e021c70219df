"""MIG, DCI, the FactorVAE score and R^2 against cases whose answer is known."""

import math

import numpy as np
import pytest

from jaxgan.data.dataset import Factor
from jaxgan.metrics.codes import dci as dci_file
from jaxgan.metrics.codes.dci import dci
from jaxgan.metrics.codes.factor_r2 import factor_r2
from jaxgan.metrics.codes.factor_vae import factor_vae_score
from jaxgan.metrics.codes.mig import mutual_information, mutual_information_gap
from jaxgan.metrics.codes.variables import columns, discretised, variance

# A category and two numbers, as InfoGAN's codes are to find them.
FACTORS = (
    Factor("digit", values=5),
    Factor("angle", low=-40, high=40),
    Factor("width", low=1, high=4),
)


def draw(n=2_000, seed=0):
    generator = np.random.default_rng(seed)
    table = np.stack([factor.sample(generator, n) for factor in FACTORS], axis=1)
    return read(table)


def read(table):
    """The codes that are the factors themselves."""
    return [table[:, 0].astype(np.int64), table[:, 1], table[:, 2]]


def permuted(codes):
    """The same in another order, their categories renamed and their numbers scaled and turned."""
    digit, angle, width = codes
    return [7 - 2 * width, (digit + 2) % 5, angle / 80]


def noisy(codes, share, seed=1):
    """A share of the examples says nothing."""
    generator = np.random.default_rng(seed)
    away = generator.uniform(size=len(codes[0])) < share
    return [np.where(away, generator.permutation(code), code) for code in codes]


def mixed(codes, degrees):
    """The two numbers, of unit deviation, turned into one another."""
    turn = np.radians(degrees)
    a, b = (code / code.std() for code in codes[1:])
    return [codes[0], np.cos(turn) * a + np.sin(turn) * b, np.cos(turn) * b - np.sin(turn) * a]


def test_numbers_are_binned_evenly_and_categories_are_left():
    assert discretised(np.array([0.0, 0.49, 0.5, 0.99, 1.0]), 2).tolist() == [0, 0, 1, 1, 1]
    # One stray reading among many does not press the others into one bin.
    stray = discretised(np.append(np.linspace(0, 1, 10_000), 1e6), 4)
    assert np.bincount(stray[:-1]).min() > 2_400
    assert stray[-1] == 3
    assert discretised(np.array([7, -1, 7, 3])).tolist() == [2, 0, 2, 1]
    assert discretised(np.full(3, 0.5)).tolist() == [0, 0, 0]
    assert columns(np.array([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert columns(np.array([0.5, 2]), 1).tolist() == [[0.5], [2]]


def test_the_spread_of_a_category_is_that_of_its_columns():
    category = np.array([0, 0, 0, 1, 2])
    assert variance(category) == pytest.approx(columns(category, 3).var(axis=0).sum())
    assert variance(np.array([1.0, 3.0])) == pytest.approx(1)


def test_mutual_information_is_scikit_learns_and_of_itself_the_entropy():
    from sklearn.metrics import mutual_info_score

    one, other = np.random.default_rng(0).integers(0, (4, 6), (300, 2)).T
    other = np.where(other < 3, one, other)
    assert mutual_information(one, other) == pytest.approx(mutual_info_score(one, other))
    even = np.repeat(np.arange(4), 5)
    assert mutual_information(even, even) == pytest.approx(math.log(4))
    assert mutual_information(even, np.zeros(20, int)) == pytest.approx(0, abs=1e-9)


def test_mutual_information_gap_by_hand():
    """Two bits of which the first code holds both, the second one, and the third none."""
    both = np.tile(np.arange(4), 25)
    gap = mutual_information_gap([both, both // 2, np.zeros(100, int)], [both, both // 2])
    np.testing.assert_allclose(gap.shares, [[1, 1], [0.5, 1], [0, 0]], atol=1e-9)
    np.testing.assert_allclose(gap.gaps, [0.5, 0], atol=1e-9)
    assert gap.score == pytest.approx(0.25)
    alone = mutual_information_gap([both // 2], [both])
    assert alone.score == pytest.approx(0.5)


def test_codes_that_are_the_factors_have_a_gap_of_1_and_noise_has_none():
    truth = draw(20_000)
    gap = mutual_information_gap(permuted(truth), truth)
    # Short of 1 by what chance tells of a second code, (bins - 1)^2 / 2N nats of log 20.
    np.testing.assert_allclose(gap.gaps, 1, atol=0.01)
    assert gap.shares.argmax(axis=0).tolist() == [1, 2, 0]
    assert mutual_information_gap(draw(20_000, seed=5), truth).score < 0.01


def forests(monkeypatch, codes_of, truth=None):
    monkeypatch.setattr(dci_file, "TREES", 8)
    a, b = draw(800), draw(800, seed=3)
    return dci(codes_of(a), truth or a, codes_of(b), b)


def test_a_permutation_is_disentangled_complete_and_informative(monkeypatch):
    found = forests(monkeypatch, permuted)
    scores = found.disentanglement, found.completeness, found.informativeness
    np.testing.assert_allclose(scores, 1, atol=0.03)
    assert found.importance.argmax(axis=0).tolist() == [1, 2, 0]


def test_dci_ignores_a_factor_in_no_code_but_for_informativeness(monkeypatch):
    """It costs informativeness, and nothing else: an eighth factor does not entangle the others."""
    found = forests(monkeypatch, lambda codes: codes[:2])
    assert found.disentanglement > 0.95
    assert found.completeness > 0.9
    assert found.predicted[2] < 0.05
    assert found.informativeness == pytest.approx(2 / 3, abs=0.06)


def test_dci_of_a_shared_factor_and_of_a_shared_code(monkeypatch):
    twice = forests(monkeypatch, lambda codes: [*codes, codes[1] / 2])
    # Two of three factors have one code each, and the third has two of four codes: 1 - 1/2.
    assert twice.disentanglement > 0.95
    assert twice.completeness == pytest.approx((1 + 1 + 0.5) / 3, abs=0.08)
    both = forests(monkeypatch, lambda c: [5 * discretised(c[1], 4) + c[0], c[2]])
    # The first code holds two of three factors, and weighs twice as much as the second.
    assert both.completeness > 0.9
    of_first = 1 - math.log(2) / math.log(3)
    assert both.disentanglement == pytest.approx((2 * of_first + 1) / 3, abs=0.08)


def test_dci_by_hand():
    """One code that holds two factors alike, and one that holds the third; each factor in one."""
    importance = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    one = 1 - math.log(2) / math.log(3)
    assert dci_file._concentration(importance) == pytest.approx((one + 1) / 2)
    assert dci_file._concentration(importance.T) == pytest.approx(1)
    assert dci_file._concentration(np.ones((3, 4))) == pytest.approx(0, abs=1e-9)
    assert dci_file._concentration(np.zeros((3, 4))) == pytest.approx(0, abs=1e-9)
    assert dci_file._concentration(np.ones((3, 1))) == pytest.approx(1)


def test_the_factor_vae_score_of_the_factors_is_1_and_of_noise_chance():
    def of_noise(table):
        return draw(len(table), seed=len(table))

    found = factor_vae_score(FACTORS, lambda table: permuted(read(table)), 60)
    assert found == pytest.approx(1)
    # Three deviations of a share of 150 votes.
    assert factor_vae_score(FACTORS, of_noise, 300) == pytest.approx(1 / 3, abs=0.12)
    dead = factor_vae_score(FACTORS, lambda table: [np.zeros(len(table))], 60)
    assert dead == pytest.approx(1 / 3)


def test_factor_vae_of_fewer_codes_than_factors():
    # The third factor's votes go to either code, which the majority gives to its own factor.
    score = factor_vae_score(FACTORS, lambda table: read(table)[:2], 300)
    assert score == pytest.approx(2 / 3, abs=0.01)
    # A code that never changes does not vote, though its variance is the least.
    dead = factor_vae_score(FACTORS, lambda t: [*read(t), np.full(len(t), 0.5)], 60)
    assert dead == pytest.approx(1)


def test_factor_vae_ignores_scale():
    def codes_of(table):
        """With noise of a tenth of the range: none is constant while its factor is fixed."""
        noise = np.random.default_rng(len(table)).uniform(-0.05, 0.05, (len(table), 2))
        angle, width = (table / [80, 3] + noise).T
        return [1e-3 * angle, 1e3 * width]

    assert factor_vae_score(FACTORS[1:], codes_of, 60) == pytest.approx(1)


def test_factor_vae_fixes_one_factor_in_a_batch():
    seen = []

    def codes_of(table):
        seen.append(table)
        return read(table)

    factor_vae_score(FACTORS, codes_of, votes=7, batch=10)
    whole, batches = seen[0], np.concatenate(seen[1:]).reshape(7, 10, 3)
    assert whole.shape == (2_000, 3)
    for i, batch in enumerate(batches):
        assert [len(np.unique(column)) == 1 for column in batch.T] == [i % 3 == k for k in range(3)]


def test_r2_is_scikit_learns_for_numbers_and_for_categories():
    from sklearn.linear_model import LinearRegression

    generator = np.random.default_rng(0)
    factor, which = generator.normal(size=200), generator.integers(0, 4, 200)
    code = 0.7 * factor + which**2 + generator.normal(size=200)
    for given, inputs in ((factor, factor[:, None]), (which, columns(which, 4))):
        fitted = LinearRegression().fit(inputs, code).score(inputs, code)
        assert factor_r2(code, given) == pytest.approx(fitted)
    for constant in (factor_r2(code, np.full(200, 0.5)), factor_r2(np.full(200, 0.5), factor)):
        assert constant == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90])
def test_r2_of_turned_codes_is_the_squared_cosine(degrees):
    truth = draw(20_000)
    _, first, second = mixed(truth, degrees)
    cosine = np.cos(np.radians(degrees)) ** 2
    assert factor_r2(first, truth[1]) == pytest.approx(cosine, abs=0.02)
    assert factor_r2(second, truth[1]) == pytest.approx(1 - cosine, abs=0.02)


def vae(worse):
    return factor_vae_score(FACTORS, lambda table: worse(read(table)), 120)


MEASURES = {
    "mig": lambda _, worse: mutual_information_gap(worse(draw()), draw()).score,
    "disentanglement": lambda patch, worse: forests(patch, worse).disentanglement,
    "completeness": lambda patch, worse: forests(patch, worse).completeness,
    "informativeness": lambda patch, worse: forests(patch, worse).informativeness,
    "factor_vae": lambda _, worse: vae(worse),
    "r2": lambda _, worse: factor_r2(worse(draw())[1], draw()[1]),
}


# Rotated codes hold both factors together, so that informativeness falls little.
WORSE = {
    "noise": (lambda c: noisy(c, 0.5), lambda c: noisy(c, 0.95), set()),
    "mixing": (lambda c: mixed(c, 20), lambda c: mixed(c, 45), {"informativeness", "factor_vae"}),
}


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("way", WORSE)
def test_worse_codes_measure_worse(monkeypatch, name, way):
    *steps, blind = WORSE[way]
    values = [MEASURES[name](monkeypatch, worse) for worse in (lambda c: c, *steps)]
    # MIG, of 2,000 examples, is some .03 short of 1: see the gap of permuted codes.
    assert values[0] > 0.9
    if name not in blind:
        assert values[0] > values[1] + 0.05 > values[2] + 0.1, values


def test_shuffled_factors_score_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    truth = draw(800)
    shuffled = [generator.permutation(factor) for factor in truth]
    assert mutual_information_gap(truth, shuffled).score < 0.08
    assert forests(monkeypatch, lambda c: c, shuffled).informativeness < 0.05
    assert factor_r2(truth[1], shuffled[1]) < 0.02


def test_refuses_shapes_that_do_not_fit():
    number = np.zeros(4)
    for codes, factors in (([], [number]), ([number], [number[:3]]), ([number[:, None]],) * 2):
        with pytest.raises(ValueError, match="codes"):
            mutual_information_gap(codes, factors)
    with pytest.raises(ValueError, match="factor 0 has one value"):
        mutual_information_gap([number], [number])
    with pytest.raises(ValueError, match="factor 0 has one value only in the test set"):
        dci([np.arange(4.0)], [np.arange(4.0)], [np.arange(4.0)], [number])
    with pytest.raises(ValueError, match="both must be"):
        factor_r2(number, number[:3])
    with pytest.raises(ValueError, match="5 votes for 3 factors"):
        factor_vae_score(FACTORS, read, votes=5)
