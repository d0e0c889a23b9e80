"""The page of many targets: blocks of the groups, and the lines of what changes all the time."""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from redis_pulse.deflate import STEP, Block
from redis_pulse.exposition.page_filter import FamilyWithHeaders, PageFilter, SpecWithHeaders
from redis_pulse.exposition.sample_groups import SampleGroup, SampleGroups
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import RowLayout, SampleStore
from redis_pulse.telemetry import ExporterMetrics, MetricFamily
from redis_pulse.telemetry.exporter_metrics import render_ages, render_stamps
from redis_pulse.telemetry.families import SAMPLE_AGE, SAMPLE_TIMESTAMP

#: A part of a page: text, or blocks of compressed text.
Chunk = bytes | Sequence[Block]
Result = TypeVar("Result")
T = TypeVar("T")
#: Targets whose ages are rendered in one step.
_TARGETS_PER_STEP = 20


class GroupedPage:
    """What a page shows of the targets. The loose ones are read now, and the groups do not change any more."""

    def __init__(
        self,
        store: SampleStore,
        metrics: ExporterMetrics,
        maker: SampleGroups,
        groups: Sequence[SampleGroup],
        loose: Sequence[str],
        *,
        openmetrics: bool,
    ) -> None:
        self._store, self._metrics, self._maker = store, metrics, maker
        self._groups, self._loose = groups, loose
        self.openmetrics = openmetrics
        self._samples = [
            (collector, rendered) for name in loose for collector, rendered in store.fresh_by_collector(name).items()
        ]

    def layouts(self) -> Iterator[RowLayout]:
        """Yield the metrics that the page has."""
        yield from chain.from_iterable(group.layouts for group in self._groups)
        for _, rendered in self._samples:
            yield rendered.layout

    def server_families(self, specs: Sequence[SpecWithHeaders], page_filter: PageFilter) -> Iterator[Chunk]:
        """Yield the metrics that the servers report."""
        collectors = page_filter.collectors
        by_layout = defaultdict[RowLayout, list[tuple[bytes, ...]]](list)
        for collector, rendered in self._samples:
            if collectors is None or collector in collectors:
                by_layout[rendered.layout].append(rendered.texts)
                yield b""
        for spec, headers in specs:
            if not page_filter.matches(spec.full_name):
                continue
            blocks = self._blocks(spec, collectors)
            rows = [(layout.positions[spec], texts) for layout, texts in by_layout.items() if spec in layout.positions]
            if blocks or rows:
                yield headers[self.openmetrics]
                yield blocks
            for position, texts in rows:
                yield from batches(texts, itemgetter(position))

    def _blocks(self, spec: MetricSpec, collectors: frozenset[str] | None) -> list[Block]:
        if collectors is None:
            return [block for group in self._groups for block in group.blocks.get(spec, ())]
        return [
            block for group in self._groups if group.collectors.get(spec) in collectors for block in group.blocks[spec]
        ]

    def target_families(self, families: Sequence[FamilyWithHeaders], page_filter: PageFilter) -> Iterator[Chunk]:
        """Yield the metrics that the exporter measures of each target."""
        selected = [(family, headers) for family, headers in families if page_filter.matches(family.name)]
        if not selected:
            return
        blocks = defaultdict[MetricFamily, list[Block]](list)
        texts = defaultdict[MetricFamily, list[bytes]](list)
        for group in self._groups:
            yield from steps(self._maker.update_quiet(group))
            for family, quiet in group.quiet.items():
                blocks[family] += quiet.blocks
            blocks[SAMPLE_TIMESTAMP] += group.stamps
            yield from self._live(group.members, texts)
        yield from self._live(self._loose, texts)
        yield from self._quiet_of_loose(texts)
        for family, headers in selected:
            header = headers[self.openmetrics]
            lines = self._ages() if family == SAMPLE_AGE else batches(texts.pop(family, []), bytes)
            if some := blocks[family]:
                yield header
                yield some
                header = b""
            for text in lines:
                yield header + text
                header = b""

    def _live(self, names: Sequence[str], texts: dict[MetricFamily, list[bytes]]) -> Iterator[bytes]:
        for name in names:
            for family, text in self._metrics.render_live(name, openmetrics=self.openmetrics).items():
                texts[family].append(text)
            yield b""

    def _quiet_of_loose(self, texts: dict[MetricFamily, list[bytes]]) -> Iterator[bytes]:
        for name in self._loose:
            for family, text in self._metrics.render_quiet(name).items():
                texts[family].append(text)
            for _, collectors, _, stamps in self._metrics.sample_times(name):
                texts[SAMPLE_TIMESTAMP].append(render_stamps(name, collectors, stamps).encode())
            yield b""

    def _ages(self) -> Iterator[bytes]:
        """Yield the ages of all samples. They differ on every page."""
        lines: list[str] = []
        for name, collectors, ages, _ in self._metrics.sample_times(None):
            if name not in self._metrics.scraped_apart:
                lines.append(render_ages(name, collectors, ages))
                if len(lines) == _TARGETS_PER_STEP:
                    yield "".join(lines).encode()
                    lines = []
        if lines:
            yield "".join(lines).encode()


def steps(work: Generator[None, None, Result]) -> Generator[bytes, None, Result]:
    """Yield an empty chunk for each step of work, and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
        yield b""


def batches(targets: list[T], lines_of: Callable[[T], bytes]) -> Iterator[bytes]:
    """Join the lines of targets, in batches of about a step. The lines of all targets are about equally long."""
    step = STEP // (len(lines_of(targets[0])) + 1) + 1 if targets else 1
    for start in range(0, len(targets), step):
        yield b"".join(map(lines_of, targets[start : start + step]))
