"""Run all sources of targets of one configuration, and combine their targets with the declared ones.

A source that fails keeps its known targets. The failure is counted, and the age of the data is published. The manager
uses a target of a source only if all of these hold:

1. ``discovery.allow`` contains its address.
2. No declared target and no earlier source has its name or its server.
3. The source has at most ``discovery.max_targets`` targets.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from redis_pulse import log
from redis_pulse.config import (
    ClusterSettings,
    DiscoverySettings,
    DnsSourceSettings,
    Endpoint,
    FileSourceSettings,
    HttpSourceSettings,
    SentinelSettings,
    SourceSettings,
    TargetSettings,
)
from redis_pulse.discovery.base import DiscoveryError, PartlyFoundError, SourceContext, TargetSource
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import DiscoveryMetrics

#: Makes the context of a source from its settings, its ``request_refresh`` and its ``reject``.
MakeContext = Callable[[SourceSettings, Callable[[], None], Callable[[str, str], None]], SourceContext]
#: Limit for one refresh, in seconds. Sources that query servers have shorter deadlines of their own.
REFRESH_TIMEOUT = 30.0
#: Limit for closing one source, in seconds.
CLOSE_TIMEOUT = 1.0


class AllowList:
    """The networks (``10.0.0.0/8``) and names (``cache.internal``, ``*.cache.internal``) that targets may have.

    An empty list allows every address. A name is compared with names only. DNS decides at each connection which address
    the name has.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._allows_all = not patterns
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: list[str] = []
        for pattern in patterns:
            try:
                self._networks.append(ipaddress.ip_network(pattern, strict=False))
            except ValueError:
                self._names.append(pattern.lower().rstrip("."))

    def __call__(self, endpoint: Endpoint) -> bool:
        """Return whether a target may have this endpoint."""
        if self._allows_all:
            return True
        if endpoint.kind == "unix":
            return False
        try:
            address = ipaddress.ip_address(endpoint.host.partition("%")[0])
        except ValueError:
            host = endpoint.host.lower().rstrip(".")
            return any(host.endswith(name[1:]) if name[0] == "*" else host == name for name in self._names)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


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

            return DnsSource(settings, options)
        case ClusterSettings() as options:
            from redis_pulse.discovery.cluster.source import ClusterSource

            return ClusterSource(settings, options, context)
        case SentinelSettings() as options:
            from redis_pulse.discovery.sentinel.source import SentinelSource

            return SentinelSource(settings, options, context)


