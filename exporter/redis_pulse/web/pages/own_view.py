"""The part of a page about the exporter itself, and the frame around every page."""

from typing import Any

from markupsafe import Markup

from redis_pulse.status import TONES, TargetState, format_size
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.page_query import PageQuery
from redis_pulse.web.pages.problems import MAX_LATE
from redis_pulse.web.pages.texts import own as html
from redis_pulse.web.status_interface import OwnStatus

_COLOURS = {"bad": "%23d23b27", "warn": "%23d08200", "note": "%233f86c6", "ok": "%233d7f66"}
_SHAPES = {
    "bad": "<path fill='C' d='M1 1h14v14H1z'/><path stroke='%23fff' stroke-width='2' d='m5 5 6 6m0-6-6 6'/>",
    "warn": "<path fill='C' d='M8 1l7.5 14H.5z'/>",
    "note": "<circle cx='8' cy='8' r='7' fill='C'/>",
    "ok": "<circle cx='8' cy='8' r='7' fill='C'/>"
    "<path fill='none' stroke='%23fff' stroke-width='2' d='m4.5 8 2.5 2.5L11.5 6'/>",
}


def icon(state: TargetState) -> Markup:
    """Return the icon of the tab as an address of data: the shape and the colour of a state."""
    shape = _SHAPES[TONES[state]].replace("C", _COLOURS[TONES[state]], 1)
    image = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{shape}</svg>"
    return Markup("data:image/svg+xml," + image.replace("<", "%3C").replace(">", "%3E").replace(" ", "%20"))  # noqa: S704


def frame(title: str, state: TargetState, query: PageQuery, now: float, telemetry_path: str) -> dict[str, Any]:
    """Return the values of the head and the foot of a page. All links are relative."""
    metrics = telemetry_path.lstrip("/")
    paths = (metrics, "sd", "health", "stalls", "keyspace", "config", "api/v1/status", "api/v1/openapi.json")
    return {
        "title": title,
        "icon": icon(state),
        "refresh": query.refresh,
        "self": query.link(),
        "still": query.link(refresh=0),
        "moving": query.link(refresh=15),
        "now": now,
        "day": texts.day(now),
        "links": [
            (metrics, "Metrics"),
            ("health", "Health"),
            ("stalls", "Stalls"),
            ("keyspace", "Keys"),
            ("config", "Configuration"),
        ],
        "all_paths": [*paths, "redis/ping", "redis/stats", "-/ready", "-/healthy"],
    }


def own_view(own: OwnStatus, now: float) -> dict[str, Any]:
    """Return the values of the section about the exporter itself."""
    well = own.is_healthy and own.late_pings <= MAX_LATE * own.due_pings
    return {
        "version": own.version,
        "runtime": f"Python {own.python}",
        "health": {"state": "ok" if well else "risk", "word": "well" if well else "late"},
        "slots": html(
            "{} of {} late or not sent in the last hour", texts.number(own.late_pings), texts.number(own.due_pings)
        ),
        "lag": html("at most {} in the last hour", texts.milliseconds(own.max_lag)),
        "uses": html(
            "{} of a CPU since the start, {} of memory",
            texts.share(own.cpu_share, 1),
            format_size(own.resident_bytes) if own.resident_bytes else "an unknown amount",
        ),
        "running": html("{}, since {} UTC", texts.span(now - own.started), _when(own.started, now)),
        "config": _config(own, now),
        "scraped": _scraped(own, now),
        "sources": [_declared(own), *(_source(own, index, now) for index in range(len(own.sources)))],
    }


def _config(own: OwnStatus, now: float) -> dict[str, Any]:
    read = _when(own.loaded_at, now)
    if own.refused_at is not None:
        problem = own.problem.splitlines()[0] if own.problem else ""
        text = html(
            "the one of {} was refused: {}. That of {} stays in force.", _when(own.refused_at, now), problem, read
        )
        return {"state": "down", "word": "refused", "text": text}
    file = html("`{}`", own.file) if own.file else "no file"
    return {"state": "ok", "word": "in force", "text": html("{}, read at {} UTC", file, read)}


def _scraped(own: OwnStatus, now: float) -> Markup:
    if own.scraped is None:
        return html("the metrics were not read yet")
    at, size = own.scraped
    return html("{} ago, {} bytes", texts.span(now - at), texts.number(size))


def _declared(own: OwnStatus) -> dict[str, Any]:
    return {"name": "configuration", "state": "ok", "word": "ok", "text": texts.plural(own.declared, "target")}


def _source(own: OwnStatus, index: int, now: float) -> dict[str, Any]:
    source = own.sources[index]
    name, count = f"{source.kind}: {source.name}", texts.plural(source.targets, "target")
    if source.failing_since is not None:
        text = html("since {} ({}); {} stay as they were", _when(source.failing_since, now), source.error, count)
        return {"name": name, "state": "unsteady", "word": "no answer", "text": text}
    if source.last_success is None:
        return {"name": name, "state": "starting", "word": "starting", "text": "not asked yet"}
    text = html("{}, {} ago", count, texts.span(now - source.last_success))
    return {"name": name, "state": "ok", "word": "ok", "text": text}


def _when(at: float, now: float) -> str:
    """Return a time of the day, with its date if that is another day."""
    return texts.clock(at) if texts.day(at) == texts.day(now) else f"{texts.day(at)} {texts.clock(at)}"
