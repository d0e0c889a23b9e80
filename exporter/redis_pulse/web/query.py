"""What a request for a part of the metrics asks: for one target, some collectors, some names; read with distrust.

A request chooses among what the configuration and discovery named, and can add nothing to it: no host, no credential.
"""

import difflib
from collections.abc import Callable, Sequence

from starlette.datastructures import QueryParams

from redis_pulse.config import parse_url
from redis_pulse.web.interface import DaemonInterface, MetricsFilter

_LONGEST = 200
#: What a request may tell redis_exporter, and the setting that does so here.
_FOREIGN = {
    "check-keys": "collectors: {keys: {patterns: […]}}",
    "check-single-keys": "collectors: {keys: {keys: […]}}",
    "count-keys": "collectors: {key_counts: {patterns: […]}}",
    "check-streams": "collectors: {streams: {patterns: […]}}",
    "check-single-streams": "collectors: {streams: {streams: […]}}",
    "tls-server-name": "tls: {server_name: …}",
    "tls_server_name": "tls: {server_name: …}",
}
_MOST_NAMES = 20
_MOST_COMPARED = 500


class QueryError(Exception):
    """The request cannot be served: ``status`` and a text for whoever sent it, which repeats no secret."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def parse_filters(query: QueryParams, daemon: DaemonInterface) -> MetricsFilter:
    """Return the filters of a request: ``collectors[]``, ``name[]``, ``only``.

    Raises AskedError for unknown ones, and for parameters of redis_exporter that no request can set here.
    """
    if foreign := next((key for key, value in query.items() if value and key in _FOREIGN), None):
        flag = foreign.replace("_", "-")
        raise QueryError(
            400,
            f"{foreign}: a request cannot say what is read here, the configuration does: set {_FOREIGN[foreign]} for "
            f"this target; `redis-pulse migrate-flags -- -{flag}=…` prints it",
        )
    collectors = _parse_names("collectors[]", query, daemon.collectors, "collector")
    names = _parse_names("name[]", query, daemon.metric_names, "metric")
    match query.get("only"):
        case None:
            return MetricsFilter(collectors, names)
        case "exporter":
            return MetricsFilter(collectors, names, "exporter")
        case "targets":
            return MetricsFilter(collectors, names, "targets")
        case _:
            raise QueryError(400, "only: must be exporter, for the metrics of the daemon itself, or targets")


def parse_target(query: QueryParams, daemon: DaemonInterface) -> str:
    """Return the name of the target that a request asks for, by its name, its address or a URL of its address.

    Raises AskedError: 400 when it names none, several, or credentials; 404 for one that is not known here.
    """
    asked = query.getlist("target")
    if len(asked) != 1 or not asked[0].strip():
        raise QueryError(400, f"say which target, once: /scrape?target=NAME; {_some(daemon.target_names())}")
    text = asked[0].strip()
    if (name := daemon.find(text)) is not None:
        return name
    if "@" in text:
        raise QueryError(400, "a target is named without user name and password: its own are in the configuration")
    address = _address(text)
    if address is not None and (name := daemon.find(address)) is not None:
        return name
    shown = text[:_LONGEST]
    near = difflib.get_close_matches(shown, daemon.target_names()[:_MOST_COMPARED], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else _some(daemon.target_names())
    raise QueryError(404, f"no target is known as {shown!r}, neither by name nor by address: {hint}")


def _address(text: str) -> str | None:
    try:
        return parse_url(text[:_LONGEST]).endpoint.address
    except ValueError:
        return None


def _parse_names(key: str, query: QueryParams, names: Callable[[], Sequence[str]], kind: str) -> frozenset[str] | None:
    """Return what is chosen; ``names`` is asked only then: it collects much, and most scrapes choose nothing."""
    if key not in query:
        return None
    known, asked = names(), frozenset(query.getlist(key))
    unknown = sorted(asked.difference(known))
    if unknown:
        shown = unknown[0][:_LONGEST]
        near = difflib.get_close_matches(shown, known, n=3, cutoff=0.6)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise QueryError(400, f"{key}: no {kind} is named {shown!r}{hint}")
    return asked


def _some(names: Sequence[str]) -> str:
    if not names:
        return "no target is known"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"known are {', '.join(names[:_MOST_NAMES])}{more}"
