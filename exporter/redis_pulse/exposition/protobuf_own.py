"""Encode the metrics of the exporter itself in protobuf: those of each target, and those of the daemon."""

import math
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import Metric

from redis_pulse.exposition.protobuf import (
    bucket,
    classic_buckets,
    double,
    family_start,
    histogram,
    label,
    labels_of,
    metric,
    metric_start,
    native_histogram,
    scalar,
    scalar_start,
    summary,
    varint,
)
from redis_pulse.exposition.protobuf_lines import encode_exemplar, encode_lines, encode_plain, encode_target
from redis_pulse.telemetry import ClassicSnapshot, DualHistogram, ExporterMetrics, MetricFamily
from redis_pulse.telemetry.families import SAMPLE_AGE, SAMPLE_TIMESTAMP, TARGET_FAMILIES, is_live

#: A family, and whether these are its native histograms.
OwnKey = tuple[MetricFamily, bool]
OwnMetrics = dict[OwnKey, bytes]
#: Lines of this length are kept encoded. Shorter ones change with nearly each ping.
_MIN_KEPT = 300


class _KeptLines(NamedTuple):
    digest: int
    metrics: bytes


class ProtobufOfTargets:
    """Encodes what the exporter measures of each target. Long lines that did not change are not encoded again.

    ``with_classic`` is False if the operator wants native histograms only.
    """

    def __init__(self, metrics: ExporterMetrics, *, with_classic: bool = True) -> None:
        self._metrics = metrics
        self._with_classic = with_classic
        self._kept: dict[str, dict[MetricFamily, _KeptLines]] = {}

    def of_target(self, target: str, families: Container[MetricFamily]) -> OwnMetrics:
        """Return the metrics of one target in these families."""
        encoded = self.live(target, families)
        for key, _, encode in self.quiet_sources(target, families):
            encoded[key] = encoded.get(key, b"") + encode()
        for name, collectors, ages, stamps in self._metrics.sample_times(target):
            for family, values in ((SAMPLE_AGE, ages), (SAMPLE_TIMESTAMP, stamps)):
                if family in families:
                    encoded[family, False] = self.times(name, collectors, values)
        return encoded

    def live(self, target: str, families: Container[MetricFamily]) -> OwnMetrics:
        """Return the metrics that may change at any moment, except the ages of samples."""
        kept = self._kept.get(target, {})
        encoded: OwnMetrics = {}
        for family, text in self._metrics.render_live(target).items():
            if family.kind == "histogram" or family not in families:
                continue  # histograms are encoded from their counts
            if len(text) < _MIN_KEPT:
                short = encode_plain(family.kind, family.name, target, text)
                encoded[family, False] = short or encode_lines(family.kind, family.name, target, text)
                continue
            digest = hash(text)  # the text itself would take too much memory
            if (lines := kept.get(family)) is None or lines.digest != digest:
                lines = _KeptLines(digest, encode_lines(family.kind, family.name, target, text))
                self._kept.setdefault(target, kept)[family] = lines
            encoded[family, False] = lines.metrics
        for family, labels, source in self._metrics.distributions(target):
            if is_live(family, labels) and family in families:
                for is_native in (False, True):
                    more = self._histogram(target, family, labels, source, is_native=is_native)
                    encoded[family, is_native] = encoded.get((family, is_native), b"") + more
        return encoded

    def quiet_sources(
        self, target: str, families: Container[MetricFamily] = TARGET_FAMILIES
    ) -> Iterator[tuple[OwnKey, int, Callable[[], bytes]]]:
        """Yield the metrics that no ping changes: a hash of what they depend on, and what encodes them."""
        for family, text in self._metrics.render_quiet(target).items():
            if family.kind != "histogram" and family in families:
                yield (family, False), hash(text), partial(encode_lines, family.kind, family.name, target, text)
        for family, labels, source in self._metrics.distributions(target):
            if family in families and not is_live(family, labels):
                for is_native in (False, True):
                    encode = partial(self._histogram, target, family, labels, source, is_native=is_native)
                    yield (family, is_native), hash((labels, source.created, source.version)), encode

    def times(self, target: str, collectors: tuple[str, ...], values: Sequence[float]) -> bytes:
        """Return the ages or the times of the samples of a target."""
        target_label, start = encode_target(target), scalar_start("gauge")
        fixed = len(target_label) + len(start) + 8
        encoded: list[bytes] = []
        for name, value in zip(collectors, values, strict=True):
            labels = _own_labels(("collector",), (name,))
            encoded += (metric_start(fixed + len(labels)), target_label, labels, start, double(round(value, 3)))
        return b"".join(encoded)

    def forget(self, target: str) -> None:
        """Forget a target."""
        self._kept.pop(target, None)

    def forget_others(self, targets: Iterable[str]) -> None:
        """Forget the targets that are not among these."""
        for target in self._kept.keys() - set(targets):
            del self._kept[target]

    def _histogram(
        self, target: str, family: MetricFamily, labels: tuple[str, ...], source: DualHistogram, *, is_native: bool
    ) -> bytes:
        if is_native:
            content = b"" if source.native is None else native_histogram(source.native.snapshot())
        elif self._with_classic or source.native is None:
            content = _classic(source.classic(), source.created)
        else:
            content = b""
        return metric(encode_target(target) + _own_labels(family.labels[1:], labels), content) if content else b""


