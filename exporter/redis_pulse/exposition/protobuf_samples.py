"""Keep what servers reported in protobuf: the targets that are in no group (``protobuf_groups``)."""

from collections.abc import Callable, Collection, Container, Generator, Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from redis_pulse.exposition.protobuf_lines import encode_plain, encode_steps
from redis_pulse.metric import MetricSpec
from redis_pulse.sample_store import RenderedSamples, RowLayout, SampleStore

#: Families that are encoded without a pause. They take less than half a millisecond.
_FAMILIES_PER_STEP = 100


class ProtobufLayout:
    """The families that a collector returned, in order, and where their lines are.

    The sum and the count of a summary may have lines of their own. In protobuf they are parts of their family.
    """

    __slots__ = ("positions", "sources")

    def __init__(self, layout: RowLayout, whole: Mapping[MetricSpec, MetricSpec]) -> None:
        sources: dict[MetricSpec, list[int]] = {}
        for spec, position in layout.positions.items():
            sources.setdefault(whole.get(spec, spec), []).append(position)
        self.sources = tuple(sources.items())
        #: The place of a family in ``EncodedSamples.metrics``.
        self.positions = {spec: position for position, spec in enumerate(sources)}


class EncodedSamples(NamedTuple):
    """The samples of one run of one collector in protobuf. ``metrics`` has one item for each family of the layout."""

    source: RenderedSamples
    layout: ProtobufLayout
    metrics: tuple[bytes, ...]


class ProtobufSamples:
    """Encodes the samples of a store."""

    def __init__(self, store: SampleStore, specs: Iterable[MetricSpec]) -> None:
        self._store = store
        #: Each part of a family → the family.
        self._whole: dict[MetricSpec, MetricSpec] = {}
        #: All families in the order of the page.
        self.specs: dict[MetricSpec, None] = {}
        self._add(specs)
        self._layouts: WeakKeyDictionary[RowLayout, ProtobufLayout] = WeakKeyDictionary()
        self._encoded: dict[str, dict[str, EncodedSamples]] = {}

    def prepare(self, target: str) -> Generator[None, None, None]:
        """Encode the samples of a target that were polled since. Yield after each slice of the work."""
        fresh = self._store.fresh_by_collector(target)
        kept = self._encoded.get(target, {})
        for collector, source in fresh.items():
            known = kept.get(collector)
            if known is None or known.source is not source:
                kept[collector] = yield from self._encode(target, source)
        for collector in kept.keys() - fresh.keys():
            del kept[collector]
        if kept:
            self._encoded[target] = kept

    def prepared(self, target: str) -> Collection[EncodedSamples]:
        """Return what ``prepare`` encoded."""
        return self._encoded.get(target, {}).values()

    def select(
        self, target: str, collectors: Container[str] | None, matches: Callable[[str], bool]
    ) -> Generator[None, None, list[tuple[MetricSpec, bytes]]]:
        """Return the families of a target that a filter selects. Yield after each slice of the work.

        A part of the page costs only what it shows. So nothing else is encoded, and nothing is kept.
        """
        selected = []
        kept = self._encoded.get(target, {})
        for collector, source in self._store.fresh_by_collector(target).items():
            if collectors is not None and collector not in collectors:
                continue
            layout, known = self._layout(source), kept.get(collector)
            matching = [at for at, (spec, _) in enumerate(layout.sources) if matches(spec.full_name)]
            if known is not None and known.source is source:
                selected += [(layout.sources[at][0], known.metrics[at]) for at in matching]
                continue
            texts = source.texts if matching else ()
            for spec, positions in (layout.sources[at] for at in matching):
                selected.append((spec, (yield from _encode_family(target, texts, spec, positions))))
        return selected

    def forget(self, target: str) -> None:
        """Forget a target."""
        self._encoded.pop(target, None)

    def forget_others(self, targets: Iterable[str]) -> None:
        """Forget the targets that are not among these."""
        for target in self._encoded.keys() - set(targets):
            del self._encoded[target]

    def _encode(self, target: str, source: RenderedSamples) -> Generator[None, None, EncodedSamples]:
        layout, texts = self._layout(source), source.texts
        metrics = []
        for number, (spec, positions) in enumerate(layout.sources, start=1):
            metrics.append((yield from _encode_family(target, texts, spec, positions)))
            if number % _FAMILIES_PER_STEP == 0:
                yield
        return EncodedSamples(source, layout, tuple(metrics))

    def _layout(self, source: RenderedSamples) -> ProtobufLayout:
        if (layout := self._layouts.get(source.layout)) is None:
            self._add(source.layout.positions)
            layout = self._layouts[source.layout] = ProtobufLayout(source.layout, self._whole)
        return layout

    def _add(self, specs: Iterable[MetricSpec]) -> None:
        """Remember families. Operators name metrics too, and a reload may add some."""
        for spec in specs:
            if spec not in self._whole:
                self.specs[spec] = None
                self._whole |= dict.fromkeys(spec.openmetrics_parts.values(), spec)


def _encode_family(
    target: str, texts: Sequence[bytes], spec: MetricSpec, positions: Sequence[int]
) -> Generator[None, None, bytes]:
    text = texts[positions[0]] if len(positions) == 1 else b"".join([texts[at] for at in positions])
    if plain := encode_plain(spec.kind, spec.full_name, target, text):
        return plain
    return (yield from encode_steps(spec.kind, spec.full_name, target, text))
