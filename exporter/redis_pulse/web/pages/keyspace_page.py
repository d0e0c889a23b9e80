"""The page of what fills one server: patterns with bars and error bars, large keys, and what grows."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from redis_pulse.keyspace import Estimate, KeyspaceReport, LargeKey, PatternGrowth, PatternNode, PatternUsage
from redis_pulse.status import TargetState, format_size
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.own_view import frame, own_view
from redis_pulse.web.pages.page_query import PageQuery
from redis_pulse.web.pages.texts import own as html
from redis_pulse.web.status_interface import OwnStatus

#: Rows of the list of what grows.
MAX_GROWTH = 10


def keyspace_page(
    name: str, state: TargetState, report: KeyspaceReport, own: OwnStatus, now: float, *, telemetry_path: str
) -> dict[str, Any]:
    """Return the values of the template ``keyspace.html``."""
    query = quote(name, safe="")
    return {
        **_around(f"{texts.short(name)}: keys", state, f"keyspace?target={query}", own, now, telemetry_path),
        "now": now,
        "name": name,
        "query": query,
        "line": _line(report),
        "certainty": report.certainty,
        "notes": report.notes,
        "facts": [("Measured", _measured(report, now)), ("Cost", _cost(report))],
        "has_memory": report.memory is not None,
        "rows": list(_rows(report)),
        "largest": [_large(key) for key in report.largest],
        "has_names": any(key.name is not None for key in report.largest),
        "growth": [_growth(one) for one in report.growth[:MAX_GROWTH]],
    }


def keyspace_list_page(names: Sequence[str], own: OwnStatus, now: float, *, telemetry_path: str) -> dict[str, Any]:
    """Return the values of the template ``keyspaces.html``: the targets whose keys are sampled."""
    return {**_around("Keys", "ok", "keyspace", own, now, telemetry_path), "now": now, "names": names}


def _around(
    title: str, state: TargetState, here: str, own: OwnStatus, now: float, telemetry_path: str
) -> dict[str, Any]:
    page = frame(title, state, PageQuery(), now, telemetry_path)
    return {"page": page | {"notice": "", "self": here, "moving": here, "still": here}, "self_": own_view(own, now)}


def _line(report: KeyspaceReport) -> Markup:
    keys = texts.plural(report.keys, "key")
    if report.memory is None:
        return html("{}; the server does not tell their memory", keys)
    dataset = "" if report.dataset_bytes is None else f" of {format_size(report.dataset_bytes)} of data"
    return html("{} take {}{}", keys, size_with_error(report.memory), dataset)


def _measured(report: KeyspaceReport, now: float) -> list[tuple[str, object]]:
    walk = report.walk
    passes = f", {texts.plural(walk.passes, 'pass')} before" if walk.passes == 1 else f", {walk.passes} passes before"
    rows: list[tuple[str, object]] = [
        ("Random draws", html("{} in {}", texts.number(report.draws), texts.span(report.window))),
        ("Walk", html("{} of all keys visited{}", texts.share(walk.ratio, 1), passes if walk.passes else "")),
    ]
    if walk.seconds is not None:
        rows.append(("One pass took", texts.span(walk.seconds)))
    if report.unexplained_bytes is not None:
        rows.append(("Not explained", signed_size(report.unexplained_bytes)))
    return [*rows, ("As of", html("{} ago", texts.span(now - report.at)))]


def _cost(report: KeyspaceReport) -> list[tuple[str, object]]:
    share = "not known yet" if report.server_share is None else texts.share(report.server_share, 1)
    return [("Keys a second", f"{report.keys_per_second:.0f}"), ("Of the server's main thread", share)]


def _rows(report: KeyspaceReport) -> Iterator[dict[str, Any]]:
    """Yield the rows of the tree, each with its bar. Children follow their parent, the largest first."""
    whole = max((_measure(node).high for node in report.tree), default=0.0) or 1.0
    total = sum(_size(node) for node in report.tree) or 1.0
    for root in report.tree:
        yield _row(root, 0, whole, total)
        yield from _below(root, 1, whole, total)


def _below(node: PatternNode, depth: int, whole: float, total: float) -> Iterator[dict[str, Any]]:
    for child in sorted(node.children, key=lambda one: -_size(one)):
        yield _row(child, depth, whole, total)
        yield from _below(child, depth + 1, whole, total)


def _measure(node: PatternNode) -> Estimate:
    return node.keys if node.memory is None else node.memory


def _size(node: PatternNode) -> float:
    return _measure(node).value


def _row(node: PatternNode, depth: int, whole: float, total: float) -> dict[str, Any]:
    measure = _measure(node)
    usages = node.usages
    return {
        "indent": min(depth, 8),
        "pattern": f"db{node.db}" if depth == 0 else node.pattern,
        "is_root": depth == 0,
        "types": ", ".join(sorted({usage.type for usage in usages})),
        "bar": {
            "width": _percent(measure.value, whole),
            "low": _percent(measure.low, whole),
            "error": max(0.4, _percent(measure.high - measure.low, whole)) if measure.error else 0,
        },
        "memory": texts.NONE if node.memory is None else size_with_error(node.memory),
        "share": texts.share(measure.value, total),
        "count": count_with_error(node.keys),
        "without_expiry": _ratio(usages),
        "idle": _access(usages),
    }


def _percent(value: float, whole: float) -> float:
    return round(min(100.0, 100 * value / whole), 2)


def _ratio(usages: tuple[PatternUsage, ...]) -> str:
    known = [(usage.without_expiry, usage.keys.value) for usage in usages if usage.without_expiry is not None]
    weight = sum(keys for _, keys in known)
    return texts.share(sum(ratio * keys for ratio, keys in known), weight) if weight else texts.NONE


def _access(usages: tuple[PatternUsage, ...]) -> str:
    """Return the idle time of the type with most draws, or its frequency on a server with an LFU policy."""
    if not usages:
        return texts.NONE
    usage = max(usages, key=lambda one: one.draws)
    if usage.frequency is not None:
        return f"frequency {usage.frequency:.0f}"
    return texts.NONE if usage.idle_seconds is None else texts.span(usage.idle_seconds)


def _large(key: LargeKey) -> dict[str, Any]:
    return {
        "db": key.db,
        "pattern": key.pattern,
        "name": "" if key.name is None else key.name.decode(errors="backslashreplace"),
        "type": key.type,
        "bytes": texts.NONE if key.memory is None else format_size(key.memory),
        "length": texts.NONE if key.length is None else texts.number(key.length),
        "ttl": "never" if key.ttl is None else f"in {texts.span(key.ttl)}",
        "age": texts.span(key.age),
    }


def _growth(growth: PatternGrowth) -> dict[str, Any]:
    sign = "+" if growth.change.value >= 0 else "\u2212"
    size = f"{sign}{format_size(abs(growth.change.value))} \u00b1 {format_size(growth.change.error)}"
    return {
        "db": growth.db,
        "pattern": growth.pattern,
        "change": size,
        "seconds": texts.span(growth.seconds),
        "say": "" if growth.is_certain else "within its error",
    }


def size_with_error(estimate: Estimate) -> str:
    """Return bytes with their error: ``7.7 GiB ± 0.1 GiB``."""
    size = format_size(estimate.value)
    return size if not estimate.error else f"{size} \u00b1 {format_size(estimate.error)}"


def count_with_error(estimate: Estimate) -> str:
    """Return a number of keys with its error."""
    count = texts.number(estimate.value)
    return count if not estimate.error else f"{count} \u00b1 {texts.number(estimate.error)}"


def signed_size(count: float) -> str:
    """Return bytes that may be negative."""
    return format_size(count) if count >= 0 else f"\u2212{format_size(-count)}"
