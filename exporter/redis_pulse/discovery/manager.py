"""The kinds of sources: what makes each of its settings and surroundings.

Each imports its file only when one of its kind is configured: most daemons need none, and start the sooner.

Where targets come from besides the configuration: one file a kind of source, and here what they have in common.

A source that fails keeps what it knew: it is counted, and its age can be seen, but no target is lost for it. What it
names is taken only where it is allowed (``discovery.allow``), once (a declared target, then the source that stands
first, wins), and up to ``discovery.max_targets``.

The list of networks and names that a found target may have.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from redis_pulse import log
from redis_pulse.config import DiscoverySettings as Limits
from redis_pulse.config import Endpoint, SourceSettings, TargetSettings
from redis_pulse.discovery.base import DiscoveryError, PartlyFoundError, SourceContext, TargetSource
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import DiscoveryMetrics


class AllowList:
    """``patterns`` are networks (``10.0.0.0/8``) and names (``cache.internal``, ``*.cache.internal``); none: all may.

    A name is held against names only: where it leads to is for DNS to say, at every connection anew.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._any = not patterns
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: list[str] = []
        for pattern in patterns:
            try:
                self._networks.append(ipaddress.ip_network(pattern, strict=False))
            except ValueError:
                self._names.append(pattern.lower().rstrip("."))

    def __call__(self, endpoint: Endpoint) -> bool:
        """Whether a target may be there."""
        if self._any:
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


def _file(settings: SourceSettings, surroundings: SourceContext) -> TargetSource:
    from redis_pulse.discovery.file_sd import FileSource

    return FileSource(settings, surroundings)


def _http(settings: SourceSettings, surroundings: SourceContext) -> TargetSource:
    from redis_pulse.discovery.http_sd import HttpSource

    return HttpSource(settings, surroundings)


def _dns(settings: SourceSettings, surroundings: SourceContext) -> TargetSource:
    from redis_pulse.discovery.dns_sd import DnsSource

    return DnsSource(settings, surroundings)


def _cluster(settings: SourceSettings, surroundings: SourceContext) -> TargetSource:
    from redis_pulse.discovery.cluster.source import ClusterSource

    return ClusterSource(settings, surroundings)


def _sentinel(settings: SourceSettings, surroundings: SourceContext) -> TargetSource:
    from redis_pulse.discovery.sentinel.source import SentinelSource

    return SentinelSource(settings, surroundings)


#: By ``SourceSettings.kind``.
MAKERS: dict[str, Callable[[SourceSettings, SourceContext], TargetSource]] = {
    "file": _file,
    "http": _http,
    "dns": _dns,
    "cluster": _cluster,
    "sentinel": _sentinel,
}
#: Makes the surroundings of a source, given its settings, its ``hint`` and its ``refuse``.
MakeContext = Callable[[SourceSettings, Callable[[], None], Callable[[str, str], None]], SourceContext]
#: Seconds that a refresh may take at most; sources that talk to servers have deadlines of their own within it.
LONGEST = 30.0
#: Seconds that closing a source may take.
CLOSE_WITHIN = 1.0


@dataclass(slots=True)
class _Entry:
    source: TargetSource
    known: tuple[TargetSettings, ...] = ()
    tried: bool = False
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    again: bool = False