@dataclass(slots=True)
class _Entry:
    source: TargetSource
    targets: tuple[TargetSettings, ...] = ()
    #: whether a refresh has ended, with or without success
    was_refreshed: bool = False
    #: held during a refresh
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_refresh_requested: bool = False

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

    # -- the configuration

    @property
    def settled(self) -> bool:
        """Whether each source has ended one refresh, with or without success."""
        return all(entry.was_refreshed for entry in self._entries.values())

    async def apply(
        self, sources: Sequence[SourceSettings], limits: DiscoverySettings
    ) -> tuple[list[SourceSettings], list[str]]:
        """Apply a configuration; return the sources to refresh from now on, and the keys of those that ended.

        A source without a change continues undisturbed. A source with other settings ends, and a new one with the same
        key starts. The new one has the known targets until its first refresh.
        """
        self._apply_limits(limits)
        wanted = {source.key: source for source in sources}
        ended = self._remove_other_than(wanted)
        started = [source for source in sources if source.key not in self._entries]
        for settings in started:
            known = ended[settings.key].targets if settings.key in ended else ()
            self._entries[settings.key] = _Entry(self._make_source(settings), known)
        self._entries = {key: self._entries[key] for key in wanted}
        for key in ended.keys() - wanted.keys():
            self._metrics.forget(ended[key].settings.kind, ended[key].settings.name)
        # Close the old sources last. The new entries already have the known targets while the old sources close.
        await asyncio.gather(*(self._close(entry) for entry in ended.values()))
        return started, list(ended)

    def _apply_limits(self, limits: DiscoverySettings) -> None:
        if limits == self._limits:
            return
        self._limits, self._allow_list = limits, AllowList(limits.allow)
        for entry in self._entries.values():
            entry.targets = self._admitted(entry.settings, entry.targets)

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

    def _make_source(self, settings: SourceSettings) -> TargetSource:
        def request_refresh() -> None:
            task = asyncio.get_running_loop().create_task(self.refresh(settings.key))
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._on_requested_refresh_done(settings, task))

        def reject(reason: str, description: str) -> None:
            self._reject(settings, reason, description)

        def is_allowed(endpoint: Endpoint) -> bool:
            return self._allow_list(endpoint)  # the current list, also for a source that outlives a reload

        def known_targets() -> Sequence[TargetSettings]:
            return self._entries[settings.key].targets if settings.key in self._entries else ()

        labels = (settings.kind, settings.name)
        for counter in (self._metrics.refreshes, self._metrics.failures):
            counter.labels(*labels)
        for change in ("added", "removed", "changed"):
            self._metrics.changes.labels(*labels, change)
        context = self._make_context(settings, request_refresh, reject)
        return make_source(settings, replace(context, is_allowed=is_allowed, known_targets=known_targets))

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
            self._record_failure(settings, reason, bug)
        else:
            if self._log_filter.changed(settings.key, "ok"):
                self._log.info("targets found", kind=settings.kind, source=settings.name, targets=len(targets or ()))
            self._metrics.last_success.labels(*labels).set(self._wall_clock())
        return targets is not None and self._replace_targets(entry, self._admitted(settings, targets))

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

    def targets(self, declared: Sequence[TargetSettings]) -> list[TargetSettings]:
        """Return the declared targets, then those of the sources; the first target of a name or a server stays."""
        targets = list(declared)
        names = {target.name for target in targets}
        servers = {(target.address, target.db) for target in targets}
        for entry in self._entries.values():
            for target in entry.targets:
                if target.name in names or (target.address, target.db) in servers:
                    self._reject(entry.settings, "known", f"{target.name} ({target.address}) is already a target")
                    continue
                names.add(target.name)
                servers.add((target.address, target.db))
                targets.append(target)
        return targets

    def _admitted(self, settings: SourceSettings, targets: Sequence[TargetSettings]) -> tuple[TargetSettings, ...]:
        """Return the targets of a source that the limits allow, and reject the others."""
        admitted: dict[str, TargetSettings] = {}
        for target in targets:
            if not self._allow_list(target.endpoint):
                self._reject(settings, "not_allowed", f"{target.address} is not in discovery.allow")
            elif target.name in admitted:
                self._reject(settings, "known", f"{target.name} occurs twice")
            elif len(admitted) >= self._limits.max_targets:
                self._reject(settings, "too_many", f"more than discovery.max_targets, {self._limits.max_targets}")
            else:
                admitted[target.name] = target
        return tuple(admitted.values())

    def _replace_targets(self, entry: _Entry, targets: tuple[TargetSettings, ...]) -> bool:
        """Replace the targets of a source, and count the changes; return whether there are any."""
        labels = (entry.settings.kind, entry.settings.name)
        before = {target.name: target for target in entry.targets}
        after = {target.name: target for target in targets}
        counts = {
            "added": len(after.keys() - before.keys()),
            "removed": len(before.keys() - after.keys()),
            "changed": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        }
        for change, count in counts.items():
            self._metrics.changes.labels(*labels, change).inc(count)
        self._metrics.targets.labels(*labels).set(len(targets))
        entry.targets = targets
        return any(counts.values())

    def _reject(self, settings: SourceSettings, reason: str, description: str) -> None:
        self._metrics.refused.labels(settings.kind, settings.name, reason).inc()
        if self._log_filter.changed((settings.key, reason, description), reason):
            self._log.warning(
                "target not taken", kind=settings.kind, source=settings.name, why=reason, what=description
            )
