"""Estimate a sum over all keys from random draws and from the keys that a walk found.

The keys are two parts. The large keys G that the walk found are counted one by one, so they have no error. The others,
R = N - len(G) keys, are estimated from the draws that hit none of G. Given how many draws these are, each of them is a
uniform draw from R. So ``R / n * (sum over these draws)`` is unbiased for the sum over R. That holds for each G that
does not depend on the draws. This is a take-all stratum beside a sampled one, and the estimator of Hansen and Hurwitz
in the sampled one.

- M. H. Hansen, W. N. Hurwitz: On the theory of sampling from finite populations. Annals of Mathematical Statistics 14
  (1943), 333-362. Draws with replacement.
- W. G. Cochran: Sampling Techniques, 3rd edition (1977), sections 5.5, 5A.1 and 2.13. Strata, and sums over a part of
  the population.
- M. A. Hidiroglou: The construction of a self-representing stratum of large units in survey design. The American
  Statistician 40 (1986), 27-31. Why few large units are counted completely.

``tests/keyspace/test_estimator.py`` proves the mean and the interval by simulation; ``bench/keyspace.py`` does it on
real servers.
"""

import heapq
import math
from dataclasses import dataclass

from redis_pulse.keyspace.report import Estimate

#: The quantile of the normal distribution for an interval of 95 %.
Z95 = 1.959964
#: The quantile of Student's distribution by degrees of freedom, from 1 on. Later ones follow ``_t95``.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)

#: The largest draws of a pattern from which the tail of its sizes is estimated.
TAIL = 20
#: Standard errors of the difference of two periods from which the older one does not count any more.
_OTHER = 4
#: Standard errors of the difference of two halves from which a mean drifts, or may drift.
_DRIFTS, _MAY_DRIFT = 2.5, 1.2


@dataclass(slots=True)
class DrawSums:
    """Draws that hit no certain key: all of them, and those of one pattern with the sum of their sizes."""

    all_draws: int = 0
    draws: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    #: How many keys there were at each draw, as a share of today's number, summed over all draws. 0 if unknown.
    levels: float = 0.0

    def hit(self, draws: int, total: float, squares: float, weight: float = 1.0) -> None:
        """Count draws that hit the pattern.

        ``weight`` is how many keys a draw stood for then, as a share of what it stands for today. So a pattern that
        stays does not seem to grow when others grow.
        """
        self.draws += draws * weight
        self.total += total * weight
        self.squares += squares * weight * weight

    @property
    def counts(self) -> "DrawSums":
        """The same draws with the size 1."""
        return DrawSums(self.all_draws, self.draws, self.draws, self.draws, self.levels)

    def __add__(self, other: "DrawSums") -> "DrawSums":
        """Return the draws of both periods."""
        return DrawSums(
            self.all_draws + other.all_draws,
            self.draws + other.draws,
            self.total + other.total,
            self.squares + other.squares,
            self.levels + other.levels,
        )

    def minus(self, part: "DrawSums") -> "DrawSums":
        """Return the draws that are not in a part of this period."""
        return DrawSums(
            self.all_draws - part.all_draws,
            self.draws - part.draws,
            max(0.0, self.total - part.total),
            max(0.0, self.squares - part.squares),
            self.levels - part.levels,
        )


@dataclass(slots=True)
class FoundSums:
    """The keys of one pattern that the walk found."""

    keys: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, size: float) -> None:
        """Count a key."""
        self.keys += 1
        self.total += size
        self.squares += size * size


