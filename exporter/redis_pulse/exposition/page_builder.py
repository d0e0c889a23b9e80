"""Build ``/metrics`` from the samples of all servers and the metrics of the exporter, one family for all targets.

The samples of a target are rendered once per poll (``rendering.render``), to the same bytes for both formats.
A scrape joins these bytes family by family. It works in slices so short that no PONG waits long to be read.
Scrapes that arrive while a page is built, or shortly after, share that page. So many scrapes do not slow the
measurements down. A page is built to its end even if its scrapers have left. There are only four (``Encoding``).
There are any number of parts of the page. So a part is cancelled when its last scraper leaves.

``text_format`` writes single lines.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from operator import is_, itemgetter
from time import perf_counter
from typing import NamedTuple
from weakref import WeakSet

from prometheus_client import Metric

from redis_pulse.exposition.grouped_page import Chunk, GroupedPage, batches, steps
from redis_pulse.exposition.page_body import PageBody, PageWriter
from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.rendering import family_headers, with_headers
from redis_pulse.exposition.sample_groups import SampleGroups
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import RenderedSamples, RowLayout, SampleStore
from redis_pulse.shared_work import SharedWork
from redis_pulse.slices import MAX_SLICE, SharedTurns
from redis_pulse.telemetry import ExporterMetrics, MetricFamily
from redis_pulse.telemetry.families import TARGET_FAMILIES
from redis_pulse.text_format import escape_label_value, family_header, format_number

#: Most bytes of joined server lines that are kept from one scrape to the next.
MAX_CACHED_BYTES = 1024 * 1024
#: Seconds for which a page is served again. A page that took longer to build is served again for as long as it took.
#: So a flood of scrapes takes at most half of the time of the event loop.
CACHE_TTL = 0.02
#: Most seconds for which a page is served again.
MAX_CACHE_TTL = 0.5


class Encoding(NamedTuple):
    """The format of a page, and whether it is compressed."""

    openmetrics: bool
    gzip: bool


class _CachedBody(NamedTuple):
    expires: float
    body: PageBody


class _BodyCache:
    """Lets scrapes share whole pages: the one that is being built, and the one that was built a moment ago."""

    def __init__(self, build: Callable[[Encoding], Awaitable[PageBody]], clock: Callable[[], float]) -> None:
        self._build = build
        self._clock = clock
        self._tasks: dict[Encoding, asyncio.Task[PageBody]] = {}
        self._bodies: dict[Encoding, _CachedBody] = {}

    async def get(self, encoding: Encoding) -> PageBody:
        """Return the page in this encoding. A cancelled caller does not stop a build that others wait for."""
        if (cached := self._bodies.get(encoding)) is not None and self._clock() < cached.expires:
            return cached.body
        task = self._tasks.get(encoding)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._build_and_keep(encoding))
            self._tasks[encoding] = task
            task.add_done_callback(lambda _: self._tasks.pop(encoding, None))
        return await asyncio.shield(task)

    async def _build_and_keep(self, encoding: Encoding) -> PageBody:
        began = self._clock()
        self._bodies.pop(encoding, None)
        body = await self._build(encoding)
        now = self._clock()
        ttl = min(max(CACHE_TTL, now - began), MAX_CACHE_TTL)
        self._bodies[encoding] = cached = _CachedBody(now + ttl, body)
        # A page may have 100 MB. It must not stay in memory until the next scrape.
        asyncio.get_running_loop().call_later(MAX_CACHE_TTL, self._drop, encoding, cached)
        return body

    def _drop(self, encoding: Encoding, cached: _CachedBody) -> None:
        if self._bodies.get(encoding) is cached:
            del self._bodies[encoding]


class _JoinedLines(NamedTuple):
    """The server families of a page, and the samples that they were joined from."""

    samples: list[RenderedSamples]
    text: bytes


async def body_of(chunks: Iterator[Chunk], *, gzip: bool, turns: SharedTurns) -> PageBody:
    """Collect and compress chunks, and yield to the event loop after each slice."""
    writer = PageWriter(gzip=gzip)
    with turns.page():
        for chunk in chunks:
            if isinstance(chunk, bytes):
                writer.text(chunk)
            else:
                writer.blocks(chunk)
            if turns.is_over_for_page():
                await turns.take_for_page()
    return writer.end()


class PageBuilder:
    """Builds ``/metrics``. Polls and pages of an event loop share ``turns``."""

    def __init__(
        self,
        store: SampleStore,
        metrics: ExporterMetrics,
        specs: Sequence[MetricSpec],
        *,
        turns: SharedTurns | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self.turns = turns or SharedTurns(MAX_SLICE, clock)
        self._metric_specs = list(with_headers(specs))
        #: Layouts whose specs are all in ``_metric_specs``. Operators name metrics too, and a reload may add some.
        self._known_layouts: WeakSet[RowLayout] = WeakSet()
        self._target_families = [
            (family, family_headers(family.name, family.kind, family.help)) for family in TARGET_FAMILIES
        ]
        self._joined_lines: dict[bool, _JoinedLines] = {}
        self._groups = SampleGroups(store, metrics, self.turns, clock)
        self._bodies = _BodyCache(self._build_full, clock)
        #: One part of all targets is built at a time, and one short part. Each may take as much memory as the page.
        self._parts = (SharedWork[PageBody](), SharedWork[PageBody]())

    async def full(self, *, openmetrics: bool, gzip: bool) -> PageBody:
        """Return the whole page as text or OpenMetrics, compressed or plain."""
        if gzip or not len(self._groups):
            return await self._bodies.get(Encoding(openmetrics, gzip))
        body = await self._bodies.get(Encoding(openmetrics, gzip=True))  # the blocks of both encodings are the same
        return PageBody(body.stored, is_gzip=False)

    async def filtered(self, page_filter: PageFilter, *, openmetrics: bool, gzip: bool) -> PageBody:
        """Return the part of the page that a filter selects."""
        encoding = Encoding(openmetrics, gzip)
        parts = self._parts[page_filter.is_short]
        return await parts.get((page_filter, encoding), partial(self._build_part, page_filter, encoding))

    @property
    def groups(self) -> SampleGroups:
        """The groups of targets whose samples are kept compressed."""
        return self._groups

    @property
    def specs(self) -> list[MetricSpec]:
        """The metrics of servers, in the order of the page."""
        return [spec for spec, _ in self._metric_specs]

    @property
    def names(self) -> list[str]:
        """The names of all families that a page can have, in the spelling of the text format."""
        specs = [spec.full_name for spec, _ in self._metric_specs]
        target_families = [family.name for family, _ in self._target_families]
        return list(dict.fromkeys([*specs, *target_families, *self._own_names]))

    @cached_property
    def _own_names(self) -> list[str]:
        """The names of the families of the daemon. They never change, and collecting them takes 0.2 ms."""
        return [_name(family) for family in self._metrics.collect_own()]

    async def _build_part(self, page_filter: PageFilter, encoding: Encoding) -> PageBody:
        stream = self._stream_filtered(page_filter, openmetrics=encoding.openmetrics)
        return await self._build(stream, gzip=encoding.gzip)

    async def _build_full(self, encoding: Encoding) -> PageBody:
        return await self._build(self._stream(openmetrics=encoding.openmetrics), gzip=encoding.gzip)

    async def _build(self, chunks: Iterator[Chunk], *, gzip: bool) -> PageBody:
        began = self._clock()
        body = await body_of(chunks, gzip=gzip, turns=self.turns)
        self._metrics.render_seconds.observe(self._clock() - began)
        return body

    def _stream(self, *, openmetrics: bool) -> Iterator[Chunk]:
        """Yield the whole page in chunks. Each chunk takes a part of a slice to make, and some are empty."""
        groups, loose = yield from steps(self._groups.prepare())
        if groups:
            page = GroupedPage(self._store, self._metrics, self._groups, groups, loose, openmetrics=openmetrics)
            yield from self._grouped(page, PageFilter())
            return
        samples = self._store.all_fresh(besides=self._metrics.scraped_apart)
        joined = self._joined_lines.get(openmetrics)
        if joined and len(joined.samples) == len(samples) and all(map(is_, joined.samples, samples)):
            yield joined.text  # nothing was polled since the last scrape
        else:
            yield from self._server_families(samples, openmetrics=openmetrics)
        by_family = defaultdict[MetricFamily, list[bytes]](list)
        for lines in self._metrics.render_targets(openmetrics=openmetrics):
            for family, text in lines.items():
                by_family[family].append(text)
            yield b""
        for family, headers in self._target_families:
            if texts := by_family.pop(family, None):
                yield headers[openmetrics]
                yield from batches(texts, bytes)
        yield from self._own_families(PageFilter(), openmetrics=openmetrics)

    def _stream_filtered(self, page_filter: PageFilter, *, openmetrics: bool) -> Iterator[Chunk]:
        if not page_filter.is_short:
            groups, loose = yield from steps(self._groups.prepare())
            if groups:
                page = GroupedPage(self._store, self._metrics, self._groups, groups, loose, openmetrics=openmetrics)
                yield from self._grouped(page, page_filter)
                return
        targets = page_filter.targets(self._metrics)
        for target in targets:
            self._add_specs(rendered.layout for rendered in self._store.fresh_by_collector(target).values())
            yield b""
        yield from page_filter.server_families(self._store, targets, self._metric_specs, openmetrics=openmetrics)
        yield from page_filter.target_families(self._metrics, targets, self._target_families, openmetrics=openmetrics)
        yield from self._own_families(page_filter, openmetrics=openmetrics)

    def _grouped(self, page: GroupedPage, page_filter: PageFilter) -> Iterator[Chunk]:
        self._add_specs(page.layouts())
        yield from page.server_families(self._metric_specs, page_filter)
        yield from page.target_families(self._target_families, page_filter)
        yield from self._own_families(page_filter, openmetrics=page.openmetrics)

    def _own_families(self, page_filter: PageFilter, *, openmetrics: bool) -> Iterator[bytes]:
        """Yield the metrics of the daemon, and the end of the page."""
        for family in self._metrics.collect_own() if page_filter.includes_daemon else ():
            if page_filter.matches(_name(family)):
                yield _render_family(family, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"

    def _server_families(self, samples: list[RenderedSamples], *, openmetrics: bool) -> Iterator[bytes]:
        """Yield the metrics that the servers report, and keep the joined lines if they are not too long.

        They are used again until a target is polled. With many targets that is always before the next scrape.
        """
        by_layout = defaultdict[RowLayout, list[tuple[bytes, ...]]](list)
        for rendered in samples:
            by_layout[rendered.layout].append(rendered.texts)
        self._add_specs(by_layout)
        kept: list[bytes] = []
        size = 0
        for spec, headers in self._metric_specs:
            header = headers[openmetrics]
            for layout, targets in by_layout.items():
                if (position := layout.positions.get(spec)) is None:
                    continue
                for batch in batches(targets, itemgetter(position)):
                    chunk = header + batch
                    yield chunk
                    if size <= MAX_CACHED_BYTES:
                        kept.append(chunk)
                        size += len(chunk)
                    header = b""
        if size <= MAX_CACHED_BYTES:
            self._joined_lines[openmetrics] = _JoinedLines(samples, b"".join(kept))
        else:
            self._joined_lines.pop(openmetrics, None)

    def _add_specs(self, layouts: Iterable[RowLayout]) -> None:
        """Add the specs of these layouts that were not passed to the constructor."""
        for layout in layouts:
            if layout not in self._known_layouts:
                self._known_layouts.add(layout)
                known = {spec for spec, _ in self._metric_specs}
                self._metric_specs += with_headers(spec for spec in layout.positions if spec not in known)


def _name(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def _render_family(family: Metric, *, openmetrics: bool) -> bytes:
    """Render a family of the daemon. Creation times are left out, because they would double its size."""
    name = _name(family)
    lines = [family_header(name, family.type, family.documentation, openmetrics=openmetrics)]
    for sample in family.samples:
        if not sample.name.endswith("_created"):
            labels = ",".join([f'{key}="{escape_label_value(text)}"' for key, text in sample.labels.items()])
            braces = f"{{{labels}}}" if labels else ""
            lines.append(f"{sample.name}{braces} {format_number(sample.value)}\n".encode())
    return b"".join(lines)
