"""Keeps the lines of collectors that have nothing new, so that they are not written and compressed again.

Only a collector whose items depend on nothing but the replies may say so. Ages, rates and times since an event change
from poll to poll, although the replies stay the same.
"""

from collections.abc import Iterable

from redis_pulse.metric import CollectorItem, KeptItems
from redis_pulse.sample_store import RenderedSamples


class KeptLines:
    """The lines of the newest runs of one target, by collector."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[KeptItems, RenderedSamples]] = {}

    def lines(self, collector: str, items: Iterable[CollectorItem]) -> RenderedSamples | None:
        """Return the lines of these items, or None if they are not those of the last run."""
        known = self._kept.get(collector)
        return known[1] if known is not None and known[0] is items else None

    def keep(self, collector: str, items: Iterable[CollectorItem], lines: RenderedSamples) -> None:
        """Remember the lines of a run."""
        if type(items) is KeptItems:
            self._kept[collector] = items, lines
        else:
            self._kept.pop(collector, None)