def brought_to_present(periods: list[DrawSums]) -> tuple[list[DrawSums], float]:
    """Return the draws as they would be with today's number of keys, and a standard error, as a share.

    The server tells how many keys it has at each moment, but not which patterns grow. A regression of the hits on that
    number estimates the part of a pattern in the growth. The part that is expected beforehand is the share of the
    pattern, with a standard error of 1. Both are weighed by their variances.
    """
    whole = sum(periods, DrawSums())
    if not whole.levels or not whole.draws:
        return periods, 0.0
    level = whole.levels / whole.all_draws
    away = [period.levels / period.all_draws - level if period.all_draws else 0.0 for period in periods]
    moved = sum(period.all_draws * far * far for period, far in zip(periods, away, strict=True))
    if moved < 1e-12:
        return periods, 0.0
    mean = whole.draws / whole.all_draws
    variance = shared = own = 0.0  # that of the part, what it has in common with that of the mean, and that of the mean
    for period, far in zip(periods, away, strict=True):
        share = min(0.999, (period.draws + 2 + 4 * mean) / (period.all_draws + 8))
        spread = period.all_draws * far * share * (1 - share) / moved
        variance += spread * far / moved
        shared += spread / whole.all_draws
        own += period.all_draws * share * (1 - share) / whole.all_draws**2
    part = sum(period.draws * far for period, far in zip(periods, away, strict=True)) / moved
    trust = 1 / (1 + variance)
    usual = whole.draws / whole.levels
    part = usual + trust * (part - usual)
    present = []
    for period in periods:
        draws = max(0.0, period.draws + part * (period.all_draws - period.levels))
        size, square = whole.total / whole.draws, whole.squares / whole.draws
        more = draws - period.draws
        present.append(
            DrawSums(
                period.all_draws,
                draws,
                max(0.0, period.total + more * size),
                max(0.0, period.squares + more * square),
                float(period.all_draws),
            )
        )
    share = sum(present, DrawSums()).draws / whole.all_draws
    own -= min(own, share * max(0.0, 1 - share) / whole.all_draws)  # the estimate counts that
    ahead = 1 - level
    return present, math.sqrt(own + trust * max(0.0, ahead * ahead * variance + 2 * ahead * shared))


def _t95(freedom: float) -> float:
    if freedom <= len(_T95):
        return _T95[max(1, round(freedom)) - 1]
    return Z95 + 2.5 / freedom


def tail_squares(sizes: list[float], scale: float) -> float:
    """Return the likely sum of squares of the keys that are larger than each drawn one.

    ``sizes`` are the largest drawn ones, and a draw stands for ``scale`` keys. Hill's estimator tells how slowly large
    sizes become rare. If the exponent is below 2, a few keys may have most of the memory. Draws that
    missed them do not show it in their spread.

    B. M. Hill: A simple general approach to inference about the tail of a distribution. Annals of Statistics 3 (1975).
    """
    largest = heapq.nlargest(TAIL + 1, sizes)
    if len(largest) <= TAIL or largest[-1] <= 0 or largest[0] == largest[-1]:
        return 0.0
    least, highest = largest[-1], largest[0]
    exponent = max(1.0, TAIL / sum(math.log(size / least) for size in largest[:-1]))
    if exponent >= 2:
        return 0.0
    above = TAIL * scale  # keys of at least ``least``
    end = least * max(1.0, above) ** (1 / exponent)
    power = 2 - exponent
    unseen: float = above * exponent / power * least**exponent * max(0.0, end**power - highest**power)
    return unseen


def estimate_size(
    sums: DrawSums, rest: int, unevenness: float, unseen_squares: float = 0.0, growth_error: float = 0.0
) -> Estimate:
    """Return the sum of the sizes of a pattern over ``rest`` keys.

    The error has three parts. Two are those of the draws: how many hit the pattern, and how much their sizes differ.
    The third is that a server does not draw each key with exactly the same chance. These chances vary by
    ``unevenness``, as a share of their mean. More draws do not reduce it.

    ``unseen_squares`` is the sum of squares of large keys that the walk did not reach. The draws may have missed them.
    It is projected from those that the walk found. ``growth_error`` is that of ``brought_to_present()``.
    """
    if not rest or not sums.all_draws:
        return Estimate(0.0, 0.0)
    scale = rest / sums.all_draws
    if not sums.draws:
        return Estimate(0.0, Z95 * math.sqrt(scale * unseen_squares))
    mean = sums.total / sums.draws
    spread = max(0.0, sums.squares / sums.draws - mean * mean)
    spread = spread * sums.draws / (sums.draws - 1) if sums.draws > 1.5 else mean * mean
    count = min(0.999, (sums.draws + 2) / (sums.all_draws + 4))  # never 0 or 1: Agresti and Coull
    hits = sums.all_draws * count * (1 - count) * mean * mean
    sizes = (sums.draws + 1) * spread
    quantile = _t95(sums.draws - 1)
    unseen = max(0.0, unseen_squares - scale * sums.squares) * scale
    growth = (growth_error * rest * mean) ** 2
    variance = Z95**2 * (scale * scale * hits + unseen + growth + unevenness**2 * scale * sums.squares)
    return Estimate(sums.total * scale, math.sqrt(variance + (quantile * scale) ** 2 * sizes))


