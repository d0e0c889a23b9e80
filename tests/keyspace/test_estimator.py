"""The estimate is unbiased, and its interval has the true value in 95 of 100 cases. Many draws prove it."""

import math
import random
import statistics
from collections.abc import Callable

import pytest

from redis_pulse.keyspace.estimator import (
    TAIL,
    DrawSums,
    add_up,
    brought_to_present,
    differ,
    estimate_keys,
    estimate_size,
    follow_drift,
    recent_part,
    tail_squares,
)
from redis_pulse.keyspace.report import Estimate

Sizes = list[int]


def uniform(source: random.Random, count: int) -> Sizes:
    return [source.randint(50, 400) for _ in range(count)]


def skewed(source: random.Random, count: int) -> Sizes:
    return [min(1_000_000, int(100 * source.paretovariate(1.3))) for _ in range(count)]


def few_giants(source: random.Random, count: int) -> Sizes:
    return [*uniform(source, count - 5), *[20_000_000] * 5]


def draw(source: random.Random, sizes: Sizes, certain: set[int], draws: int, pattern: range) -> DrawSums:
    """Draw keys with replacement. Those that are certain do not count."""
    sums = DrawSums()
    for _ in range(draws):
        key = source.randrange(len(sizes))
        if key not in certain:
            sums.all_draws += 1
            if key in pattern:
                sums.hit(1, sizes[key], sizes[key] ** 2)
    return sums


@pytest.mark.parametrize("population", [uniform, skewed, few_giants])
@pytest.mark.parametrize("walked", [0.0, 0.3, 1.0])
def test_mean_of_many_estimates_is_the_true_sum(
    population: Callable[[random.Random, int], Sizes], walked: float
) -> None:
    """Whatever the walk has found: certain keys are added, and the rest is estimated without them."""
    source = random.Random(17)
    sizes = population(source, 1000)
    pattern = range(400, 1000)
    certain = {key for key in range(1000) if sizes[key] >= 1000 and source.random() < walked}
    found = sum(sizes[key] for key in certain if key in pattern)
    truth = sum(sizes[key] for key in pattern)
    estimates, counts = [], []
    for _ in range(600):
        sums = draw(source, sizes, certain, 200, pattern)
        estimates.append(found + estimate_size(sums, 1000 - len(certain), 0.0).value)
        counts.append(len(certain & set(pattern)) + estimate_keys(sums, 1000 - len(certain), 0.0).value)
    for values, true in ((estimates, truth), (counts, len(pattern))):
        standard_error = statistics.stdev(values) / math.sqrt(len(values))
        assert abs(statistics.mean(values) - true) <= 4 * standard_error + 1e-9


@pytest.mark.parametrize(
    ("population", "limit"),
    [(uniform, 10**9), (skewed, 2000), (few_giants, 10_000)],
    ids=["uniform", "skewed", "giants"],
)
def test_interval_has_the_true_sum_in_93_of_100_cases(
    population: Callable[[random.Random, int], Sizes], limit: int
) -> None:
    """After a walk: the keys above the limit are certain, as in the daemon."""
    source = random.Random(18)
    sizes = population(source, 3000)
    pattern = range(1000, 3000)
    certain = {key for key, size in enumerate(sizes) if size >= limit}
    truth = sum(sizes[key] for key in pattern)
    found = sum(sizes[key] for key in certain if key in pattern)
    covered = 0
    for _ in range(400):
        estimate = estimate_size(draw(source, sizes, certain, 400, pattern), 3000 - len(certain), 0.0)
        covered += abs(found + estimate.value - truth) <= estimate.error
    assert covered >= 0.93 * 400


def test_interval_of_a_rare_pattern_is_wide() -> None:
    """One hit in a thousand draws: the pattern may have no more keys, or five times as many."""
    estimate = estimate_size(DrawSums(1000, 1, 100.0, 10_000.0), 100_000, 0.0)
    assert estimate.value == 10_000
    assert estimate.low == 0
    assert estimate.high > 30_000


def test_large_keys_that_the_walk_did_not_reach_widen_the_interval() -> None:
    """Half of the keys were visited and showed keys of 20 MB. The draws hit none of them."""
    sums = DrawSums(1000, 1000, 200_000.0, 44_000_000.0)
    narrow = estimate_size(sums, 100_000, 0.0)
    wide = estimate_size(sums, 100_000, 0.0, unseen_squares=2 * 20_000_000**2)
    assert narrow.value == wide.value
    assert wide.error > 100 * narrow.error
    assert estimate_size(DrawSums(1000), 100_000, 0.0, unseen_squares=20_000_000**2).error > 10_000_000


def test_more_draws_do_not_reduce_the_error_of_uneven_chances() -> None:
    sums = DrawSums(10**9, 5 * 10**8, 5e10, 5e12)
    estimate = estimate_size(sums, 1000, 0.25)
    assert 0.02 < estimate.error / estimate.value < 0.1
    assert estimate_size(sums, 1000, 0.0).error / estimate.value < 0.001


def test_no_rest_and_no_draws_have_no_error() -> None:
    assert estimate_size(DrawSums(), 1000, 0.25) == Estimate(0.0, 0.0)
    assert estimate_size(DrawSums(100, 50, 5000.0, 500_000.0), 0, 0.25) == Estimate(0.0, 0.0)
    assert estimate_keys(DrawSums(), 1000, 0.25) == Estimate(0.0, 0.0)


def test_sum_of_estimates_has_the_error_of_independent_parts() -> None:
    assert add_up([Estimate(1.0, 3.0), Estimate(2.0, 4.0)]) == Estimate(3.0, 5.0)


