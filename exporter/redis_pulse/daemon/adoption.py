"""Adopt the targets that scrapes name, and let each first scrape wait for the first ping and the first poll.

``discovery.adopted`` decides which targets are adopted.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable

from redis_pulse import log
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.discovery import REASONS, AdoptError, Reason
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.web.query import QueryError

#: Seconds between two checks whether the first measurements of targets have ended.
CHECK_INTERVAL = 0.05
#: Seconds between two lines of the log about refusals for the same reason.
LOG_INTERVAL = 60.0
#: The HTTP status of each reason.
_STATUS: dict[Reason, int] = {
    "credentials": 400,
    "unreadable": 400,
    "not_allowed": 403,
    "unresolved": 503,
    "module": 400,
    "too_many": 503,
    "browser": 403,
}


class Adoption:
    """Implements ``redis_pulse.web.AdoptionInterface``."""

    def __init__(self, target_sync: TargetSync, metrics: ExporterMetrics, *, clock: Callable[[], float]) -> None:
        self._sync = target_sync
        self._targets = target_sync.targets
        self._adopted = target_sync.adopted
        self._metrics = metrics
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._watch: asyncio.Task[None] | None = None
        self._logged: dict[Reason, float] = {}
        self._log = log.get("discovery")
        for reason in REASONS:
            metrics.adopt_refused.labels(reason)

    @property
    def is_enabled(self) -> bool:
        """Whether the configuration allows to adopt targets."""
        return self._adopted.is_enabled

    async def prepare(self, text: str, known: str | None, module: str | None, within: float) -> str:
        """Return the name of the target to serve, after its first measurements if it is adopted."""
        deadline = self._clock() + within
        try:
            name = await self._adopt(text, known, module)
        except AdoptError as error:
            self._refuse(error.reason, str(error))
            raise QueryError(_STATUS[error.reason], str(error)) from None
        if name in self._adopted:
            await self._wait(name, deadline)
            monitored = self._targets.get(name)
            if monitored is None or monitored.prober.last is None:
                raise QueryError(503, f"{name} is monitored from now on, and its first PING has not ended in time")
        return name

    def refuse_browser(self) -> None:
        """Count a request of a browser, which adopts nothing."""
        self._refuse("browser", "a browser cannot start to monitor a server")

    def tick(self) -> None:
        """Forget the targets that no request has named for long. Call this once a second."""
        if self._adopted.forget_unasked():
            self._sync.apply_adopted()

    def stop(self) -> None:
        """Let no scrape wait any longer."""
        if self._watch is not None:
            self._watch.cancel()
        for name in list(self._waiting):
            self._end_waiting(name)

    async def _adopt(self, text: str, known: str | None, module: str | None) -> str:
        """Return the name of the target, which is monitored now. Raises AdoptError."""
        if known is not None and known not in self._adopted:
            return known
        if known is None:
            target = self._adopted.target_of(text, module)
            known = target.name
            if known not in self._adopted:
                self._adopted.check_room()
                await self._adopted.check_addresses(target)
                target = self._adopted.target_of(text, module)  # a reload may have come meanwhile
        if known in self._adopted:  # perhaps another request adopted it meanwhile
            if not self._adopted.asked(known, module) and self._targets.get(known) is not None:
                return known
        else:
            self._adopted.add(target, module)
        await asyncio.shield(self._sync.apply_adopted())
        address_owner = None if self._targets.get(known) is not None else self._targets.name_at(known)
        return address_owner or known

    async def _wait(self, name: str, deadline: float) -> None:
        """Wait until the first ping and the first poll of a target have ended, or until the deadline."""
        if self._is_measured(name):
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[name].add(future)
        if self._watch is None:
            self._watch = asyncio.get_running_loop().create_task(self._watch_waiting())
        try:
            await asyncio.wait({future}, timeout=max(0.0, deadline - self._clock()))
        finally:
            self._waiting[name].discard(future)

    async def _watch_waiting(self) -> None:
        """End the waiting for each target that is measured. One task does so for all requests."""
        try:
            while any(self._waiting.values()):
                for name in list(self._waiting):
                    if not self._waiting[name] or self._is_measured(name):
                        self._end_waiting(name)
                await asyncio.sleep(CHECK_INTERVAL)
        finally:
            self._watch = None

    def _is_measured(self, name: str) -> bool:
        monitored = self._targets.get(name)
        return monitored is not None and monitored.prober.last is not None and monitored.poller.polled

    def _end_waiting(self, name: str) -> None:
        for future in self._waiting.pop(name, ()):
            if not future.done():
                future.set_result(None)

    def _refuse(self, reason: Reason, text: str) -> None:
        """Count a refusal. Log one a minute, so that requests cannot fill the disk."""
        self._metrics.adopt_refused.labels(reason).inc()
        now = self._clock()
        if now - self._logged.get(reason, -LOG_INTERVAL) >= LOG_INTERVAL:
            self._logged[reason] = now
            self._log.warning("a scrape was refused (told once a minute)", reason=reason, error=text)