def estimate_keys(sums: DrawSums, rest: int, unevenness: float, growth_error: float = 0.0) -> Estimate:
    """Return how many of ``rest`` keys belong to a pattern. The error is that of a share."""
    if not rest or not sums.all_draws:
        return Estimate(0.0, 0.0)
    count = min(0.999, (sums.draws + 2) / (sums.all_draws + 4))
    scale = rest / sums.all_draws
    variance = scale * scale * sums.all_draws * count * (1 - count) + (growth_error * rest) ** 2
    variance += unevenness**2 * scale * sums.draws * max(0.0, 1 - sums.draws / sums.all_draws)
    return Estimate(sums.draws * scale, Z95 * math.sqrt(variance))


def _difference(one: DrawSums, other: DrawSums) -> tuple[float, float, float] | None:
    """Return how much larger the mean of the other period is, and both variances. Return None for few draws."""
    if min(one.all_draws, other.all_draws) < 30 or max(one.draws, other.draws) < 20:
        return None
    # One more draw than there was: a pattern without a hit has a variance too.
    extra = max(one.total, other.total) / max(1.0, one.draws, other.draws)
    means, variances = [], []
    for sums in (one, other):
        mean = sums.total / sums.all_draws
        second = max(sums.squares, sums.total * sums.total / max(1.0, sums.draws)) / sums.all_draws
        means.append(mean)
        variances.append(max(1e-12, second - mean * mean + extra * extra / sums.all_draws) / sums.all_draws)
    return means[1] - means[0], variances[0], variances[1]


def differ(one: DrawSums, other: DrawSums) -> bool:
    """Return whether two periods show different means, by more than chance explains."""
    found = _difference(one, other)
    return found is not None and abs(found[0]) > _OTHER * math.sqrt(found[1] + found[2])


def follow_drift(estimate: Estimate, periods: list[DrawSums], rest: int) -> Estimate:
    """Return an estimate of the present, if the mean seems to drift within the periods.

    A clear drift is continued to the present. A slight one only widens the interval.
    """
    whole = sum(period.all_draws for period in periods)
    old, new = DrawSums(), DrawSums()
    for period in periods:
        in_old_half = old.all_draws + period.all_draws / 2 < whole / 2
        old, new = (old + period, new) if in_old_half else (old, new + period)
    if min(old.all_draws, new.all_draws) < whole / 4:  # so few draws show only chance
        return estimate
    found = _difference(old, new)
    if found is None:
        return estimate
    change, old_variance, new_variance = found
    size = abs(change) / math.sqrt(old_variance + new_variance)
    if size > _DRIFTS:
        ahead = new.all_draws / (old.all_draws + new.all_draws)  # from the middle of the new half to the present
        value = max(0.0, rest * (new.total / new.all_draws + ahead * change))
        spread = Z95 * rest * math.sqrt((1 + ahead) ** 2 * new_variance + ahead**2 * old_variance)
        return Estimate(value, math.hypot(estimate.error, spread))
    if size > _MAY_DRIFT:
        return Estimate(estimate.value, math.hypot(estimate.error, rest * change))
    return estimate


def recent_part(periods: list[DrawSums]) -> int:
    """Return the number of the first period that still shows the present. ``periods`` begin with the oldest.

    The newest periods count, back to the moment at which the mean was clearly different.
    """
    first, count = 0, len(periods)
    # Sums from each period to the newest: so no sum is computed twice.
    sums = [DrawSums()]
    for period in reversed(periods):
        sums.append(sums[-1] + period)
    for newest in (count // 2, 3 * count // 4, count - 3, count - 2, count - 1):
        if newest > first and differ(sums[count - first].minus(sums[count - newest]), sums[count - newest]):
            first = newest
    return first


def add_up(parts: list[Estimate]) -> Estimate:
    """Return the sum of independent estimates."""
    return Estimate(sum(one.value for one in parts), math.sqrt(sum(one.error**2 for one in parts)))