def test_period_with_other_sizes_is_recognised() -> None:
    small, large = DrawSums(1000, 500, 50_000.0, 5.5e6), DrawSums(1000, 500, 100_000.0, 2.2e7)
    assert differ(small, large)
    assert not differ(small, DrawSums(1000, 510, 51_000.0, 5.6e6))
    assert not differ(small, DrawSums(10, 9, 9_000.0, 9e6))


def test_pattern_that_appears_is_estimated_from_the_time_since() -> None:
    before = [DrawSums(1000) for _ in range(9)]
    since = [DrawSums(1000, 300, 30_000.0, 3.3e6) for _ in range(3)]
    assert recent_part(before + since) == 9
    assert recent_part(since) == 0


def test_drift_is_looked_for_in_halves_of_the_draws() -> None:
    """A period of few draws, as after a split of a pattern, does not widen the interval."""
    estimate = Estimate(500.0, 10.0)
    few, many = DrawSums(40, 30, 30.0, 30.0), DrawSums(2000, 1000, 1000.0, 1000.0)
    assert follow_drift(estimate, [few, many], 1000) == estimate
    assert follow_drift(estimate, [few, DrawSums(2000, 900, 900.0, 900.0), many], 1000).value > 500


def test_steady_pattern_uses_the_whole_window_nearly_always() -> None:
    source = random.Random(4)
    cut = 0
    for _ in range(200):
        periods = []
        for _ in range(12):
            sums = DrawSums(300)
            for _ in range(300):
                if source.random() < 0.2:
                    size = source.randint(50, 400)
                    sums.hit(1, size, size * size)
            periods.append(sums)
        cut += recent_part(periods) > 0
    assert cut <= 8


def periods_of_growth(source: random.Random, pattern: list[int], others: list[int], draws: int) -> list[DrawSums]:
    """Draw from a server while its keys change. Both lists have the number of keys by period, the last one is now."""
    now = pattern[-1] + others[-1]
    periods = []
    for mine, theirs in zip(pattern, others, strict=True):
        keys = mine + theirs
        hits = sum(source.random() < mine / keys for _ in range(draws))
        periods.append(DrawSums(draws, levels=draws * keys / now))
        periods[-1].hit(hits, 100.0 * hits, 10_000.0 * hits, keys / now)
    return periods


GROWING = [50_000 + 20_000 * at for at in range(12)]
STEADY = [500_000] * 12


@pytest.mark.parametrize(
    ("pattern", "others"),
    [(GROWING, STEADY), (STEADY, GROWING), (GROWING[::-1], STEADY), (STEADY, STEADY)],
    ids=["grows", "others grow", "shrinks", "steady"],
)
def test_estimate_follows_a_number_of_keys_that_changes(pattern: list[int], others: list[int]) -> None:
    """The mean is right to a tenth of the error. The interval has the true number in 93 of 100 cases."""
    source = random.Random(21)
    rest, values, errors, covered = pattern[-1] + others[-1], [], [], 0
    for _ in range(300):
        periods, error = brought_to_present(periods_of_growth(source, pattern, others, 200))
        estimate = estimate_keys(sum(periods, DrawSums()), rest, 0.0, error)
        covered += abs(estimate.value - pattern[-1]) <= estimate.error
        values.append(estimate.value)
        errors.append(estimate.error)
    assert covered >= 0.93 * 300
    assert abs(statistics.mean(values) - pattern[-1]) <= 0.1 * statistics.mean(errors)


def test_steady_number_of_keys_leaves_the_draws_as_they_are() -> None:
    periods = periods_of_growth(random.Random(3), STEADY, STEADY, 200)
    assert brought_to_present(periods) == (periods, 0.0)
    assert brought_to_present([DrawSums(100, levels=50.0)] * 3) == ([DrawSums(100, levels=50.0)] * 3, 0.0)


def test_pattern_with_all_keys_grows_as_the_database_does() -> None:
    nothing = [0] * 12
    periods, error = brought_to_present(periods_of_growth(random.Random(3), GROWING, nothing, 200))
    assert estimate_keys(sum(periods, DrawSums()), GROWING[-1], 0.0).value == pytest.approx(GROWING[-1], rel=1e-3)
    assert error < 0.02


def test_tail_of_sizes_matters_only_if_large_keys_are_not_rare_enough() -> None:
    source = random.Random(5)
    heavy = [100 * source.paretovariate(1.1) for _ in range(2000)]
    assert tail_squares(heavy, 100.0) > max(heavy) ** 2
    assert tail_squares([float(size) for size in uniform(source, 2000)], 100.0) == 0.0
    assert tail_squares(heavy[:TAIL], 100.0) == 0.0
    assert tail_squares([5.0] * 100, 100.0) == 0.0


def test_tail_widens_the_interval_of_sizes_that_a_walk_did_not_find() -> None:
    """It has the truth more often than without the tail. That is not yet 93 of 100 cases (docs/keyspace.md)."""
    source = random.Random(6)
    sizes = [100 * source.paretovariate(1.1) for _ in range(100_000)]
    truth, covered = sum(sizes), {False: 0, True: 0}
    for _ in range(100):
        drawn = source.choices(sizes, k=1000)
        sums = DrawSums(1000, 1000, sum(drawn), sum(size**2 for size in drawn))
        for has_tail in covered:
            estimate = estimate_size(sums, 100_000, 0.0, tail_squares(drawn, 100.0) if has_tail else 0.0)
            covered[has_tail] += abs(estimate.value - truth) <= estimate.error
    assert covered[True] >= 80
    assert covered[True] >= covered[False] + 10
