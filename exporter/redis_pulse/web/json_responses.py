"""What the JSON pages say, as plain dicts; decided from views alone, so no page ever waits for a target."""

import difflib
import math
from collections.abc import Sequence
from typing import Any

from redis_pulse.web.interface import FailingCollector, InfoSummary, PendingChange, SdTarget, TargetView

_MOST_NAMES = 20
#: Among so many a similar name is looked for: a thousand take 13 ms of the loop.
_MOST_COMPARED = 500
_UNITS = "KMGTP"


class UnknownTargetError(Exception):
    """The request names no target, or one that is not there: ``status`` and ``body`` of the answer."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.status = status
        self.body = body


def find_target(views: Sequence[TargetView], wanted: str | None) -> TargetView:
    """Return the target of that name or address; the only one when none is named.

    Raises ``UnknownTargetError``: 404 for a target that is not there, 400 when there are several to choose from, 503
    when there is none at all.
    """
    if not wanted:
        if len(views) == 1:
            return views[0]
        if not views:
            raise UnknownTargetError(503, _error("no target is configured"))
        message = f"there are {len(views)} targets: say which, for example ?target={views[0].name}"
        raise UnknownTargetError(400, _error(message, targets=_some_names(views)))
    for view in views:
        if view.name == wanted:
            return view
    for view in views:
        if view.address == wanted:
            return view
    near = difflib.get_close_matches(wanted[:200], [view.name for view in views[:_MOST_COMPARED]], n=3, cutoff=0.5)
    message = f"no target is named {wanted[:200]!r}"
    if near:
        message += f": did you mean {' or '.join(near)}?"
    raise UnknownTargetError(404, _error(message, targets=near or _some_names(views)))


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


def stats(view: TargetView) -> tuple[int, dict[str, Any]]:
    """Return status and body for the newest INFO samples of a target."""
    found = view.stats
    if found is None:
        return 503, _error(f"no fresh sample of this server: {down_reason(view)}", target=view.name)
    return 200, {
        "connected_clients": found.connected_clients,
        "used_memory_human": format_bytes(found.used_memory_bytes),
        "total_commands_processed": found.total_commands_processed,
        "keyspace_hits": found.keyspace_hits,
        "keyspace_misses": found.keyspace_misses,
        "hit_rate": hit_rate(found),
        "target": view.name,
    }


def health_status(views: Sequence[TargetView], *, loop_turns: bool) -> str:
    """Return ``unhealthy`` when no target is connected, ``healthy`` when every one is and all collectors work.

    Everything between is ``degraded``.
    """
    connected = sum(view.up for view in views)
    if not connected or not loop_turns:
        return "unhealthy"
    is_whole = connected == len(views) and not any(view.failing for view in views)
    return "healthy" if is_whole else "degraded"


def health_code(status: str, *, loop_turns: bool, always_200: bool) -> int:
    """Return the HTTP status of ``/health``.

    With ``always_200`` it says only whether we live. A supervisor that asks redis_exporter's ``/health`` would
    otherwise restart us, or take Redis out of its service, in the very outage that we are to record.
    """
    is_well = loop_turns if always_200 else status != "unhealthy"
    return 200 if is_well else 503


def health_redis(view: TargetView) -> dict[str, Any]:
    """Return how the connection to one target is."""
    return {"status": view.status, "latency_ms": milliseconds(view.latency_seconds)}


def health_target(view: TargetView) -> dict[str, Any]:
    """Return what ``/health`` says of one target."""
    return {
        "redis": health_redis(view),
        "breaker": view.breaker,
        "address": view.address,
        "role": view.role,
        "version": view.version,
        "sample_age_seconds": rounded(view.sample_age_seconds),
        "failing": {one.name: _failing(one) for one in view.failing},
    }


def pending(changes: Sequence[PendingChange]) -> dict[str, dict[str, str]]:
    """Return what ``/health`` says of changes that failed: target, step and error."""
    found: dict[str, dict[str, str]] = {}
    for change in changes:
        found.setdefault(change.target, {})[change.step] = change.error
    return found


def _failing(one: FailingCollector) -> dict[str, Any]:
    found: dict[str, Any] = {"reason": one.reason, "error": one.error}
    if one.commands:
        found |= {"user": one.user, "commands": list(one.commands)}
    return found


def sd_group(place: SdTarget) -> dict[str, Any]:
    """Return a target as http_sd tells it: ``instance`` is the Redis, and relabelling has only to say where we are."""
    labels = {"__metrics_path__": "/scrape", "__param_target": place.name, "instance": place.address}
    return {"targets": [place.address], "labels": {**place.labels, **labels}}


def down_reason(view: TargetView) -> str:
    """Return why a target is not up, or has no samples, in words."""
    if view.status == "connected":
        return "connected, and no answer yet"
    return view.status.removeprefix("error: ")


def hit_rate(found: InfoSummary) -> float | None:
    """Return the share of lookups that found their key, in percent; None when there were none."""
    if found.keyspace_hits is None or found.keyspace_misses is None:
        return None
    lookups = found.keyspace_hits + found.keyspace_misses
    return round(100 * found.keyspace_hits / lookups, 2) if lookups > 0 else None


def format_bytes(count: int | None) -> str | None:
    """Return a number of bytes in the format of Redis' own ``used_memory_human``: ``512B``, ``1.05M``."""
    if count is None:
        return None
    exponent = (count.bit_length() - 1) // 10
    if count < 1024 or exponent > len(_UNITS):
        return f"{count}B"
    return f"{count / 1024**exponent:.2f}{_UNITS[exponent - 1]}"


def milliseconds(seconds: float | None) -> float | None:
    """Return milliseconds with microseconds after the point; None for what is not a number."""
    return None if seconds is None else rounded(seconds * 1000)


def rounded(value: float | None) -> float | None:
    """Return three digits after the point; None for what JSON cannot say."""
    return None if value is None or not math.isfinite(value) else round(value, 3)


def _error(message: str, **more: Any) -> dict[str, Any]:
    return {"status": "error", "message": message, **more}


def _some_names(views: Sequence[TargetView]) -> list[str]:
    return [view.name for view in views[:_MOST_NAMES]]
