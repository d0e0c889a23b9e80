"""The page: everything in the store and everything that we count, one family a metric for all targets.

A target's lines are rendered once per poll (``render``) and are the same bytes in both formats; a scrape joins them
family by family, in slices short enough that a PONG which arrives meanwhile is not kept waiting. Scrapes that come
while a page is being built, or a moment after, share it: however many ask, the measuring goes on.

What one line looks like stands in ``lines``.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_, itemgetter
from time import perf_counter
from typing import Any, TypeVar
from weakref import WeakSet

from isal import isal_zlib
from prometheus_client import Metric as Collected

from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.rendering import family_headers, with_headers
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import RenderedSamples, RowLayout, SampleStore
from redis_pulse.telemetry import ExporterMetrics, MetricFamily
from redis_pulse.telemetry.families import OF_TARGETS
from redis_pulse.text_format import escape_label_value, family_header, format_number

#: Seconds of work after which a page in the making lets others have the loop: a quarter of the time they took, when
#: that is more: or on a busy machine, where they have much to catch up with, a page would take minutes. And the most.
MAX_SLICE, YIELD_SHARE, MAX_SLICE_BUSY = 0.0005, 0.25, 0.005
#: Bytes that are compressed at once: each call costs some microseconds, and 32 KiB take a tenth of a millisecond.
_BLOCK = 32 * 1024
#: Bytes of joined lines that are kept from one scrape to the next.
MAX_CACHED_BYTES = 1024 * 1024
#: Seconds for which a page that was built is handed out again, or as long as it took to build, if that was longer: so
#: a flood of scrapes has at most half of the loop's time. How long at most, and the bytes that such a page may have.
CACHE_TTL, MAX_CACHE_TTL, MAX_CACHEABLE = 0.02, 0.5, 8 * 1024 * 1024
T = TypeVar("T")
_GZIP = 16 + isal_zlib.MAX_WBITS


class PageBuilder:
    """Builds ``/metrics``."""

    def __init__(
        self,
        store: SampleStore,
        instruments: ExporterMetrics,
        rows: Sequence[MetricSpec],
        *,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._store = store
        self._metrics = instruments
        self._clock = clock
        self._metric_specs = list(with_headers(rows))
        #: shapes whose rows are all among ours; operators name metrics too, and a reload may bring some
        self._known_layouts: WeakSet[RowLayout] = WeakSet()
        self._ours = [(family, family_headers(family.name, family.kind, family.help)) for family in OF_TARGETS]
        self._known: dict[bool, tuple[list[RenderedSamples], bytes]] = {}
        self._building: dict[tuple[bool, bool], asyncio.Task[bytes]] = {}
        self._built: dict[tuple[bool, bool], tuple[float, bytes]] = {}

    async def full(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the page as text or OpenMetrics, compressed or plain."""
        key = (openmetrics, gzip)
        if (built := self._built.get(key)) is not None and self._clock() < built[0]:
            return built[1]
        task = self._building.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._build_full(openmetrics=openmetrics, gzip=gzip))
            self._building[key] = task
            task.add_done_callback(lambda _: self._building.pop(key, None))
        return await asyncio.shield(task)

    async def filtered(self, part: PageFilter, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return a part of the page."""
        return await self._build(self._part(part, openmetrics=openmetrics), gzip=gzip)

    @property
    def names(self) -> list[str]:
        """The names of all families that there may be, as the text format spells them."""
        ours = [_name(family) for family in self._metrics.collect_own()]
        rows = [row.full_name for row, _ in self._metric_specs]
        return list(dict.fromkeys([*rows, *(family.name for family, _ in self._ours), *ours]))

    async def _build_full(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Build the page, and keep it for a moment."""
        key, began = (openmetrics, gzip), self._clock()
        self._built.pop(key, None)
        body = await self._build(self._stream(openmetrics=openmetrics), gzip=gzip)
        now = self._clock()
        if len(body) <= MAX_CACHEABLE:
            self._built[key] = now + min(max(CACHE_TTL, now - began), MAX_CACHE_TTL), body
        return body

    async def _build(self, chunks: Iterator[bytes], *, gzip: bool) -> bytes:
        started = slice_began = self._clock()
        squeeze = isal_zlib.compressobj(level=1, wbits=_GZIP) if gzip else None
        done: list[bytes] = []
        fresh: list[bytes] = []
        size, allowed = 0, MAX_SLICE
        for chunk in chunks:
            fresh.append(chunk)
            size += len(chunk)
            if size >= _BLOCK:
                done.append(_compress(fresh, squeeze))
                fresh, size = [], 0
            if (now := self._clock()) - slice_began > allowed:
                await asyncio.sleep(0)
                slice_began = self._clock()
                allowed = min(MAX_SLICE_BUSY, max(MAX_SLICE, (slice_began - now) * YIELD_SHARE))
        done.append(_compress(fresh, squeeze))
        if squeeze:
            done.append(squeeze.flush())
        self._metrics.render_seconds.observe(self._clock() - started)
        return b"".join(done)

    def _stream(self, *, openmetrics: bool) -> Iterator[bytes]:
        """Yield the page in pieces, each the work of a part of a slice; some are empty."""
        pages = self._store.all_fresh()
        known = self._known.get(openmetrics)
        if known and len(known[0]) == len(pages) and all(map(is_, known[0], pages)):
            yield known[1]  # nothing was polled since the last scrape
        else:
            yield from self._server_families(pages, openmetrics=openmetrics)
        ours = defaultdict[MetricFamily, list[bytes]](list)
        for lines in self._metrics.render_targets():
            for family, text in lines.items():
                ours[family].append(text)
            yield b""
        for family, headers in self._ours:
            if texts := ours.pop(family, None):
                yield headers[openmetrics]
                yield from _batches(texts, bytes)
        for collected in self._metrics.collect_own():
            yield _family(collected, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"

    def _part(self, part: PageFilter, *, openmetrics: bool) -> Iterator[bytes]:
        targets = part.targets(self._metrics)
        self._learn(lines.layout for target in targets for lines in self._store.fresh_by_collector(target).values())
        yield from part.server_families(self._store, targets, self._metric_specs, openmetrics=openmetrics)
        yield from part.exporter_families(self._metrics, targets, self._ours, openmetrics=openmetrics)
        for family in self._metrics.collect_own() if part.of_exporter else ():
            if part.matches(_name(family)):
                yield _family(family, openmetrics=openmetrics)
        if openmetrics:
            yield b"# EOF\n"

    def _server_families(self, pages: list[RenderedSamples], *, openmetrics: bool) -> Iterator[bytes]:
        """Yield what the servers said; kept, joined, as long as it is the same: of many targets it never is."""
        shapes = defaultdict[RowLayout, list[tuple[bytes, ...]]](list)
        for lines in pages:
            shapes[lines.layout].append(lines.texts)
        self._learn(shapes)
        kept: list[bytes] = []
        size = 0
        for row, headers in self._metric_specs:
            head = headers[openmetrics]
            for shape, targets in shapes.items():
                if (place := shape.places.get(row)) is None:
                    continue
                for piece in _batches(targets, itemgetter(place)):
                    yield head + piece
                    if size <= MAX_CACHED_BYTES:
                        kept.append(head + piece)
                        size += len(head) + len(piece)
                    head = b""
        if size <= MAX_CACHED_BYTES:
            self._known[openmetrics] = (pages, b"".join(kept))
        else:
            self._known.pop(openmetrics, None)

    def _learn(self, shapes: Iterable[RowLayout]) -> None:
        """Take in rows that nobody told us of when we were made."""
        for shape in shapes:
            if shape not in self._known_layouts:
                self._known_layouts.add(shape)
                known = {row for row, _ in self._metric_specs}
                self._metric_specs += with_headers(row for row in shape.places if row not in known)


def _batches(targets: list[T], lines: Callable[[T], bytes]) -> Iterator[bytes]:
    """Join the lines of targets, about as long for one as for another, to pieces of about a block."""
    step = _BLOCK // (len(lines(targets[0])) + 1) + 1
    for begin in range(0, len(targets), step):
        yield b"".join(map(lines, targets[begin : begin + step]))


def _compress(chunks: list[bytes], squeeze: Any) -> bytes:
    block = b"".join(chunks)
    return squeeze.compress(block) if squeeze else block


def _name(family: Collected) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def _family(family: Collected, *, openmetrics: bool) -> bytes:
    """Render a family of the daemon itself; creation times are left out, they double the page."""
    name = _name(family)
    lines = [family_header(name, family.type, family.documentation, openmetrics=openmetrics)]
    for sample in family.samples:
        if not sample.name.endswith("_created"):
            labels = ",".join([f'{key}="{escape_label_value(text)}"' for key, text in sample.labels.items()])
            braces = f"{{{labels}}}" if labels else ""
            lines.append(f"{sample.name}{braces} {format_number(sample.value)}\n".encode())
    return b"".join(lines)
