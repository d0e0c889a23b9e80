"""The collectors, found by folder: a new file here is a new collector, nothing else is touched."""

import importlib
import pkgutil
from types import MappingProxyType

from redis_pulse.collectors.base import Collector
from redis_pulse.commands import UNSUPPORTED, Commands
from redis_pulse.metric import MetricSpec

__all__ = ["UNSUPPORTED", "Collector", "Commands", "load"]


def load() -> MappingProxyType[str, Collector]:
    """Return every collector by name, ``info`` first (the others need to know the server), then by name.

    Raises ValueError when two collectors claim the same name or the same metric.
    """
    found: dict[str, Collector] = {}
    claimed: dict[str, tuple[str, MetricSpec]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: (m.name != "info", m.name)):
        if module.name in ("base", "support"):
            continue
        collector: Collector = importlib.import_module(f"{__name__}.{module.name}").COLLECTOR
        if collector.name in found:
            raise ValueError(f"two collectors are called {collector.name!r}")
        for metric in collector.metrics:
            _claim(claimed, metric, collector.name)
        found[collector.name] = collector
    return MappingProxyType(found)


def _claim(claimed: dict[str, tuple[str, MetricSpec]], metric: MetricSpec, collector: str) -> None:
    owner, first = claimed.setdefault(metric.full_name, (collector, metric))
    if first is not metric:
        raise ValueError(f"{metric.full_name} is claimed twice, by the collectors {owner!r} and {collector!r}")
