"""Run all examinations: many targets at once, then sources, the daemon, Prometheus and Alertmanager."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import TextIO

from redis_pulse import file_descriptors
from redis_pulse.client import ConnectLimiter
from redis_pulse.collectors import Collector
from redis_pulse.config import DiscoverySettings, SourceSettings, TargetSettings
from redis_pulse.doctor.checks import TARGET_CHECKS
from redis_pulse.doctor.checks.alertmanager import examine_alertmanager
from redis_pulse.doctor.checks.daemon import examine_daemon
from redis_pulse.doctor.checks.own_host import examine_host
from redis_pulse.doctor.checks.prometheus import examine_prometheus
from redis_pulse.doctor.checks.sources import examine_source
from redis_pulse.doctor.examination import Examination, examine
from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.http import HttpClient
from redis_pulse.doctor.plan import Plan
from redis_pulse.server_info import Server
from redis_pulse.tokens import TokenRegistry

#: Targets that are examined at once. More would make the latencies doubtful.
MAX_AT_ONCE = 50
#: Descriptors of one examination.
_DESCRIPTORS = 6


class Progress:
    """One line on a terminal that shows how many targets are examined. Without a stream it does nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._total = self._done = 0

    def expect(self, count: int) -> None:
        """Add targets that will be examined."""
        self._total += count
        self._show()

    def advance(self) -> None:
        """Count one examined target."""
        self._done += 1
        self._show()

    def clear(self) -> None:
        """Remove the line."""
        self._put("\r\x1b[K")

    def _show(self) -> None:
        self._put(f"\r\x1b[K{self._done} of {self._total} targets")

    def _put(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._stream = None


class Doctor:
    """Examines everything in a plan. ``subjects`` are the findings so far, also after an interruption."""

    def __init__(
        self,
        plan: Plan,
        collectors: Mapping[str, Collector],
        progress: Progress,
        *,
        prometheus: HttpClient | None = None,
        alertmanager: HttpClient | None = None,
        send_test_alert: bool = False,
    ) -> None:
        self._plan = plan
        self._collectors = collectors
        self._progress = progress
        self._prometheus = prometheus
        self._alertmanager = alertmanager
        self._send_test_alert = send_test_alert
        self._connect_limiter = ConnectLimiter()
        self._tokens = TokenRegistry()
        self._targets: list[TargetSettings] = list(plan.targets)
        self._findings: dict[str, Findings] = {}
        self._others: list[Findings] = []
        self._servers: dict[str, Server] = {}
        #: the fields of INFO of each target, for the support bundle
        self.replies: dict[str, Mapping[str, str]] = {}

    @property
    def subjects(self) -> list[Findings]:
        """All findings, in the order of the configuration."""
        plan = self._plan.findings
        targets = [self._findings[target.name] for target in self._targets if target.name in self._findings]
        return [*([plan] if len(plan) else []), *targets, *self._others]

    def findings_of(self, name: str) -> Findings | None:
        """Return the findings of a target, or None if it was not examined."""
        return self._findings.get(name)

    def server_of(self, name: str) -> Server:
        """Return what is known about the server of a target. It is empty if no poll was answered."""
        return self._servers.get(name, Server())

    async def run(self) -> None:
        """Examine everything."""
        try:
            await self._sources()
            await self._all_targets()
            await self._surroundings()
        finally:
            self._progress.clear()

    async def _sources(self) -> None:
        """Refresh each source of discovery, and add its targets: servers of Sentinels, every node of a cluster."""
        limits = self._plan.settings.discovery if self._plan.settings else DiscoverySettings()
        results = await asyncio.gather(
            *(examine_source(source, limits, self._connect_limiter, self._tokens) for source in self._plan.sources)
        )
        known = {target.name for target in self._targets}
        for source, (findings, targets) in zip(self._plan.sources, results, strict=True):
            self._others.append(findings)
            for target in (*_sentinels(source), *targets):
                if target.name not in known:
                    known.add(target.name)
                    self._targets.append(target)

    async def _all_targets(self) -> None:
        self._progress.expect(len(self._targets))
        waiting = list(reversed(self._targets))
        count = min(len(waiting), self._at_once())

        async def work() -> None:
            while waiting:
                await self._one_target(waiting.pop())

        await asyncio.gather(*(work() for _ in range(count)))

    async def _one_target(self, target: TargetSettings) -> None:
        examination = Examination(
            target,
            self._collectors,
            connect_limiter=self._connect_limiter,
            tokens=self._tokens,
            unreadable=self._plan.unreadable,
        )
        self._findings[target.name] = examination.findings
        await examine(examination, TARGET_CHECKS)
        self.replies[target.name] = dict(examination.fields)
        self._servers[target.name] = examination.server
        self._progress.advance()

    def _at_once(self) -> int:
        limit = file_descriptors.raise_limit()
        return MAX_AT_ONCE if limit is None else max(1, min(MAX_AT_ONCE, (limit - 64) // _DESCRIPTORS))

    async def _surroundings(self) -> None:
        plan = self._plan
        host = examine_host(len(self._targets))
        if len(host):
            self._others.append(host)
        if plan.has_configuration and plan.settings is not None:
            self._others.append(await _guarded("daemon", examine_daemon(plan.settings, plan.findings.address)))
        if self._prometheus is not None:
            url = self._alertmanager.url if self._alertmanager else None
            examined = examine_prometheus(self._prometheus, plan.configured_names, url)
            self._others.append(await _guarded("Prometheus", examined))
        if self._alertmanager is not None:
            examined = examine_alertmanager(self._alertmanager, send_test_alert=self._send_test_alert)
            self._others.append(await _guarded("Alertmanager", examined))


def _sentinels(source: SourceSettings) -> list[TargetSettings]:
    """Return the Sentinels of a source as targets of their own, so that each one reports its quorum."""
    if source.kind != "sentinel":
        return []
    return [
        seed.model_copy(
            update={"collectors": {"info": {}, "sentinel": {}}, "name": f"{source.name} Sentinel {seed.name}"}
        )
        for seed in source.seeds
    ]


async def _guarded(subject: str, examined: Awaitable[Findings]) -> Findings:
    """Return the findings of a check. A fault of the check is a finding, and hides no other one."""
    try:
        return await examined
    except Exception as error:  # noqa: BLE001  # a fault of one check must not hide the other findings
        findings = Findings(subject)
        findings.check = subject.lower()
        findings.add("doctor.fault", check=findings.check, error=type(error).__name__)
        return findings
