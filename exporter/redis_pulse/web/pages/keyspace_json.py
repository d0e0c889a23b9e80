"""What fills a server, as JSON: ``/keyspace`` for programs, and ``redis-pulse keyspace --json``."""

from typing import Any

from redis_pulse.keyspace import Estimate, KeyspaceReport, LargeKey, PatternNode, PatternUsage


def keyspace_json(target: str, report: KeyspaceReport) -> dict[str, Any]:
    """Return the report about the keys of one target.

    Bytes and seconds are numbers. An estimate is ``{"value": …, "error": …}`` with the half width of its interval of
    95 %. What is unknown is null.
    """
    walk = report.walk
    return {
        "target": target,
        "at": report.at,
        "window_seconds": report.window,
        "keys": report.keys,
        "draws": report.draws,
        "draws_total": report.draws_total,
        "certainty": report.certainty,
        "notes": list(report.notes),
        "memory_bytes": _estimate(report.memory),
        "dataset_bytes": report.dataset_bytes,
        "unexplained_bytes": report.unexplained_bytes,
        "patterns": [_usage(usage) for usage in report.patterns],
        "tree": [_node(node) for node in report.tree],
        "largest": [_large(key) for key in report.largest],
        "growth": [
            {
                "db": growth.db,
                "pattern": growth.pattern,
                "change_bytes": _estimate(growth.change),
                "seconds": growth.seconds,
                "certain": growth.is_certain,
            }
            for growth in report.growth
        ],
        "walk": {"ratio": walk.ratio, "passes": walk.passes, "seconds": walk.seconds, "running": walk.running},
        "keys_per_second": report.keys_per_second,
        "server_share": report.server_share,
    }


def _estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "error": estimate.error}


def _usage(usage: PatternUsage) -> dict[str, Any]:
    return {
        "db": usage.db,
        "pattern": usage.pattern,
        "type": usage.type,
        "memory_bytes": _estimate(usage.memory),
        "keys": _estimate(usage.keys),
        "without_expiry_ratio": usage.without_expiry,
        "idle_seconds": usage.idle_seconds,
        "frequency": usage.frequency,
        "draws": usage.draws,
        "found_keys": usage.found_keys,
    }


def _node(node: PatternNode) -> dict[str, Any]:
    return {
        "db": node.db,
        "pattern": node.pattern,
        "memory_bytes": _estimate(node.memory),
        "keys": _estimate(node.keys),
        "types": sorted({usage.type for usage in node.usages}),
        "children": [_node(child) for child in node.children],
    }


def _large(key: LargeKey) -> dict[str, Any]:
    r"""Return a key. Bytes of its name that are not UTF-8 are written as ``\xff``."""
    return {
        "db": key.db,
        "pattern": key.pattern,
        "type": key.type,
        "bytes": key.memory,
        "length": key.length,
        "ttl_seconds": key.ttl,
        "age_seconds": key.age,
        "name": None if key.name is None else key.name.decode(errors="backslashreplace"),
    }
