"""When to poll before scrapes: windows of time that repeat with the period of a scraper.

All targets are polled in a window that ends just before a scrape. It is as long as the permitted rate of polls needs.
Each target has a place in it. Scrapers with the same period share a window if the targets may not be polled for each
of them. The window then has parts. They are chosen so that the oldest sample at any scrape is as new as possible.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from redis_pulse.scheduling.scrapers import Scraper

#: Polls a second within a window, so that pings between them are not late. A thousand targets need 3.3 s of it.
MAX_RATE = 300.0
#: Polls a second if scrapers with one period follow each other, and samples would otherwise be older than WANTED_AGE.
MAX_RATE_SHARED, WANTED_AGE = 450.0, 3.8
#: Share of the time before a scrape that a window may take.
SPREAD = 0.9
#: Two periods are the same if they differ by no more than this share.
SAME_PERIOD = 0.02
#: Seconds by which the spans of a window may move before they are replaced.
_STEADY = 0.02
#: By this share an interval may differ from the settings, so that jitter leaves out no scrape.
PLAY = 0.02


class Span(NamedTuple):
    """A part of a window, from its start, in seconds after the anchor of the window.

    A poll may start ``spare`` seconds after its end, because the scrape seldom comes as early as it might.
    """

    start: float
    length: float
    spare: float


class Window(NamedTuple):
    """Moments in which targets are polled: ``anchor + span + k·period``."""

    period: float
    anchor: float
    spans: Sequence[Span]

    def first(self, place: float, earliest: float, ahead: float, delay: float) -> float:
        """Return the first moment for a target, not before ``earliest``. ``place`` is from 0 to 1.

        The moment is ``ahead`` seconds before the place in the window. It may be up to ``delay`` seconds later if that
        is still before the scrape.
        """
        rest = place * sum(span.length for span in self.spans)
        for span in self.spans:
            if rest <= span.length:
                break
            rest -= span.length
        moment, spare = self.anchor + span.start + rest - ahead, min(delay, span.length - rest + span.spare)
        periods = math.ceil((earliest - spare - moment) / self.period)
        return max(earliest, moment + periods * self.period)


def build_windows(scrapers: Sequence[Scraper], targets: int, min_interval: float, guard: float) -> list[Window]:
    """Return the windows in which so many targets are polled.

    No target is polled more often than every ``min_interval``. The windows end ``guard`` seconds before a scrape,
    earlier if its moments vary.
    """
    windows: list[Window] = []
    load, targets = 0.0, max(1, targets)
    for same in _by_period(scrapers):
        period = same[0].period * max(1, math.ceil(min_interval * (1 - PLAY) / same[0].period))
        more = list(_windows_of_period(same, period, targets, min_interval, guard))
        load += len(more) * targets / period
        if windows and load > SPREAD * MAX_RATE:
            break  # all scrapers together would be too many polls; these get what the others get
        windows += more
    return windows


def keep_steady(old: Sequence[Window], new: list[Window]) -> list[Window]:
    """Return the new windows with the spans of the old ones, where these hardly changed.

    Otherwise a target at the border of two spans would move from one to the other and back.
    """
    if len(old) != len(new):
        return new
    return [
        now._replace(spans=before.spans) if _is_same(before, now) else now for before, now in zip(old, new, strict=True)
    ]


def _is_same(old: Window, new: Window) -> bool:
    return (
        len(old.spans) == len(new.spans)
        and abs(old.period - new.period) < SAME_PERIOD * new.period
        and all(
            max(map(abs, map(sub, before, now))) < _STEADY for before, now in zip(old.spans, new.spans, strict=True)
        )
    )


def _by_period(scrapers: Sequence[Scraper]) -> Iterator[list[Scraper]]:
    """Yield the scrapers with the same period, the shortest period first."""
    left = sorted(scrapers, key=lambda scraper: scraper.period)
    while left:
        limit = left[0].period * (1 + SAME_PERIOD)
        same = [scraper for scraper in left if scraper.period <= limit]
        left = left[len(same) :]
        yield same


class _Scrape(NamedTuple):
    """A scrape in each period: when, the time since the one before, and how early polls must have ended."""

    phase: float
    gap: float
    guard: float


def _windows_of_period(
    scrapers: Sequence[Scraper], period: float, targets: int, min_interval: float, guard: float
) -> Iterator[Window]:
    first = min(scrapers, key=lambda scraper: scraper.number)
    anchor = first.next - first.count % round(period / first.period) * first.period  # the same moment in each period
    phases = sorted(
        (_after(anchor, scraper) + number * scraper.period, min(guard + 2 * scraper.jitter, 0.25 * scraper.period))
        for scraper in scrapers
        for number in range(round(period / scraper.period))
    )
    before = phases[-1][0] - period
    scrapes: list[_Scrape] = []
    for phase, needed in phases:
        scrapes.append(_Scrape(phase, phase - before, needed))
        before = phase
    groups = _groups(scrapes, period, min_interval * (1 - PLAY))
    if len(groups) * targets / MAX_RATE > SPREAD * period:
        groups = groups[:1]
    if len(groups) == 1:
        yield Window(period, anchor, _shared_spans(scrapes, period, targets, guard))
        return
    for group in groups:
        length = max(0.0, min(targets / MAX_RATE, SPREAD * (group.gap - group.guard)))
        yield Window(period, anchor, [Span(group.phase - group.guard - length, length, group.guard - guard)])


def _after(anchor: float, scraper: Scraper) -> float:
    """Return how long after a moment a scrape comes. A scrape that comes just before the moment is negative."""
    after = (scraper.next - anchor) % scraper.period
    return after - scraper.period if after > 0.95 * scraper.period else after  # keeps the order


def _groups(scrapes: Sequence[_Scrape], period: float, min_interval: float) -> list[_Scrape]:
    """Return the scrapes before which all targets can be polled, beginning after the longest gap."""
    first = max(range(len(scrapes)), key=lambda index: scrapes[index].gap)
    in_order = [*scrapes[first:], *(scrape._replace(phase=scrape.phase + period) for scrape in scrapes[:first])]
    groups = in_order[:1]
    for scrape in in_order[1:]:
        if scrape.phase - groups[-1].phase >= min_interval:
            groups.append(scrape)
    if len(groups) > 1 and groups[0].phase + period - groups[-1].phase < min_interval:
        groups.pop()
    return groups


def _shared_spans(scrapes: Sequence[_Scrape], period: float, targets: int, guard: float) -> list[Span]:
    """Return the spans for one poll a period, for which the oldest sample at any of the scrapes is newest.

    A poll ``waits`` seconds after one scrape is ``period - waits`` old when that scrape comes again. So all spans begin
    equally long after the scrape before them.
    """
    usable = sorted((max(0.0, scrape.gap - scrape.guard) for scrape in scrapes), reverse=True)
    waits = _waits(usable, min(targets / MAX_RATE, SPREAD * sum(usable)))
    if len(scrapes) > 1 and period - waits > WANTED_AGE:
        fastest = _waits(usable, min(targets / MAX_RATE_SHARED, SPREAD * sum(usable)))
        waits = min(max(waits, period - WANTED_AGE), fastest)
    spans = [
        Span(scrape.phase - scrape.gap + waits, length, max(0.0, scrape.guard - guard))
        for scrape in scrapes
        if (length := scrape.gap - scrape.guard - waits) > 0
    ]
    return spans or [Span(scrapes[0].phase - scrapes[0].gap, scrapes[0].gap, 0.0)]  # they come too close together


def _waits(usable: Sequence[float], total: float) -> float:
    """Return the length that, taken off each of ``usable``, leaves ``total``. The longest one is the first."""
    for count, (_, following) in enumerate(pairwise([*usable, 0.0]), 1):
        waits = (sum(usable[:count]) - total) / count
        if waits >= following:
            return max(0.0, min(waits, usable[0]))
    return 0.0
