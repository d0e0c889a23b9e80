"""Compare two pages of metrics: missing families, additional families, and different values.

``theirs`` are pages of redis_exporter, ``ours`` pages of redis-pulse. Each side is read twice. A series on only one
page of a side is ignored, such as that of a client of one scrape. Values that changed between the two pages of any
side must only be close. All other values must be equal.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

#: All labels of one series, in the order of their names.
Labels = tuple[tuple[str, str], ...]
#: The label that only redis-pulse adds to every series.
OUR_LABEL = "target"
#: The largest relative and absolute difference of changing values. The scrapes are seconds apart, and cause traffic.
MAX_RATIO, MAX_DIFFERENCE = 0.3, 30.0
#: Values that the scrape itself changes (memory, clients), and running times: they are never equal, only close.
_CLOSE = re.compile(
    r"redis_(connected_clients|mem_|memory_|allocator_|slowlog_last_id|last_slow_|start_time_|uptime_|connected_slave_|"
    r"slave_repl_offset|\w+_seconds_ago|\w+_idle_seconds|\w+_ping_reply_seconds)"
)
#: Values that are not compared: buffers of connections, which include the exporter's own, and exporter metrics.
_NOT_COMPARED = re.compile(
    r"redis_(client_recent_|connected_client_(output|query|total_memory|idle)|exporter_|last_key_groups_)"
)


class Finding(NamedTuple):
    """One difference. ``kind``: missing, more, type, labels, series, value."""

    kind: str
    family: str
    theirs: str
    ours: str


class Family(NamedTuple):
    """A metric family of one page: samples by full name and labels."""

    kind: str
    samples: Mapping[tuple[str, Labels], float]


Page = dict[str, Family]


def read(text: str) -> Page:
    """Return the families of a page in the text format, by the name in their TYPE line."""
    page: Page = {}
    for family in text_string_to_metric_families(text):
        samples = {}
        for sample in family.samples:
            labels = {name: _edge(name, value) for name, value in sample.labels.items() if value and name != OUR_LABEL}
            samples[sample.name, tuple(sorted(labels.items()))] = sample.value
        name = family.name
        if family.type == "counter" and any(key[0] == f"{name}_total" for key in samples):
            name += "_total"
        page[name] = Family("untyped" if family.type == "unknown" else family.type, samples)
    return page


def _edge(name: str, value: str) -> str:
    return f"{float(value):g}" if name in ("le", "quantile") else value


def differences(theirs: tuple[Page, Page], ours: tuple[Page, Page], prefix: str = "redis_") -> Iterator[Finding]:
    """Yield the differences of all their families, then the families that only our page has."""
    for name, family in theirs[1].items():
        if not name.startswith(prefix) or not family.samples:
            continue
        mine = ours[1].get(name)
        if mine is None:
            yield Finding("missing", name, _shown(family), "")
            continue
        if mine.kind != family.kind:
            yield Finding("type", name, family.kind, mine.kind)
        empty = Family(family.kind, {})
        pairs = (theirs[0].get(name, empty), family), (ours[0].get(name, empty), mine)
        keys, my_keys = (_keys(*pair) for pair in pairs)
        if keys != my_keys:
            yield Finding("labels", name, _listed(keys - my_keys), _listed(my_keys - keys))
        else:
            yield from _series(name, *pairs)
    for name, family in ours[1].items():
        if name.startswith(prefix) and family.samples and name not in theirs[1]:
            yield Finding("more", name, "", _shown(family))


def _keys(first: Family, second: Family) -> set[str]:
    """Return the label names of series on both pages. An empty label counts as missing, as in Prometheus."""
    series = [key for key in second.samples if key in first.samples] or list(second.samples)
    return {name for _, labels in series for name, _ in labels}


def _series(name: str, theirs: tuple[Family, Family], ours: tuple[Family, Family]) -> Iterator[Finding]:
    steady = [{key for key in pair[0].samples if key in pair[1].samples} for pair in (theirs, ours)]
    anywhere = [set(pair[0].samples) | set(pair[1].samples) for pair in (theirs, ours)]
    for key in sorted(steady[0] - anywhere[1]):
        yield Finding("series", name, _spelled(key), "")
    for key in sorted(steady[1] - anywhere[0]):
        yield Finding("series", name, "", _spelled(key))
    for key in sorted(steady[0] & steady[1]) if not _NOT_COMPARED.match(name) else ():
        if _is_quantile(key) and len({page.samples[_count(key)] for page in (*theirs, *ours)}) > 1:
            continue  # the quantiles are of different observations
        their, our = [page.samples[key] for page in theirs], [page.samples[key] for page in ours]
        if not _agree(their, our, exactly=not _CLOSE.match(name)):
            yield Finding("value", name, f"{_spelled(key)} {their[1]:g}", f"{our[1]:g}")


def _is_quantile(key: tuple[str, Labels]) -> bool:
    return any(name == "quantile" for name, _ in key[1])


def _count(key: tuple[str, Labels]) -> tuple[str, Labels]:
    """Return the series that counts the observations of a quantile."""
    return f"{key[0]}_count", tuple(pair for pair in key[1] if pair[0] != "quantile")


def _agree(theirs: list[float], ours: list[float], *, exactly: bool) -> bool:
    if exactly and theirs[0] == theirs[1] and ours[0] == ours[1]:
        return math.isclose(theirs[1], ours[1], rel_tol=1e-9) or (math.isnan(theirs[1]) and math.isnan(ours[1]))
    slack = max(MAX_RATIO * max(map(abs, theirs + ours)), MAX_DIFFERENCE)
    return max(min(theirs), min(ours)) - min(max(theirs), max(ours)) <= slack


def _shown(family: Family) -> str:
    (name, labels), value = next(iter(family.samples.items()))
    return f"{_spelled((name, labels))} {value:g}"


def _spelled(key: tuple[str, Labels]) -> str:
    labels = ",".join(f'{name}="{value[:60]}"' for name, value in key[1])
    return f"{key[0]}{{{labels}}}" if labels else key[0]


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
