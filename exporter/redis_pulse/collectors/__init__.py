"""The collectors: each module or package in this folder is one, except ``base`` and ``support``.

A new file is a new collector. No list has to be changed.
"""

import importlib
import pkgutil
from types import MappingProxyType

from redis_pulse.collectors.base import Collector, Requesting, Writing
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.metric import MetricSpec

__all__ = ["LEAN", "UNSUPPORTED", "Collector", "Commands", "Requesting", "Writing", "load"]

#: The set ``lean``, for fleets: what the alerts of availability and the fleet overview read. The last two run only on
#: nodes of clusters and on Sentinels.
LEAN = ("info", "errorstats", "cluster", "sentinel")
_NOT_COLLECTORS = ("base", "support")


def load() -> MappingProxyType[str, Collector]:
    """Return all collectors by name: first ``info``, which identifies the server for the others, then by name.

    Raises ValueError if two collectors have the same name or the same metric.
    """
    collectors: dict[str, Collector] = {}
    claimed: dict[str, tuple[str, MetricSpec]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: (module.name != "info", module.name)):
        if module.name in _NOT_COLLECTORS:
            continue
        collector: Collector = importlib.import_module(f"{__name__}.{module.name}").COLLECTOR
        if collector.name in collectors:
            raise ValueError(f"two collectors are called {collector.name!r}")
        for metric in collector.metrics:
            _claim(claimed, metric, collector.name)
        collectors[collector.name] = collector
    return MappingProxyType(collectors)


def _claim(claimed: dict[str, tuple[str, MetricSpec]], metric: MetricSpec, collector: str) -> None:
    owner, first = claimed.setdefault(metric.full_name, (collector, metric))
    if first is not metric:
        raise ValueError(f"{metric.full_name} is claimed twice, by the collectors {owner!r} and {collector!r}")
