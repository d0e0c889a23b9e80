"""Run all sources of targets of one configuration, and combine their targets with the declared ones.

A source that fails keeps its known targets. The failure is counted, and the age of the data is published. The manager
uses a target of a source only if all of these hold:

1. ``discovery.allow`` contains its address. Without a list, ``announced`` decides about announced servers.
2. No declared target and no earlier source has its name or its server.
3. All sources together have at most ``discovery.max_targets`` targets of this shard.
4. In one refresh, the servers of a cluster or a Sentinel set announce few new ones (``MAX_NEW_TARGETS``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from redis_pulse import log
from redis_pulse.config import (
    ClusterSettings,
    DiscoverySettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    SourceSettings,
    TargetSettings,
)
from redis_pulse.discovery.allow_list import AllowList
from redis_pulse.discovery.announced import NOT_NEAR, AnnouncedServers
from redis_pulse.discovery.base import (
    DiscoveryError,
    PartlyFoundError,
    Reject,
    SourceContext,
    SourceReport,
    TargetSource,
)
from redis_pulse.discovery.refusals import RefusalLog, Refusals
from redis_pulse.errors import TargetError
from redis_pulse.slices import sliced
from redis_pulse.telemetry import DiscoveryMetrics

#: Makes the context of a source from its settings, its ``request_refresh`` and its ``reject``.
MakeContext = Callable[[SourceSettings, Callable[[], None], Reject], SourceContext]
#: Limit for one refresh, in seconds. Sources that query servers have shorter deadlines of their own.
REFRESH_TIMEOUT = 30.0
#: Limit for closing one source, in seconds.
CLOSE_TIMEOUT = 1.0
TOO_MANY = "too_many"
#: The kinds of sources whose servers are only announced by other servers.
_ANNOUNCING = ("cluster", "sentinel")
#: New targets of such a source in one refresh. A source may also double its targets. The others wait for the next one.
MAX_NEW_TARGETS = 500


def make_source(settings: SourceSettings, context: SourceContext) -> TargetSource:
    """Return a new source of the kind that the settings describe.

    Each kind imports its module here, and only if the configuration has such a source. Most daemons have none, and
    start faster without these imports.
    """
    match settings.options:
        case FileSourceSettings() as options:
            from redis_pulse.discovery.file_sd import FileSource

            return FileSource(settings, options, context)
        case HttpSourceSettings() as options:
            from redis_pulse.discovery.http_sd import HttpSource

            return HttpSource(settings, options, context)
        case DnsSourceSettings() as options:
            from redis_pulse.discovery.dns_sd import DnsSource

            return DnsSource(settings, options, context)
        case ClusterSettings() as options:
            from redis_pulse.discovery.cluster.source import ClusterSource

            return ClusterSource(settings, options, context)
        case SentinelSettings() as options:
            from redis_pulse.discovery.sentinel.source import SentinelSource

            return SentinelSource(settings, options, context)


@dataclass(slots=True)
class _Entry:
    source: TargetSource
    announced: AnnouncedServers
    #: whether this shard has the target with this name
    owns: Callable[[str], bool]
    #: what the current refresh does not use
    refusals: Refusals
    targets: tuple[TargetSettings, ...] = ()
    #: the number of targets beyond the limit, at the last refresh
    left_out: int = 0
    #: whether a refresh has ended, with or without success
    was_refreshed: bool = False
    #: held during a refresh
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_refresh_requested: bool = False
    #: Unix time, for the status page
    last_success: float | None = None
    failing_since: float | None = None
    error: str = ""

    @property
    def settings(self) -> SourceSettings:
        return self.source.settings


class DiscoveryManager:
    """All sources of one configuration; it awaits ``on_change()`` whenever the targets have changed."""

    def __init__(
        self,
        metrics: DiscoveryMetrics,
        make_context: MakeContext,
        *,
        on_change: Callable[[], Awaitable[None]],
        wall_clock: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._metrics = metrics
        self._make_context = make_context
        self._on_change = on_change
        self._wall_clock = wall_clock
        self._entries: dict[str, _Entry] = {}
        self._limits = DiscoverySettings()
        self._allow_list = AllowList(self._limits.allow)
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log.get("discovery")
        self._log_filter = log.StateChangeFilter()
        self._refusal_log = RefusalLog(metrics, clock)

    # -- the configuration

    @property
    def settled(self) -> bool:
        """Whether each source has ended one refresh, with or without success."""
        return all(entry.was_refreshed for entry in self._entries.values())

    def reports(self) -> list[SourceReport]:
        """Return how each source does."""
        return [
            SourceReport(
                *(entry.settings.kind, entry.settings.name, len(entry.targets)),
                *(entry.last_success, entry.failing_since, entry.error),
            )
            for entry in self._entries.values()
        ]

    async def apply(
        self, sources: Sequence[SourceSettings], limits: DiscoverySettings
    ) -> tuple[list[SourceSettings], list[str]]:
        """Apply a configuration; return the sources to refresh from now on, and the keys of those that ended.

        A source without a change continues undisturbed. A source with other settings ends, and a new one with the same
        key starts. The new one has the known targets until its first refresh.
        """
        await self._apply_limits(limits)
        wanted = {source.key: source for source in sources}
        ended = self._remove_other_than(wanted)
        started = [source for source in sources if source.key not in self._entries]
        for settings in started:
            known = ended[settings.key].targets if settings.key in ended else ()
            self._entries[settings.key] = self._make_entry(settings, known)
        self._entries = {key: self._entries[key] for key in wanted}
        for key in ended.keys() - wanted.keys():
            self._metrics.forget(ended[key].settings.kind, ended[key].settings.name)
            self._refusal_log.forget(ended[key].settings)
        # Close the old sources last. The new entries already have the known targets while the old sources close.
        await asyncio.gather(*(self._close(entry) for entry in ended.values()))
        return started, list(ended)

    async def _apply_limits(self, limits: DiscoverySettings) -> None:
        if limits == self._limits:
            return
        self._limits, self._allow_list = limits, AllowList(limits.allow)
        for entry in list(self._entries.values()):
            before, refusals = entry.targets, Refusals()
            admitted = await self._admitted(entry, before, refusals)
            if entry.targets is before:  # no refresh has replaced them meanwhile
                entry.targets = admitted
                self._refusal_log.report(entry.settings, "limits", refusals)

    def _remove_other_than(self, wanted: Mapping[str, SourceSettings]) -> dict[str, _Entry]:
        """Remove the entries that the new configuration lacks or changes; return them by key."""
        ended = [key for key, entry in self._entries.items() if wanted.get(key) != entry.settings]
        return {key: self._entries.pop(key) for key in ended}

    async def stop(self) -> None:
        """Close every source."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._close(entry) for entry in self._entries.values()))

    async def _close(self, entry: _Entry) -> None:
        """Close a source. A failure is logged, and affects neither the other sources nor the targets."""
        settings = entry.settings
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await entry.source.aclose()
        except Exception as error:  # noqa: BLE001  # a bug in one source must not stop the others
            self._log.error("a source is at fault", kind=settings.kind, source=settings.name, exc_info=error)

    # -- one source

    def _make_entry(self, settings: SourceSettings, known: tuple[TargetSettings, ...]) -> _Entry:
        def request_refresh() -> None:
            task = asyncio.get_running_loop().create_task(self.refresh(settings.key))
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._on_requested_refresh_done(settings, task))

        def reject(reason: str, description: str, count: int = 1, /) -> None:
            entry.refusals.add(reason, description, count)

        def allow_list() -> AllowList:
            return self._allow_list  # the current list, also for a source that outlives a reload

        def known_targets() -> Sequence[TargetSettings]:
            return self._entries[settings.key].targets if settings.key in self._entries else ()

        labels = (settings.kind, settings.name)
        for counter in (self._metrics.refreshes, self._metrics.failures):
            counter.labels(*labels)
        self._metrics.left_out.labels(*labels).set(0)
        for change in ("added", "removed", "changed"):
            self._metrics.changes.labels(*labels, change)
        announced = AnnouncedServers(settings, allow_list)
        context = replace(
            self._make_context(settings, request_refresh, reject),
            is_allowed=announced,
            learn_announced=announced.learn,
            known_targets=known_targets,
            max_targets=lambda: self._limits.max_targets,
        )
        entry = _Entry(make_source(settings, context), announced, context.owns, Refusals(), known)
        return entry

    def _on_requested_refresh_done(self, settings: SourceSettings, task: asyncio.Task[None]) -> None:
        """Record the failure of a refresh that no other code awaits."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            bug = error if isinstance(error, Exception) else None
            self._record_failure(settings, type(error).__name__, bug)

    async def refresh(self, key: str) -> None:
        """Refresh one source; a call during a refresh makes the source refresh once more."""
        if (entry := self._entries.get(key)) is None:
            return
        entry.is_refresh_requested = True
        if entry.lock.locked():
            return
        async with entry.lock:
            while entry.is_refresh_requested and self._entries.get(key) is entry:
                entry.is_refresh_requested = False
                if await self._refresh(entry):
                    await self._on_change()

    async def _refresh(self, entry: _Entry) -> bool:
        """Refresh a source once; return whether its targets changed."""
        settings = entry.settings
        labels = (settings.kind, settings.name)
        self._metrics.refreshes.labels(*labels).inc()
        targets: Sequence[TargetSettings] | None = None
        reason, bug = "", None
        entry.refusals = refusals = Refusals()
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT):
                targets = await entry.source.refresh()
        except PartlyFoundError as error:
            targets, reason = error.targets, str(error)
        except (DiscoveryError, TargetError, TimeoutError, OSError) as error:
            reason = str(error) or "no answer in time"
        except Exception as error:  # noqa: BLE001  # a bug in one source must not stop the others
            reason, bug = type(error).__name__, error
        finally:
            entry.was_refreshed = True
        if self._entries.get(settings.key) is not entry:
            return False  # a reload removed the source meanwhile, and its series must not return
        if reason:
            entry.error, entry.failing_since = reason, entry.failing_since or self._wall_clock()
            self._record_failure(settings, reason, bug)
        else:
            entry.error, entry.failing_since, entry.last_success = "", None, self._wall_clock()
            if self._log_filter.changed(settings.key, "ok"):
                self._log.info("targets found", kind=settings.kind, source=settings.name, targets=len(targets or ()))
            self._metrics.last_success.labels(*labels).set(self._wall_clock())
        if targets is None:
            self._refusal_log.report(settings, "refresh", refusals)
            return False
        limits, rejected = None, refusals
        while limits is not self._limits:  # a reload may change the limits meanwhile
            limits, refusals = self._limits, rejected.copy()
            admitted = await self._admitted(entry, targets, refusals)
        if self._entries.get(settings.key) is not entry:
            return False
        self._refusal_log.report(settings, "refresh", refusals)
        return await self._replace_targets(entry, admitted, refusals.count(TOO_MANY))

    def _record_failure(self, settings: SourceSettings, reason: str, bug: Exception | None = None) -> None:
        self._metrics.failures.labels(settings.kind, settings.name).inc()
        if not self._log_filter.changed(settings.key, reason):
            return
        fields = {"kind": settings.kind, "source": settings.name, "error": reason}
        if bug is None:
            self._log.warning("targets not found anew", **fields)
        else:
            self._log.error("a source is at fault", exc_info=bug, **fields)

    # -- targets

    def source_of(self, name: str) -> SourceSettings | None:
        """Return the first source that has a target of this name, or None."""
        found = (entry for entry in self._entries.values() if any(target.name == name for target in entry.targets))
        return next((entry.settings for entry in found), None)

    def targets(self, declared: Sequence[TargetSettings]) -> list[TargetSettings]:
        """Return the declared targets, then those of the sources; the first target of a name or a server stays."""
        targets = list(declared)
        names = {target.name for target in targets}
        servers = {(target.address, target.db) for target in targets}
        free = self._limits.max_targets
        for entry in self._entries.values():
            refusals = Refusals()
            for target in entry.targets:
                if target.name in names or (target.address, target.db) in servers:
                    refusals.add("known", f"{target.name} ({target.address}) is already a target")
                    continue
                if _owns(entry, target):
                    if free <= 0:
                        refusals.add(TOO_MANY, f"{target.name}: {self._limit_text()}")
                        continue
                    free -= 1
                names.add(target.name)
                servers.add((target.address, target.db))
                targets.append(target)
            settings = entry.settings
            self._refusal_log.report(settings, "all sources", refusals)
            self._metrics.left_out.labels(settings.kind, settings.name).set(entry.left_out + refusals.count(TOO_MANY))
        return targets

    async def _admitted(
        self, entry: _Entry, targets: Sequence[TargetSettings], refusals: Refusals
    ) -> tuple[TargetSettings, ...]:
        """Return the targets of a source that the limits allow, and add the others to ``refusals``."""
        admitted: dict[str, TargetSettings] = {}
        known = {target.name for target in entry.targets}
        growth = max(MAX_NEW_TARGETS, len(known)) if entry.settings.kind in _ANNOUNCING else len(targets)
        owned = 0
        async for target in sliced(targets):
            if error := self._refusal(entry, target):
                refusals.add("not_allowed", error)
            elif target.name in admitted:
                refusals.add("known", f"{target.name} occurs twice")
            elif owned >= self._limits.max_targets:
                refusals.add(TOO_MANY, f"{target.name}: {self._limit_text()}")
            elif target.name not in known and growth <= 0:
                refusals.add(TOO_MANY, f"{target.name}: more new targets than one refresh may add")
            else:
                admitted[target.name] = target
                growth -= target.name not in known
                owned += _owns(entry, target)
        return tuple(admitted.values())

    def _refusal(self, entry: _Entry, target: TargetSettings) -> str:
        """Return why a target may not be used, or an empty text."""
        if not self._allow_list(target.endpoint):
            return f"{target.address} is not in discovery.allow"
        if entry.settings.kind in _ANNOUNCING and not entry.announced(target.endpoint):
            return f"{target.address} {NOT_NEAR}"
        return ""

    def _limit_text(self) -> str:
        return f"more than discovery.max_targets, {self._limits.max_targets}"

    async def _replace_targets(self, entry: _Entry, targets: tuple[TargetSettings, ...], left_out: int) -> bool:
        """Replace the targets of a source, and count the changes; return whether there are any."""
        labels = (entry.settings.kind, entry.settings.name)
        before = {target.name: target for target in entry.targets}
        is_other_limit, entry.left_out = left_out != entry.left_out, left_out
        entry.targets = targets
        changed = added = 0
        async for target in sliced(targets):
            if (known := before.pop(target.name, None)) is None:
                added += 1
            elif known is not target:
                changed += known != target
        counts = {"added": added, "removed": len(before), "changed": changed}
        for change, count in counts.items():
            self._metrics.changes.labels(*labels, change).inc(count)
        self._metrics.targets.labels(*labels).set(sum(_owns(entry, target) for target in targets))
        return any(counts.values()) or is_other_limit


def _owns(entry: _Entry, target: TargetSettings) -> bool:
    """Return whether a target belongs to this shard. A Sentinel set is not divided among shards."""
    return entry.settings.kind == "sentinel" or entry.owns(target.name)
