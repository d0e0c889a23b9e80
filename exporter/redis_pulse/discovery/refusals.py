"""Count and log what a source names and the exporter does not use: one log line per source and reason.

A list may have a hundred thousand bad entries. Its log line has their number and the first few.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from redis_pulse import log
from redis_pulse.config import SourceSettings
from redis_pulse.telemetry import DiscoveryMetrics

#: Limit for the entries that one log line describes, and for the characters of each description.
MAX_DESCRIBED, MAX_CHARACTERS = 3, 300
#: Seconds between two log lines of one source and reason. The first line of a reason is not delayed.
LOG_INTERVAL = 60.0


@dataclass(slots=True)
class _Refused:
    count: int = 0
    first: list[str] = field(default_factory=list)


class Refusals:
    """The refused entries of one refresh of one source. ``RefusalLog.report`` counts and logs them."""

    def __init__(self) -> None:
        self.by_reason: dict[str, _Refused] = {}

    def add(self, reason: str, description: str, count: int = 1) -> None:
        """Record entries that are not used."""
        refused = self.by_reason.setdefault(reason, _Refused())
        refused.count += count
        if len(refused.first) < MAX_DESCRIBED:
            refused.first.append(description[:MAX_CHARACTERS])

    def copy(self) -> "Refusals":
        """Return an independent copy."""
        copy = Refusals()
        copy.by_reason = {
            reason: _Refused(refused.count, list(refused.first)) for reason, refused in self.by_reason.items()
        }
        return copy

    def count(self, reason: str) -> int:
        """Return the number of entries with this reason."""
        return self.by_reason[reason].count if reason in self.by_reason else 0


class RefusalLog:
    """Logs a refusal when it begins, and when it changes. It remembers one line per source, occasion and reason."""

    def __init__(self, metrics: DiscoveryMetrics, clock: Callable[[], float]) -> None:
        self._metrics = metrics
        self._clock = clock
        self._log = log.get("discovery")
        #: by source, occasion and reason: the fields of the last line, and its time
        self._logged: dict[tuple[str, str, str], tuple[dict[str, object], float]] = {}

    def report(self, settings: SourceSettings, occasion: str, refusals: Refusals) -> None:
        """Count and log the refusals of an occasion, such as a refresh."""
        now = self._clock()
        for reason, refused in refusals.by_reason.items():
            self._metrics.refused.labels(settings.kind, settings.name, reason).inc(refused.count)
            fields: dict[str, object] = {"why": reason, "count": refused.count, "what": "; ".join(refused.first)}
            before, logged_at = self._logged.get((settings.key, occasion, reason), (None, 0.0))
            if before != fields and (before is None or now - logged_at >= LOG_INTERVAL):
                self._logged[settings.key, occasion, reason] = (fields, now)
                self._log.warning("targets not taken", kind=settings.kind, source=settings.name, **fields)
        for key, (_, logged_at) in list(self._logged.items()):
            is_over = key[:2] == (settings.key, occasion) and key[2] not in refusals.by_reason
            if is_over and now - logged_at >= LOG_INTERVAL:
                del self._logged[key]

    def forget(self, settings: SourceSettings) -> None:
        """Drop what is remembered about a source that has ended."""
        for known in [known for known in self._logged if known[0] == settings.key]:
            del self._logged[known]
