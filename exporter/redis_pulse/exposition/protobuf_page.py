"""Build the page of metrics in protobuf, for scrapers that prefer it: Prometheus with native histograms.

The page has the families and series of the text format 0.0.4. In addition it has the native histograms.

Nothing is encoded before a scraper asks for protobuf, so other daemons do not pay for it. From then on a task encodes
what was polled, between the scrapes. It ends when no scraper has asked for ``IDLE`` seconds.

Native histograms follow the classic ones, as a second family with the same name. In client_golang both are one metric.
Prometheus then drops the classic one, unless the job has ``always_scrape_classic_histograms``. All rules and dashboards
that use ``_bucket`` would stop to work when an operator enables native histograms in Prometheus. One family cannot hold
both as two metrics. If its first metric is a native histogram, Prometheus takes all of them for native ones.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from time import perf_counter

from redis_pulse.deflate import STEP, Block
from redis_pulse.exposition.grouped_page import Chunk, steps
from redis_pulse.exposition.page_body import PageBody
from redis_pulse.exposition.page_builder import PageBuilder, body_of
from redis_pulse.exposition.page_filter import PageFilter
from redis_pulse.exposition.protobuf import family_start, varint
from redis_pulse.exposition.protobuf_groups import PackedMetrics, ProtobufGroup, ProtobufGroups
from redis_pulse.exposition.protobuf_lines import metric_type, series_name
from redis_pulse.exposition.protobuf_own import OwnKey, ProtobufOfTargets, encode_own
from redis_pulse.exposition.protobuf_samples import ProtobufLayout, ProtobufSamples
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import SampleStore
from redis_pulse.shared_work import SharedWork
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.telemetry.families import SAMPLE_AGE, SAMPLE_TIMESTAMP, TARGET_FAMILIES

#: Seconds between two searches for samples that were polled since.
INTERVAL = 0.25
#: Seconds without a request after which everything that was encoded is forgotten.
IDLE = 150.0
#: Seconds since its start for which a page is given to further scrapers.
KEEP = 0.25
#: Metrics of targets that are joined in one step.
_TARGETS_PER_STEP = 200
_EVERYTHING = PageFilter()


class ProtobufPage:
    """Builds the page of metrics in protobuf, of the targets and groups that ``text`` has.

    ``with_classic`` is False if durations are native histograms only.
    """

    def __init__(
        self,
        text: PageBuilder,
        store: SampleStore,
        metrics: ExporterMetrics,
        *,
        with_classic: bool = True,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._turns = text.turns
        self._makes_groups = text.groups
        self._own = ProtobufOfTargets(metrics, with_classic=with_classic)
        self._samples = ProtobufSamples(store, text.specs)
        self._groups = ProtobufGroups(self._samples, self._own, metrics)
        self._task: asyncio.Task[None] | None = None
        self._requested = 0.0
        self._pages = SharedWork[PageBody](KEEP)
        #: One part of all targets is built at a time, and one short part.
        self._parts = (SharedWork[PageBody](), SharedWork[PageBody]())

    async def full(self, *, gzip: bool) -> PageBody:
        """Return the whole page, compressed or plain."""
        self._requested = self._clock()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._encode_between_pages())
        page = await self._pages.get(gzip, partial(self._build, _EVERYTHING, gzip=gzip))
        # A page may have many megabytes. It must not stay in memory until the next scrape.
        asyncio.get_running_loop().call_later(KEEP, self._pages.forget_old)
        return page

    async def filtered(self, page_filter: PageFilter, *, gzip: bool) -> PageBody:
        """Return the part of the page that a filter selects."""
        build = partial(self._build, page_filter, gzip=gzip)
        return await self._parts[page_filter.is_short].get((page_filter, gzip), build)

    def stop(self) -> None:
        """End the task in the background."""
        if self._task is not None:
            self._task.cancel()

    def prepare(self) -> Generator[None, None, tuple[list[ProtobufGroup], list[str]]]:
        """Encode what was polled. Return the groups, and the targets that are in none of them."""
        groups, loose = yield from self._makes_groups.prepare()
        encoded = []
        for group in groups:
            one = yield from self._groups.encode(group)
            encoded.append(one)
        for target in loose:
            yield from self._samples.prepare(target)
            yield
        self._samples.forget_others(loose)
        self._own.forget_others(self._metrics.target_names())
        return encoded, loose

    async def _encode_between_pages(self) -> None:
        try:
            while self._clock() - self._requested < IDLE:
                await asyncio.sleep(INTERVAL)
                for _ in self.prepare():
                    await self._turns.take()
        finally:
            self._task = None
            self._groups.clear()
            self._samples.forget_others(())
            self._own.forget_others(())

    async def _build(self, page_filter: PageFilter, *, gzip: bool) -> PageBody:
        began = self._clock()
        page = await body_of(self._stream(page_filter), gzip=gzip, turns=self._turns)
        self._metrics.render_seconds.observe(self._clock() - began)
        return page

    def _stream(self, page_filter: PageFilter) -> Iterator[Chunk]:
        """Yield the page in chunks. Each chunk takes a part of a slice to make, and many are empty."""
        if page_filter == _EVERYTHING:
            groups, loose = yield from steps(self.prepare())
            yield from self._server_families(groups, loose)
            yield from self._target_families(groups, loose)
        else:
            targets = page_filter.targets(self._metrics)
            yield from self._selected_families(page_filter, targets)
            yield from self._selected_own(page_filter, targets)
        for family in self._metrics.collect_own() if page_filter.includes_daemon else ():
            if page_filter.matches(family.name + ("_total" if family.type == "counter" else "")):
                yield encode_own(family)

    def _server_families(self, groups: Sequence[ProtobufGroup], loose: Sequence[str]) -> Iterator[Chunk]:
        """Yield the metrics that the servers report."""
        by_layout = defaultdict[ProtobufLayout, list[tuple[bytes, ...]]](list)
        for target in loose:
            for samples in self._samples.prepared(target):
                by_layout[samples.layout].append(samples.metrics)
            yield b""
        for spec in tuple(self._samples.specs):
            packed = [group.servers[spec] for group in groups if group.servers and spec in group.servers]
            metrics: list[bytes] = []
            for layout, rows in by_layout.items():
                if (position := layout.positions.get(spec)) is not None:
                    for start in range(0, len(rows), _TARGETS_PER_STEP):
                        metrics += [row[position] for row in rows[start : start + _TARGETS_PER_STEP]]
                        yield b""
            yield from _family(spec.kind, spec.full_name, spec.help, metrics, packed)

    def _target_families(self, groups: Sequence[ProtobufGroup], loose: Sequence[str]) -> Iterator[Chunk]:
        """Yield the metrics that the exporter measures of each target."""
        metrics = defaultdict[OwnKey, list[bytes]](list)
        for target in self._metrics.target_names():
            for key, encoded in self._own.live(target, TARGET_FAMILIES).items():
                metrics[key].append(encoded)
            for _, collectors, ages, stamps in self._metrics.sample_times(target):
                metrics[SAMPLE_AGE, False].append(self._own.times(target, collectors, ages))
                metrics[SAMPLE_TIMESTAMP, False].append(self._own.times(target, collectors, stamps))
            yield b""
        for target in loose:
            for key, _, encode in self._own.quiet_sources(target):
                metrics[key].append(encode())
            yield b""
        for family in TARGET_FAMILIES:
            for is_native in (False, True):
                key = (family, is_native)
                packed = [group.quiet[key] for group in groups if key in group.quiet]
                yield from _family(family.kind, family.name, family.help, metrics.pop(key, []), packed)

    def _selected_families(self, page_filter: PageFilter, targets: Sequence[str]) -> Iterator[Chunk]:
        """Yield the metrics that the servers report, as far as a filter selects them."""
        metrics = defaultdict[MetricSpec, list[bytes]](list)
        for target in targets:
            selected = yield from steps(self._samples.select(target, page_filter.collectors, page_filter.matches))
            for spec, encoded in selected:
                metrics[spec].append(encoded)
            yield b""
        for spec in tuple(self._samples.specs):
            yield from _family(spec.kind, spec.full_name, spec.help, metrics.pop(spec, []))

    def _selected_own(self, page_filter: PageFilter, targets: Sequence[str]) -> Iterator[Chunk]:
        """Yield the metrics that the exporter measures of each target, as far as a filter selects them."""
        families = [family for family in TARGET_FAMILIES if page_filter.matches(family.name)]
        metrics = defaultdict[OwnKey, list[bytes]](list)
        for target in targets if families else ():
            for key, encoded in self._own.of_target(target, families).items():
                metrics[key].append(encoded)
            yield b""
        for family in families:
            for is_native in (False, True):
                yield from _family(family.kind, family.name, family.help, metrics.pop((family, is_native), []))


def _family(
    kind: str, name: str, text: str, metrics: Sequence[bytes], packed: Sequence[PackedMetrics] = ()
) -> Iterator[Chunk]:
    """Yield a family in chunks: its length, its name and type, and its metrics."""
    loose = sum(map(len, metrics))
    size = loose + sum(one.size for one in packed)
    if not size:
        return
    start = family_start(series_name(kind, name), metric_type(kind), text)
    yield varint(len(start) + size) + start
    blocks: list[Block] = [block for one in packed for block in one.blocks]
    if blocks:
        yield blocks
    step = STEP // (loose // len(metrics) + 1) + 1 if metrics else 1
    for first in range(0, len(metrics), step):
        yield b"".join(metrics[first : first + step])