def _classic(snapshot: ClassicSnapshot, created: float) -> bytes:
    cumulative = list(accumulate(snapshot.counts))
    if not snapshot.exemplars:
        buckets = classic_buckets(tuple(snapshot.bounds), cumulative)
        return histogram(cumulative[-1], snapshot.total, buckets, created)
    buckets = []
    for index, (bound, count) in enumerate(zip((*snapshot.bounds, math.inf), cumulative, strict=True)):
        extra = snapshot.exemplars.get(index)
        if bound < math.inf or extra:
            buckets.append(bucket(count, bound, encode_exemplar(extra) if extra else b""))
    return histogram(cumulative[-1], snapshot.total, buckets, created)


@lru_cache(maxsize=1000)
def _own_labels(names: tuple[str, ...], values: tuple[str, ...]) -> bytes:
    return b"".join([label(name, value) for name, value in zip(names, values, strict=True)])


class _Own:
    """The samples of one metric of a family of the daemon."""

    __slots__ = ("count", "created", "parts", "total", "value")

    def __init__(self) -> None:
        self.value: float | None = None
        self.count = 0
        self.total = 0.0
        self.created: float | None = None
        self.parts: list[bytes] = []


def encode_own(family: Metric) -> bytes:
    """Return a family of the daemon, which the client library collected, with its length."""
    name = family.name + ("_total" if family.type == "counter" else "")
    found: dict[tuple[tuple[str, str], ...], _Own] = {}
    for sample in family.samples:
        edge = sample.labels.get("le")
        labels = tuple(item for item in sample.labels.items() if edge is None or item[0] != "le")
        one = found.setdefault(labels, _Own())
        if edge is not None:
            if edge != "+Inf":
                one.parts.append(bucket(int(sample.value), float(edge)))
        elif sample.name.endswith("_created") and family.type in ("counter", "histogram", "summary"):
            one.created = sample.value
        elif family.type in ("histogram", "summary"):
            if sample.name.endswith("_sum"):
                one.total = sample.value
            else:
                one.count = int(sample.value)
        else:
            one.value = sample.value
    encoded = [metric(labels_of(dict(labels)), _content(family.type, one)) for labels, one in found.items()]
    return encode_family(family_start(name, family.type, family.documentation), encoded)


def _content(kind: str, one: _Own) -> bytes:
    if kind == "histogram":
        return histogram(one.count, one.total, one.parts, one.created)
    if kind == "summary":
        return summary(one.count, one.total, one.parts, one.created)
    return scalar(kind, one.value or 0.0, one.created)


def encode_family(start: bytes, metrics: Sequence[bytes]) -> bytes:
    """Return a family with its length, or nothing without metrics."""
    if not any(metrics):
        return b""
    return b"".join([varint(len(start) + sum(map(len, metrics))), start, *metrics])
