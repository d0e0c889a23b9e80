"""Keep the groups of ``sample_groups`` in protobuf too, compressed, while scrapers ask for protobuf.

A group does not change until one of its targets is polled again. So each poll is encoded once, and a page puts blocks
one after the other. What a ping changes is in no group.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from redis_pulse.deflate import Block, compress
from redis_pulse.exposition.protobuf_own import OwnKey, ProtobufOfTargets
from redis_pulse.exposition.protobuf_samples import ProtobufSamples
from redis_pulse.exposition.sample_groups import SampleGroup
from redis_pulse.metric import MetricSpec
from redis_pulse.telemetry import ExporterMetrics


class PackedMetrics(NamedTuple):
    """The metrics of one family of a group. ``size`` is their length before they were compressed."""

    size: int
    blocks: Sequence[Block]
    #: A hash of what they were encoded from.
    digest: int = 0


class ProtobufGroup:
    """A group in protobuf."""

    __slots__ = ("quiet", "quiet_versions", "servers")

    def __init__(self) -> None:
        self.servers: dict[MetricSpec, PackedMetrics] | None = None
        #: What the exporter measured and no ping changes, and the versions of it.
        self.quiet: dict[OwnKey, PackedMetrics] = {}
        self.quiet_versions: list[int] = []


class ProtobufGroups:
    """Encodes groups, and forgets those that do not exist any more."""

    def __init__(self, samples: ProtobufSamples, own: ProtobufOfTargets, metrics: ExporterMetrics) -> None:
        self._samples = samples
        self._own = own
        self._metrics = metrics
        self._known: WeakKeyDictionary[SampleGroup, ProtobufGroup] = WeakKeyDictionary()

    def encode(self, group: SampleGroup) -> Generator[None, None, ProtobufGroup]:
        """Return a group in protobuf. Yield after each slice of the work."""
        if (known := self._known.get(group)) is None:
            known = self._known[group] = ProtobufGroup()
        if known.servers is None:
            known.servers = yield from self._encode_servers(group)
            for name in group.members:
                self._samples.forget(name)
                self._own.forget(name)
        yield from self._update_quiet(group, known)
        return known

    def clear(self) -> None:
        """Forget all groups."""
        self._known.clear()

    def _encode_servers(self, group: SampleGroup) -> Generator[None, None, dict[MetricSpec, PackedMetrics]]:
        metrics = defaultdict[MetricSpec, list[bytes]](list)
        for name in group.members:
            for spec, encoded in (yield from self._samples.select(name, None, _always)):
                metrics[spec].append(encoded)
            yield
        packed = {}
        for spec, parts in metrics.items():
            packed[spec] = yield from _pack(parts)
        return packed

    def _update_quiet(self, group: SampleGroup, known: ProtobufGroup) -> Generator[None, None, None]:
        versions = [self._metrics.quiet_version(name) for name in group.members]
        if versions == known.quiet_versions:
            return
        sources = defaultdict[OwnKey, list[tuple[int, Callable[[], bytes]]]](list)
        for name in group.members:
            for key, digest, encode in self._own.quiet_sources(name):
                sources[key].append((digest, encode))
            yield
        quiet: dict[OwnKey, PackedMetrics] = {}
        for key, parts in sources.items():
            digest = hash(tuple(one for one, _ in parts))
            before = known.quiet.get(key)
            if before is not None and before.digest == digest:
                quiet[key] = before
                continue
            encoded = []
            for _, encode in parts:
                encoded.append(encode())
                yield
            quiet[key] = (yield from _pack(encoded))._replace(digest=digest)
        for name in group.members:
            self._metrics.drop_quiet_lines(name)
        known.quiet, known.quiet_versions = quiet, versions


def _always(_name: str) -> bool:
    return True


def _pack(parts: Sequence[bytes]) -> Generator[None, None, PackedMetrics]:
    metrics = b"".join(parts)
    blocks = yield from compress(metrics)
    yield
    return PackedMetrics(len(metrics), blocks)
