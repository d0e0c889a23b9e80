"""Counters of a target at whose address several nodes answer.

Each node has its own counters. A counter that falls because another node answered is not a restart, but ``rate()``
takes each fall for one. So only the increase of a node since its own last reply is added to what was published.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from redis_pulse.metric import MetricSpec, Sample

#: Nodes of one target that are remembered. The counters of further ones start again without an increase.
MAX_NODES = 16
#: A gauge that only a restart may reset.
_UPTIME = "uptime_in_seconds"

_Series = tuple[MetricSpec, tuple[str, ...]]


class NodeCounters:
    """Continues the counters of one collector of one target, whichever node answers."""

    def __init__(self) -> None:
        self._published: dict[_Series, float] = {}
        self._by_node: OrderedDict[str, dict[_Series, float]] = OrderedDict()

    def continued(self, samples: Iterable[Sample], node: str) -> Iterator[Sample]:
        """Yield the samples with continued counters. ``node`` is the ``run_id``, or empty if it is unknown."""
        before = self._by_node.pop(node, {})
        self._by_node[node] = now = dict[_Series, float]()
        while len(self._by_node) > MAX_NODES:
            self._by_node.popitem(last=False)
        published, self._published = self._published, {}
        for sample in samples:
            metric, labels, value, *_ = sample
            if metric.kind != "counter" and metric.name != _UPTIME:
                yield sample
                continue
            series = (metric, labels)
            last = before.get(series, value)
            # Without an identity, the highest value is that of the same node, most likely.
            now[series] = value if node else max(value, last)
            total = published.get(series, value) + max(0.0, value - last)
            self._published[series] = total
            yield metric.sample(total, *labels)
