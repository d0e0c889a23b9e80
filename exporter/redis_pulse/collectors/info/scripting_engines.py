"""The scripting engines of a server in INFO (Valkey 9.1 and later).

redis_scripting_engine_memory_used_bytes{target="cart",engine="LUA",module="lua",abi_version="4"} 69632
"""
# ruff: noqa: E501 - one line per metric definition

import re
from collections.abc import Iterator, Mapping

from redis_pulse.metric import CollectorItem, MetricSpec, OverflowCount, UnreadableField, gauge
from redis_pulse.parse.info import parse_pairs

_SECTION = "Scripting Engines"
_LABELS = ("engine", "module", "abi_version")
# fmt: off
#: The sums over all engines.
TOTALS = (
    gauge(_SECTION, "engines_count", "scripting_engines_count", "Scripting engines that are registered (Valkey 9.1 and later)."),
    gauge(_SECTION, "engines_total_used_memory", "scripting_engines_memory_used_bytes", "Bytes used by all scripting engines (Valkey 9.1 and later)."),
    gauge(_SECTION, "engines_total_memory_overhead", "scripting_engines_memory_overhead_bytes", "Bytes of overhead of all scripting engines (Valkey 9.1 and later)."),
)
INFO = gauge(_SECTION, "engine_N:name", "scripting_engine_info", "Always 1; the labels name a scripting engine, its module, and the version of its interface (Valkey 9.1 and later).", labels=_LABELS)
#: Pair of an engine_N line → its metric.
ENGINE_METRICS = {
    "used_memory": gauge(_SECTION, "engine_N:used_memory", "scripting_engine_memory_used_bytes", "Bytes used by a scripting engine (Valkey 9.1 and later).", labels=_LABELS),
    "memory_overhead": gauge(_SECTION, "engine_N:memory_overhead", "scripting_engine_memory_overhead_bytes", "Bytes of overhead of a scripting engine (Valkey 9.1 and later).", labels=_LABELS),
}
# fmt: on
SCRIPTING_ENGINES: tuple[MetricSpec, ...] = (*TOTALS, INFO, *ENGINE_METRICS.values())

_ENGINE_FIELD = re.compile(r"engine_[0-9]{1,6}")
#: Engines that have series. A server has one, and one more for each module that brings a language.
_MAX_ENGINES = 20


def read_scripting_engines(section: Mapping[str, str]) -> Iterator[CollectorItem | None]:
    """Read the section Scripting Engines."""
    for metric in TOTALS:
        yield metric.parse(section.get(metric.field, ""))
    seen: set[tuple[str, ...]] = set()
    lines = [text for field, text in section.items() if _ENGINE_FIELD.fullmatch(field)]
    for text in lines[:_MAX_ENGINES]:
        pairs = parse_pairs(text)
        labels = pairs.get("name", ""), pairs.get("module", ""), pairs.get("abi_version", "")
        if not labels[0] or labels in seen:
            yield UnreadableField(INFO.location)
            continue
        seen.add(labels)
        yield INFO.sample(1.0, *labels)
        for name, metric in ENGINE_METRICS.items():
            yield metric.parse(pairs.get(name, ""), *labels)
    if len(lines) > _MAX_ENGINES:
        yield OverflowCount(INFO.location, len(lines) - _MAX_ENGINES)