class DiscoveryManager:
    """All sources of one configuration. ``changed`` is awaited when the targets have changed."""

    def __init__(
        self,
        instruments: DiscoveryMetrics,
        lend: MakeContext,
        *,
        changed: Callable[[], Awaitable[None]],
        wall: Callable[[], float],
    ) -> None:
        self._metrics = instruments
        self._make_context = lend
        self._changed = changed
        self._wall = wall
        self._entries: dict[str, _Entry] = {}
        self._allowed = AllowList(())
        self._limits = Limits()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = log.get("discovery")
        self._noted = log.StateChangeFilter()

    @property
    def settled(self) -> bool:
        """Whether every source was asked once, whatever came of it."""
        return all(entry.tried for entry in self._entries.values())

    async def apply(self, sources: Sequence[SourceSettings], limits: Limits) -> tuple[list[SourceSettings], list[str]]:
        """Take over a configuration; return the sources to be refreshed from now on, and the keys of those that go.

        A source that did not change goes on undisturbed. One that did keeps what it knew until it is asked.
        """
        if limits != self._limits:
            self._limits, self._allowed = limits, AllowList(limits.allow)
            for entry in self._entries.values():
                entry.known = self._admitted(entry.source.settings, entry.known)
        wanted = {source.key: source for source in sources}
        gone = [key for key, entry in self._entries.items() if wanted.get(key) != entry.source.settings]
        left = {key: self._entries.pop(key) for key in gone}
        come = [source for source in sources if source.key not in self._entries]
        for settings in come:
            known = left[settings.key].known if settings.key in left else ()
            self._entries[settings.key] = _Entry(self._make(settings), known)
        self._entries = {key: self._entries[key] for key in wanted}
        for key in left.keys() - wanted.keys():
            self._metrics.forget(left[key].source.settings.kind, left[key].source.settings.name)
        # Last: meanwhile the new entries already say what was known.
        await asyncio.gather(*(self._close(entry) for entry in left.values()))
        return come, gone

    async def refresh(self, key: str) -> None:
        """Ask one source; a second call meanwhile makes it ask once more."""
        if (entry := self._entries.get(key)) is None:
            return
        if entry.busy.locked():
            entry.again = True
            return
        async with entry.busy:
            entry.again = True
            while entry.again and self._entries.get(key) is entry:
                entry.again = False
                if await self._ask(entry):
                    await self._changed()

    def targets(self, declared: Sequence[TargetSettings]) -> list[TargetSettings]:
        """Return the declared targets and those that were found; of two for one server the first stays."""
        found = list(declared)
        names = {target.name for target in found}
        servers = {(target.address, target.db) for target in found}
        for entry in self._entries.values():
            for target in entry.known:
                if target.name in names or (target.address, target.db) in servers:
                    self._refuse(
                        entry.source.settings, "known", f"{target.name} ({target.address}) is a target already"
                    )
                    continue
                names.add(target.name)
                servers.add((target.address, target.db))
                found.append(target)
        return found

    async def stop(self) -> None:
        """Close every source."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self._close(entry) for entry in self._entries.values()))

    async def _close(self, entry: _Entry) -> None:
        """Close a source; whatever comes of it, the others and the targets go on."""
        settings = entry.source.settings
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await entry.source.aclose()
        except Exception as error:  # noqa: BLE001  # a fault of ours in one source must not stop the others
            self._log.error("a source is at fault", kind=settings.kind, source=settings.name, exc_info=error)

    def _hinted(self, settings: SourceSettings, task: asyncio.Task[None]) -> None:
        """Take note of the end of a refresh that nobody waits for."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            fault = error if isinstance(error, Exception) else None
            self._failed(settings, type(error).__name__, fault)

    def _make(self, settings: SourceSettings) -> TargetSource:
        def hint() -> None:
            task = asyncio.get_running_loop().create_task(self.refresh(settings.key))
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._hinted(settings, task))

        def refuse(why: str, what: str) -> None:
            self._refuse(settings, why, what)

        def allowed(endpoint: Endpoint) -> bool:
            return self._allowed(endpoint)  # the list of now, also for a source that a reload left alone

        def known() -> Sequence[TargetSettings]:
            return self._entries[settings.key].known if settings.key in self._entries else ()

        whose = (settings.kind, settings.name)
        for counter in (self._metrics.refreshes, self._metrics.failures):
            counter.labels(*whose)
        for change in ("added", "removed", "changed"):
            self._metrics.changes.labels(*whose, change)
        around = replace(self._make_context(settings, hint, refuse), allowed=allowed, known=known)
        return MAKERS[settings.kind](settings, around)

    async def _ask(self, entry: _Entry) -> bool:
        """Refresh a source; return whether its targets changed."""
        settings = entry.source.settings
        whose = (settings.kind, settings.name)
        self._metrics.refreshes.labels(*whose).inc()
        named: Sequence[TargetSettings] | None = None
        why, fault = "", None
        try:
            async with asyncio.timeout(LONGEST):
                named = await entry.source.refresh()
        except PartlyFoundError as error:
            named, why = error.targets, str(error)
        except (DiscoveryError, TargetError, TimeoutError, OSError) as error:
            why = str(error) or "no answer in time"
        except Exception as error:  # noqa: BLE001  # a fault of ours in one source must not stop the others
            why, fault = type(error).__name__, error
        finally:
            entry.tried = True
        if self._entries.get(settings.key) is not entry:
            return False  # a reload took it away meanwhile: its series are gone, and stay so
        if why:
            self._failed(settings, why, fault)
        else:
            if self._noted.changed(settings.key, "ok"):
                self._log.info("targets found", kind=settings.kind, source=settings.name, targets=len(named or ()))
            self._metrics.last_success.labels(*whose).set(self._wall())
        return named is not None and self._put(entry, self._admitted(settings, named))

    def _put(self, entry: _Entry, admitted: tuple[TargetSettings, ...]) -> bool:
        whose = (entry.source.settings.kind, entry.source.settings.name)
        before = {target.name: target for target in entry.known}
        after = {target.name: target for target in admitted}
        counts = {
            "added": len(after.keys() - before.keys()),
            "removed": len(before.keys() - after.keys()),
            "changed": sum(before[name] != after[name] for name in before.keys() & after.keys()),
        }
        for change, count in counts.items():
            self._metrics.changes.labels(*whose, change).inc(count)
        self._metrics.targets.labels(*whose).set(len(admitted))
        entry.known = admitted
        return any(counts.values())

    def _admitted(self, settings: SourceSettings, named: Sequence[TargetSettings]) -> tuple[TargetSettings, ...]:
        admitted: dict[str, TargetSettings] = {}
        for target in named:
            if not self._allowed(target.endpoint):
                self._refuse(settings, "not_allowed", f"{target.address} is not in discovery.allow")
            elif target.name in admitted:
                self._refuse(settings, "known", f"{target.name} is named twice")
            elif len(admitted) >= self._limits.max_targets:
                self._refuse(settings, "too_many", f"more than discovery.max_targets, {self._limits.max_targets}")
            else:
                admitted[target.name] = target
        return tuple(admitted.values())

    def _refuse(self, settings: SourceSettings, why: str, what: str) -> None:
        self._metrics.refused.labels(settings.kind, settings.name, why).inc()
        if self._noted.changed((settings.key, why, what), why):
            self._log.warning("target not taken", kind=settings.kind, source=settings.name, why=why, what=what)

    def _failed(self, settings: SourceSettings, why: str, fault: Exception | None = None) -> None:
        self._metrics.failures.labels(settings.kind, settings.name).inc()
        if not self._noted.changed(settings.key, why):
            return
        fields = {"kind": settings.kind, "source": settings.name, "error": why}
        if fault is None:
            self._log.warning("targets not found anew", **fields)
        else:
            self._log.error("a source is at fault", exc_info=fault, **fields)
