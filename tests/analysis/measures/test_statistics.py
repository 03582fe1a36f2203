"""Statistics compared with scipy, closed forms and brute force."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from ffprobe.analysis.measures.statistics import (
    Estimate,
    holm,
    mean_bootstrap,
    mean_interval,
    paired_bootstrap,
    paired_difference,
    welch_difference,
)

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_mean_interval_is_scipys(n: int, confidence: float) -> None:
    x = RANDOM.normal(70, 3, n)
    found = mean_interval(x, confidence)
    low, high = stats.t.interval(confidence, n - 1, loc=x.mean(), scale=stats.sem(x))
    assert (found.n, found.mean, found.sd) == (n, pytest.approx(x.mean()), pytest.approx(np.std(x, ddof=1)))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.why == ""


def test_two_values_have_the_interval_of_a_cauchy() -> None:
    # with one degree of freedom t is Cauchy: its 97.5 % quantile is tan(0.475 pi), and the standard error half the gap
    found = mean_interval([1.0, 3.0])
    assert found.high - found.mean == pytest.approx(math.tan(0.475 * math.pi))


def test_one_value_has_no_spread() -> None:
    found = mean_interval([97.5])
    assert (found.n, found.mean, found.why) == (1, 97.5, "one value has no spread")
    assert all(math.isnan(v) for v in (found.sd, found.low, found.high, found.p))


def test_equal_values_have_a_reason() -> None:
    found = mean_interval([0.1 + 0.2, 0.3, 0.3])  # the same but for rounding
    assert (found.sd, found.low, found.high) == (0, found.mean, found.mean)
    assert found.why == "all values are the same"
    assert mean_interval([1e-9, 2e-9]).why == ""  # small is not the same


@pytest.mark.parametrize("values", [[], [1, math.nan], [math.inf], [[1, 2]]])
def test_nonfinite_or_missing_values_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        mean_interval(values)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_level_is_between_0_and_1(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean_interval([1, 2], confidence)


@pytest.mark.parametrize("n", [2, 5, 12])
def test_paired_difference_is_scipys(n: int) -> None:
    a = RANDOM.normal(70, 5, n)
    b = a + RANDOM.normal(1, 0.5, n)
    found = paired_difference(a, b)
    test = stats.ttest_rel(b, a)
    interval = test.confidence_interval(0.95)
    assert found.mean == pytest.approx((b - a).mean())
    assert (found.p, found.low, found.high) == (
        pytest.approx(test.pvalue),
        pytest.approx(interval.low),
        pytest.approx(interval.high),
    )
    if n >= 6:
        assert found.rank_p == pytest.approx(stats.wilcoxon(b, a).pvalue)
    else:
        assert math.isnan(found.rank_p)


def test_wilcoxon_of_six_gains_is_two_in_sixty_four() -> None:
    assert paired_difference([0] * 6, [1, 2, 3, 4, 5, 6]).rank_p == pytest.approx(2 / 2**6)


def test_wilcoxon_with_ties_counts_signs_by_brute_force() -> None:
    d = np.array([1, 1, 2, 2, 3, -1, 0.0])
    found = paired_difference(np.zeros(7), d)
    ranks = stats.rankdata(abs(d[d != 0]))
    observed = ranks[d[d != 0] > 0].sum()
    sums = [sum(r for r, s in zip(ranks, signs, strict=True) if s) for signs in itertools.product((0, 1), repeat=6)]
    exact = 2 * min(np.mean([s >= observed for s in sums]), np.mean([s <= observed for s in sums]))
    # scipy's large-sample answer to ties: near the exact one, and never NaN
    assert found.rank_p == pytest.approx(exact, abs=0.06)


def test_pairs_that_cannot_be_tested_have_a_reason() -> None:
    one = paired_difference([1], [3])
    assert (one.mean, one.why) == (2, "one pair has no spread")
    # 0.9 - 0.8 and 0.4 - 0.3 differ in the last bit only
    same = paired_difference([0.8, 0.3], [0.9, 0.4])
    assert same.why == "all pairs differ by the same amount"
    assert (same.sd, math.isnan(same.p)) == (0, True)
    assert same.low == same.high == pytest.approx(0.1)
    one_image = np.float32([40 / 360, 101 / 360, 345 / 360])  # float32, as run files keep it
    assert paired_difference(one_image, np.float32([41 / 360, 102 / 360, 346 / 360])).why == same.why
    assert paired_difference(one_image, np.float32([41 / 360, 102 / 360, 345 / 360])).why == ""
    none = paired_difference([1, 2, 3], [1, 2, 3])
    assert (none.mean, none.sd, math.isnan(none.p)) == (0, 0, True)


def test_pairs_need_equal_lengths() -> None:
    with pytest.raises(ValueError, match="3 values cannot be paired with 2"):
        paired_difference([1, 2, 3], [1, 2])


def test_welch_is_scipys_from_means_and_spreads() -> None:
    a, b = RANDOM.normal(75, 0.6, 3), RANDOM.normal(74, 2, 5)
    found = welch_difference(mean_interval(a), mean_interval(b))
    test = stats.ttest_ind(b, a, equal_var=False)
    interval = test.confidence_interval(0.95)
    assert (found.mean, found.p) == (pytest.approx(b.mean() - a.mean()), pytest.approx(test.pvalue))
    assert (found.low, found.high) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_welch_without_spread_has_a_reason() -> None:
    assert welch_difference(Estimate(3, 1, 0.5), Estimate(1, 2)).why == "one value has no spread"
    assert welch_difference(Estimate(3, 1, 0.0), Estimate(3, 2, 0.0)).why == "neither side has a spread"
    assert math.isfinite(welch_difference(Estimate(3, 1, 0.0), Estimate(3, 2, 0.1)).p)


def test_holm_by_hand() -> None:
    # 4 * 0.01, 3 * 0.02, 2 * 0.03, then 0.05 may not fall below the one before
    assert holm([0.05, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_holm_omits_nan() -> None:
    found = holm([math.nan, 0.01, math.nan, 0.04])
    assert found[1::2] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[0])
    assert math.isnan(found[2])


def test_holm_rejects_the_hypotheses_of_the_step_down_procedure() -> None:
    for _ in range(200):
        p = RANDOM.random(6) ** 3
        for level in (0.05, 0.2):
            rejected = set()
            for rank, i in enumerate(np.argsort(p)):  # the procedure as Holm describes it
                if p[i] > level / (len(p) - rank):
                    break
                rejected.add(i)
            assert {i for i, q in enumerate(holm(list(p))) if q <= level} == rejected


def test_holm_refuses_invalid_p_values() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.1, 1.2])


def test_bootstrap_over_images_equals_one_that_draws_indices() -> None:
    a = RANDOM.random(400) < 0.7
    b = np.where(RANDOM.random(400) < 0.2, RANDOM.random(400) < 0.9, a)
    found = paired_bootstrap(a, b, resamples=20_000)
    d = b.astype(float) - a
    draws = d[RANDOM.integers(0, 400, (4000, 400))].mean(axis=1)
    assert found.mean == pytest.approx(d.mean())
    assert (found.low, found.high) == (
        pytest.approx(np.quantile(draws, 0.025), abs=0.004),
        pytest.approx(np.quantile(draws, 0.975), abs=0.004),
    )
    assert found.sd == pytest.approx(np.std(d, ddof=1))
    assert paired_bootstrap(a, b) == paired_bootstrap(a, b)


def test_bootstraps_p_is_mcnemars() -> None:
    a, b = [1] * 2 + [0] * 8 + [1] * 10, [0] * 2 + [1] * 8 + [1] * 10
    # 8 gained, 2 lost: 2 * P(Binomial(10, 1/2) >= 8) = 2 * (45 + 10 + 1) / 1024
    assert paired_bootstrap(a, b).p == pytest.approx(112 / 1024)


def test_bootstrap_of_equal_predictions_has_a_reason() -> None:
    found = paired_bootstrap([1, 0, 1], [1, 0, 1])
    assert (found.mean, found.sd, found.why) == (0, 0, "the two are right on the same images")
    assert paired_bootstrap([0, 0], [1, 1]).why == "the two never agree"
    assert paired_bootstrap([0], [1]).why == "one image has no spread"


@pytest.mark.parametrize(("a", "b"), [([0.5, 1], [1, 1]), ([1], [1, 0])])
def test_bootstrap_refuses_invalid_pairs(a: list[float], b: list[float]) -> None:
    with pytest.raises(ValueError, match=r"right|paired"):
        paired_bootstrap(a, b)


def test_the_bootstrap_of_a_mean_covers_it_as_a_t_interval_does() -> None:
    x = np.random.default_rng(1).normal(3.0, 2.0, size=400)
    found, expected = mean_bootstrap(x, resamples=4000), mean_interval(x)
    assert (found.n, found.mean, found.sd) == pytest.approx((400, expected.mean, expected.sd))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)
    assert found == mean_bootstrap(x, resamples=4000)
    assert found != mean_bootstrap(x, resamples=4000, seed=1)


def test_the_bootstrap_of_two_values_has_three_possible_means() -> None:
    found = mean_bootstrap([0.0, 1.0], confidence=0.4)
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)  # a half of the resamples
    assert (mean_bootstrap([0.0, 1.0]).low, mean_bootstrap([0.0, 1.0]).high) == (0.0, 1.0)
    assert mean_bootstrap([2.0, 2.0]).why == "all values are the same"
    assert mean_bootstrap([2.0]).why == "one value has no spread"
    with pytest.raises(ValueError, match="finite"):
        mean_bootstrap([1.0, np.nan])
