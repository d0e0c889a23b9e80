"""What the pages for people show: the state of each target and of the exporter itself, as plain values."""

import platform
import resource
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from redis_pulse import __version__
from redis_pulse.config import EffectiveValue, LoadedConfig
from redis_pulse.daemon.memory_trimmer import resident_bytes
from redis_pulse.daemon.target_shutdown import MonitoredTarget
from redis_pulse.daemon.target_sync import TargetSync
from redis_pulse.polling.poller import INFO
from redis_pulse.sample_store import RenderedSamples, SampleStore
from redis_pulse.stalls import StallRecord
from redis_pulse.status import Hour, StatusEvent, eviction_policy, memory_share
from redis_pulse.telemetry import families
from redis_pulse.web import (
    CollectorView,
    FailingCollector,
    OwnStatus,
    Replication,
    StatusDetails,
    StatusView,
)

if TYPE_CHECKING:
    from redis_pulse.keyspace import KeyspaceReport

HOUR = 3600.0
#: Values of INFO that the page of one target shows, by their metrics.
_NUMBERS = (
    *("redis_memory_used_bytes", "redis_memory_max_bytes", "redis_mem_fragmentation_ratio"),
    *("redis_connected_clients", "redis_max_clients", "redis_blocked_clients", "redis_uptime_in_seconds"),
    *("redis_instantaneous_ops_per_sec", "redis_evicted_keys_total", "redis_rdb_last_save_timestamp_seconds"),
    *("redis_rdb_last_bgsave_status", "redis_connected_slaves", "redis_slowlog_length", "redis_slowlog_last_id"),
)


