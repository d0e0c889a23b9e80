"""A fake daemon, and a raw client that sends exactly the bytes of a test."""

import asyncio
import gzip as zlib_gzip
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
from starlette.types import ASGIApp

from redis_pulse.stalls import StallRecord
from redis_pulse.web import (
    ConnectionLimits,
    FailingCollector,
    HttpServer,
    InfoSummary,
    MetricsFilter,
    PendingChange,
    SdTarget,
    TargetView,
    build,
)
from redis_pulse.web.query import QueryError
from tests.patience import at_most
from tests.web.pages.scenes import FakeStatus, target

STATS = InfoSummary(
    connected_clients=3,
    used_memory_bytes=1_100_000,
    total_commands_processed=1234,
    keyspace_hits=2,
    keyspace_misses=1,
)
UP = TargetView(
    name="cache",
    address="127.0.0.1:6379",
    status="connected",
    up=True,
    latency_seconds=0.000_123_4,
    probe_age_seconds=0.25,
    breaker="closed",
    software="valkey",
    version="9.1.2",
    role="master",
    mode="standalone",
    service="",
    sample_age_seconds=4.0,
    labels={"team": "web"},
    failing=(),
)
DOWN = replace(
    UP,
    name="queue",
    address="10.0.0.7:6379",
    status="error: refused: nothing listens at 10.0.0.7:6379",
    up=False,
    latency_seconds=None,
    breaker="open",
)
#: Up, with two collectors that fail.
DEGRADED = replace(
    UP,
    name="half",
    failing=[
        FailingCollector("slowlog", "timeout", "no answer in time", (), "exporter"),
        FailingCollector("clients", "permission", "NOPERM no", ("client|list",), "exporter"),
    ],
)


@dataclass
class FakeAdoption:
    """Adopts every target under the name ``cache``, or refuses it with ``error``. It records its calls."""

    is_enabled: bool = False
    error: QueryError | None = None
    calls: list[tuple[str, str | None, str | None, float]] = field(default_factory=list)
    browsers: int = 0

    async def prepare(self, text: str, known: str | None, module: str | None, within: float) -> str:
        self.calls.append((text, known, module, within))
        if self.error is not None:
            raise self.error
        return "cache"

    def refuse_browser(self) -> None:
        self.browsers += 1


@dataclass
class FakeDaemon:
    """Returns what its fields hold, and records its calls."""

    views: Sequence[TargetView] = (UP,)
    summaries: Mapping[str, InfoSummary] = field(default_factory=lambda: {"cache": STATS})
    version: str = "0.1.0"
    page: bytes = b"redis_up 1\n"
    changes: Sequence[PendingChange] = ()
    records: Sequence[StallRecord] = ()
    is_ready: bool = True
    is_healthy: bool = True
    reload_error: str | None = None
    #: ``metrics`` raises it
    failure: Exception | None = None
    reloads: int = 0
    filtered: list[tuple[str | None, MetricsFilter]] = field(default_factory=list)
    in_protobuf: list[tuple[str | None, MetricsFilter]] = field(default_factory=list)
    scrapes_failed: int = 0
    scrapes: list[tuple[str | None, str]] = field(default_factory=list)
    requests: list[tuple[str, int, float]] = field(default_factory=list)
    #: what the pages for people read
    status: FakeStatus = field(default_factory=lambda: FakeStatus([target("cache")]))
    adoption: FakeAdoption = field(default_factory=FakeAdoption)
    #: ``metrics`` waits until it is set
    gate: asyncio.Event | None = None
    #: set when ``metrics`` is called
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def stalls(self, target: str | None, cause: str | None, limit: int) -> Iterable[StallRecord]:
        matching = [one for one in self.records if target in (None, one.target) and cause in (None, one.cause)]
        return matching[:limit]

    async def metrics(self, *, openmetrics: bool, gzip: bool) -> bytes:
        self.called.set()
        if self.failure is not None:
            raise self.failure
        if self.gate is not None:
            await self.gate.wait()
        page = self.page + (b"# EOF\n" if openmetrics else b"")
        return zlib_gzip.compress(page) if gzip else page

    async def filtered_metrics(
        self, target: str | None, metrics_filter: MetricsFilter, *, openmetrics: bool, gzip: bool
    ) -> bytes:
        self.filtered.append((target, metrics_filter))
        return await self.metrics(openmetrics=openmetrics, gzip=gzip)

    async def protobuf_metrics(self, target: str | None, metrics_filter: MetricsFilter, *, gzip: bool) -> bytes:
        self.in_protobuf.append((target, metrics_filter))
        return await self.metrics(openmetrics=False, gzip=gzip)

    def find(self, name_or_address: str) -> str | None:
        return next((view.name for view in self.views if name_or_address in (view.name, view.address)), None)

    def target(self, name: str) -> TargetView:
        return {view.name: view for view in self.views}[name]

    def stats(self, name: str) -> InfoSummary | None:
        return self.summaries.get(name)

    def target_names(self) -> Sequence[str]:
        return [view.name for view in self.views]

    def sd_targets(self) -> Iterable[SdTarget]:
        return [SdTarget(view.name, view.address, view.labels) for view in self.views]

    def collectors(self) -> Sequence[str]:
        return ["info", "slowlog"]

    def metric_names(self) -> Sequence[str]:
        return ["redis_up", "redis_memory_used_bytes"]

    def scraped(self, target: str | None, client: str) -> None:
        self.scrapes.append((target, client))

    def scrape_failed(self) -> None:
        self.scrapes_failed += 1

    def targets(self) -> Sequence[TargetView]:
        return self.views

    def pending(self) -> Sequence[PendingChange]:
        return self.changes

    def ready(self) -> bool:
        return self.is_ready

    def healthy(self) -> bool:
        return self.is_healthy

    def uptime_seconds(self) -> float:
        return 12.3456

    async def reload(self) -> str | None:
        self.reloads += 1
        return self.reload_error

    def count_request(self, path: str, status: int, seconds: float) -> None:
        self.requests.append((path, status, seconds))


def client(daemon: FakeDaemon, **options: Any) -> httpx.AsyncClient:
    """Return a client of the application itself, without a socket."""
    transport = httpx.ASGITransport(build(daemon, **options))
    return httpx.AsyncClient(transport=transport, base_url="http://pulse")


@asynccontextmanager
async def served(
    app: FakeDaemon | ASGIApp, limits: ConnectionLimits | None = None, refused: list[str] | None = None
) -> AsyncIterator[HttpServer]:
    """Serve a daemon or an application on a free port of this machine. Reasons of refusals go to ``refused``."""
    if isinstance(app, FakeDaemon):
        app = build(app)
    reasons = [] if refused is None else refused
    server = HttpServer(app, "127.0.0.1:0", limits=limits, on_refused=reasons.append)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class RawConnection:
    """A connection to a server on this machine, without an HTTP library."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_until(self, end: bytes) -> bytes:
        async with at_most(5):
            return await self.reader.readuntil(end)

    async def read_rest(self) -> bytes:
        """Return all bytes until the server closes or resets the connection."""
        received = b""
        try:
            async with at_most(5):
                while data := await self.reader.read(65536):
                    received += data
        except ConnectionError:
            pass
        return received


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[RawConnection]:
    """Connect to a server on this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.transport.abort()
