"""Build the bodies of the JSON pages as plain dicts. They need only views, so no page waits for a target."""

import math
from collections.abc import Sequence
from typing import Any

from redis_pulse.stalls import StallRecord
from redis_pulse.web.interface import FailingCollector, InfoSummary, PendingChange, SdTarget, TargetView
from redis_pulse.web.query import MAX_NAMES, QueryError

_UNITS = "KMGTP"


def query_error(error: QueryError) -> dict[str, Any]:
    """Return the body for a query that cannot be served."""
    names = list(error.targets[:MAX_NAMES])
    return _error(str(error), **({"targets": names} if names else {}))


def ping(view: TargetView) -> tuple[int, dict[str, Any]]:
    """Return status and body for the newest probe of a target."""
    if view.up:
        return 200, {
            "status": "connected",
            "message": "pong",
            "latency_ms": milliseconds(view.latency_seconds),
            "age_seconds": rounded(view.probe_age_seconds),
            "target": view.name,
        }
    return 503, _error(down_reason(view), target=view.name, age_seconds=rounded(view.probe_age_seconds))


def stats(view: TargetView, summary: InfoSummary | None) -> tuple[int, dict[str, Any]]:
    """Return status and body for the newest INFO samples of a target. Without fresh ones, ``summary`` is None."""
    if summary is None:
        return 503, _error(f"no fresh sample of this server: {down_reason(view)}", target=view.name)
    return 200, {
        "connected_clients": summary.connected_clients,
        "used_memory_human": format_bytes(summary.used_memory_bytes),
        "total_commands_processed": summary.total_commands_processed,
        "keyspace_hits": summary.keyspace_hits,
        "keyspace_misses": summary.keyspace_misses,
        "hit_rate": hit_rate(summary),
        "target": view.name,
    }


def health_status(views: Sequence[TargetView], *, is_loop_healthy: bool) -> str:
    """Return ``healthy``, ``degraded`` or ``unhealthy``.

    It is unhealthy if no target is connected or the event loop is stuck.
    It is healthy if every target is connected and all collectors work.
    """
    connected = sum(view.up for view in views)
    if not connected or not is_loop_healthy:
        return "unhealthy"
    is_complete = connected == len(views) and not any(view.failing for view in views)
    return "healthy" if is_complete else "degraded"


def health_code(status: str, *, is_loop_healthy: bool, always_200: bool) -> int:
    """Return the HTTP status of ``/health``.

    With ``always_200`` only the event loop of the daemon counts. Supervisors set up for redis_exporter query
    ``/health``. In an outage of Redis they would restart the daemon, or take Redis out of its service.
    That is the very outage that the daemon must record.
    """
    is_healthy = is_loop_healthy if always_200 else status != "unhealthy"
    return 200 if is_healthy else 503


def health_redis(view: TargetView) -> dict[str, Any]:
    """Return the state of the connection to a target."""
    return {"status": view.status, "latency_ms": milliseconds(view.latency_seconds)}


def health_target(view: TargetView) -> dict[str, Any]:
    """Return the part of ``/health`` for one target."""
    return {
        "redis": health_redis(view),
        "breaker": view.breaker,
        "address": view.address,
        "role": view.role,
        "software": view.software,
        "version": view.version,
        "mode": view.mode,
        "service": view.service,
        "sample_age_seconds": rounded(view.sample_age_seconds),
        "failing": {collector.name: _failing(collector) for collector in view.failing},
        "last_stall": None if view.last_stall is None else _stall(view.last_stall),
    }


def _stall(record: StallRecord) -> dict[str, Any]:
    """Return a stall without its evidence."""
    return {name: value for name, value in record.to_plain().items() if name not in ("target", "evidence", "commands")}


def pending(changes: Sequence[PendingChange]) -> dict[str, dict[str, str]]:
    """Return the part of ``/health`` for changes that failed: the error of each step of each target."""
    errors: dict[str, dict[str, str]] = {}
    for change in changes:
        errors.setdefault(change.target, {})[change.step] = change.error
    return errors


def _failing(collector: FailingCollector) -> dict[str, Any]:
    body: dict[str, Any] = {"reason": collector.reason, "error": collector.error}
    if collector.commands:
        body |= {"user": collector.user, "commands": list(collector.commands)}
    return body


def sd_group(target: SdTarget) -> dict[str, Any]:
    """Return a target as a target group of http_sd. ``instance`` is the address of the Redis server.

    So relabelling only has to replace ``__address__`` by the address of the daemon.
    """
    labels = {"__metrics_path__": "/scrape", "__param_target": target.name, "instance": target.address}
    return {"targets": [target.address], "labels": {**target.labels, **labels}}


def down_reason(view: TargetView) -> str:
    """Return in words why a target is not up or has no samples."""
    if view.status == "connected":
        return "connected, no reply yet"
    return view.status.removeprefix("error: ")


def hit_rate(summary: InfoSummary) -> float | None:
    """Return the percentage of lookups that found their key, or None if there were no lookups."""
    if summary.keyspace_hits is None or summary.keyspace_misses is None:
        return None
    lookups = summary.keyspace_hits + summary.keyspace_misses
    return round(100 * summary.keyspace_hits / lookups, 2) if lookups > 0 else None


def format_bytes(count: int | None) -> str | None:
    """Return a number of bytes in the format of Redis' own ``used_memory_human``: ``512B``, ``1.05M``."""
    if count is None:
        return None
    exponent = (count.bit_length() - 1) // 10
    if count < 1024 or exponent > len(_UNITS):
        return f"{count}B"
    return f"{count / 1024**exponent:.2f}{_UNITS[exponent - 1]}"


def milliseconds(seconds: float | None) -> float | None:
    """Return seconds as milliseconds with three decimals, or None if they are not a finite number."""
    return None if seconds is None else rounded(seconds * 1000)


def rounded(value: float | None) -> float | None:
    """Return a value with three decimals, or None if JSON cannot express it."""
    return None if value is None or not math.isfinite(value) else round(value, 3)


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"status": "error", "message": message, **more}