class OwnHistory:
    """What the exporter itself did in the last hour: its delays, its missed pings, and how it was read."""

    def __init__(self, wall: Callable[[], float], is_healthy: Callable[[], bool]) -> None:
        self._wall = wall
        #: whether the event loop runs on time
        self.is_healthy = is_healthy
        self.started = wall()
        self.loaded_at = self.started
        #: the newest reload that was refused after ``loaded_at``
        self.refused: tuple[float, str] | None = None
        self.file = ""
        self.effective: Sequence[EffectiveValue] = ()
        self.scraped: tuple[float, int] | None = None
        self._lags = Hour(self._minute())
        self._late: deque[tuple[int, int]] = deque(maxlen=60)

    def lag(self, seconds: float) -> None:
        """Record a delay of the event loop."""
        self._lags.add(self._minute(), seconds, closed=True)

    def missed(self, count: int) -> None:
        """Record pings that were late or not sent."""
        minute = self._minute()
        before = self._late.pop()[1] if self._late and self._late[-1][0] == minute else 0
        self._late.append((minute, before + count))

    def page_read(self, size: int) -> None:
        """Record that the metrics were read."""
        self.scraped = (self._wall(), size)

    def loaded(self, config: LoadedConfig) -> None:
        """Record that a configuration is in force."""
        self.loaded_at, self.refused = self._wall(), None
        self.file, self.effective = config.file, config.effective

    def refuse(self, problem: str) -> None:
        """Record that a configuration was refused."""
        self.refused = (self._wall(), problem)

    @property
    def max_lag(self) -> float | None:
        """The longest delay of the event loop in the last hour."""
        longest = [cell.max for cell in self._lags.cells(self._minute()) if cell.max is not None]
        return max(longest, default=None)

    @property
    def late_pings(self) -> int:
        """Pings of the last hour that were late or not sent."""
        first = self._minute() - 59
        return sum(count for minute, count in self._late if minute >= first)

    def _minute(self) -> int:
        return int(self._wall() // 60)


class StatusPages:
    """Implements ``redis_pulse.web.StatusInterface``."""

    def __init__(self, target_sync: TargetSync, store: SampleStore, own: OwnHistory) -> None:
        self._target_sync = target_sync
        self._targets = target_sync.targets
        self._store = store
        self._own = own

    def now(self) -> float:
        """Return the Unix time."""
        return self._targets.wall()

    def view(self, name: str) -> StatusView:
        """Return the state of a target. Raise ``KeyError`` if there is no such target."""
        monitored = self._monitored(name)
        return self._view(monitored, self._stalls(name).get(name, ()))

    def views(self) -> Iterator[StatusView]:
        """Yield the state of each target. A target that is removed meanwhile is left out."""
        stalls = self._stalls(None)
        for monitored in self._targets:
            if self._targets.statuses.get(monitored.target.name) is not None:
                yield self._view(monitored, stalls.get(monitored.target.name, ()))

    def keyspaces(self) -> list[str]:
        """Return the names of the targets whose keys are sampled."""
        return [monitored.target.name for monitored in self._targets if monitored.keyspace is not None]

    def keyspace(self, name: str) -> "KeyspaceReport | None":
        """Return what fills a target, or None if its keys are not sampled. Raise ``KeyError`` without the target."""
        sampler = self._monitored(name).keyspace
        return None if sampler is None else sampler.state.report()

    def details(self, name: str) -> StatusDetails:
        """Return what the page of one target shows. Raise ``KeyError`` if there is no such target."""
        monitored = self._monitored(name)
        status = self._targets.statuses.get(name)
        assert status is not None  # noqa: S101  # ``_monitored`` has looked for it
        samples = self._store.fresh(name, INFO)
        monitored.prober.read_tcp_info()
        tcp = monitored.prober.tcp_info
        return StatusDetails(
            failures=status.hour.failures(int(self.now() // 60)),
            events=self._targets.statuses.events.of(status.owner),
            collectors=self._collectors(monitored),
            replication=_replication(samples),
            numbers=_numbers(samples),
            policy="" if samples is None else eviction_policy(samples),
            rtt=None if tcp is None else tcp.rtt,
            min_rtt=None if tcp is None else tcp.min_rtt,
            retransmits=None if tcp is None else tcp.total_retrans,
            connected_since=status.connected_since,
            slow_command=status.slow_command,
            declared_in=self._target_sync.declared_in(name),
        )

    def own(self) -> OwnStatus:
        """Return the state of the exporter itself."""
        own, used = self._own, resource.getrusage(resource.RUSAGE_SELF)
        running = max(1.0, self.now() - own.started)
        refused_at, problem = own.refused or (None, "")
        return OwnStatus(
            version=__version__,
            python=platform.python_version(),
            started=own.started,
            is_healthy=own.is_healthy(),
            loaded_at=own.loaded_at,
            refused_at=refused_at,
            problem=problem,
            file=own.file,
            declared=self._target_sync.declared,
            sources=self._target_sync.source_reports(),
            late_pings=own.late_pings,
            due_pings=round(
                min(HOUR, running) * sum(1 / monitored.target.probe.interval for monitored in self._targets)
            ),
            max_lag=own.max_lag,
            cpu_share=(used.ru_utime + used.ru_stime) / running,
            resident_bytes=resident_bytes(),
            scraped=own.scraped,
        )

    def events(self, since: float) -> Iterator[StatusEvent]:
        """Yield the events of all targets and of the exporter, the newest first."""
        return self._targets.statuses.events.newest(since)

    def configuration(self) -> Sequence[EffectiveValue]:
        """Return the effective configuration."""
        return self._own.effective

    def _monitored(self, name: str) -> MonitoredTarget:
        monitored = self._targets.get(name)
        if monitored is None or self._targets.statuses.get(name) is None:
            raise KeyError(name)
        return monitored

    def _stalls(self, name: str | None) -> Mapping[str, Sequence[StallRecord]]:
        since = self.now() - HOUR
        found: dict[str, list[StallRecord]] = defaultdict(list)
        for record in self._targets.stalls.newest(name):
            if record.target is not None and record.started >= since:
                found[record.target].append(record)
        return found

    def _view(self, monitored: MonitoredTarget, stalls: Sequence[StallRecord]) -> StatusView:
        target, server = monitored.target, monitored.poller.server
        status = self._targets.statuses.get(target.name)
        assert status is not None  # noqa: S101  # the callers have looked for it
        samples = self._store.fresh(target.name, INFO)
        failure = status.failure
        return StatusView(
            name=target.name,
            address=target.address,
            host=target.endpoint.host,
            port=target.endpoint.port,
            user=target.user,
            is_tls=target.endpoint.tls,
            labels=target.labels,
            state=status.state,
            since=status.since,
            since_start=status.since_start,
            reason="" if failure is None else failure.reason,
            error="" if failure is None else failure.text,
            unacked=self._unacked(monitored) if status.state == "stalled" else None,
            last_trouble=status.last_trouble,
            risks=status.risks,
            failing=[
                FailingCollector(name, failed.error.reason, str(failed.error), failed.commands, target.user)
                for name, failed in monitored.poller.failing.items()
            ],
            breaker=monitored.breaker.state,
            next_try_seconds=monitored.breaker.seconds_until_attempt() if monitored.breaker.state == "open" else None,
            objective=target.slo.latency,
            hour=status.hour,
            minute=int(self.now() // 60),
            stalls=stalls,
            memory=None if samples is None else memory_share(samples),
            software=server.software,
            version=server.version,
            role=server.role,
            mode=server.mode,
            service=server.service,
        )

    @staticmethod
    def _unacked(monitored: MonitoredTarget) -> int | None:
        monitored.prober.read_tcp_info()
        info = monitored.prober.tcp_info
        return None if info is None else info.unacked

    def _collectors(self, monitored: MonitoredTarget) -> list[CollectorView]:
        name, metrics = monitored.target.name, monitored.metrics
        found = []
        for collector in self._targets.collectors:
            seconds = metrics.current(families.COLLECTOR_SECONDS, collector)
            if seconds is None:
                continue
            failed = monitored.poller.failing.get(collector)
            outcome, error = "ok", ""
            commands: Sequence[str] = ()
            if metrics.current(families.SUPPORTED, collector) == 0:
                outcome = "unsupported"
            elif failed is not None:
                outcome = "denied" if failed.commands else "failing"
                error, commands = str(failed.error), failed.commands
            age = self._store.age(name, collector)
            found.append(CollectorView(collector, outcome, seconds, age, error, commands))
        return found


def _numbers(samples: RenderedSamples | None) -> dict[str, float]:
    if samples is None:
        return {}
    values = {name: samples.value(name) for name in _NUMBERS}
    return {name: value for name, value in values.items() if value is not None}


def _replication(samples: RenderedSamples | None) -> Replication:
    if samples is None:
        return Replication("", None, 0, None)
    links, text = samples.numbers("redis_master_link_up"), samples.text("redis_master_link_up").decode(errors="replace")
    host, _, rest = text.partition('master_host="')[2].partition('"')
    port = rest.partition('master_port="')[2].partition('"')[0]
    replicas = samples.value("redis_connected_slaves")
    lags = samples.numbers("redis_replica_lag_bytes")
    master = f"{host}:{port}" if host else ""
    link = bool(min(links)) if links else None
    return Replication(master, link, int(replicas or 0), max(lags, default=None))
