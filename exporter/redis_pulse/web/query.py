"""Read the query of a request: which target, and which part of the metrics. A query is not trusted.

A request selects from the targets, collectors and metrics that this daemon has. It can add no host and no credential.
"""

import math
from collections.abc import Callable, Sequence

from starlette.datastructures import QueryParams

from redis_pulse.config import closest_names, has_credentials, parse_url
from redis_pulse.stalls.causes import CAUSES
from redis_pulse.stalls.records import MAX_TOTAL
from redis_pulse.web.interface import DaemonInterface, MetricsFilter

#: Characters of a value that are repeated in a message.
_MAX_LENGTH = 200
#: Names of targets that are listed in a message.
MAX_NAMES = 20
#: Targets that are searched for a similar name. A thousand take 13 ms of the event loop.
_MAX_COMPARED = 500
#: Seconds for the first scrape of a target whose client announces no timeout, and the longest time.
DEFAULT_SCRAPE_SECONDS, MAX_SCRAPE_SECONDS = 5.0, 50.0
#: Seconds of an announced timeout that are left for the way, and the share of a short one.
MAX_MARGIN, MARGIN_SHARE = 0.5, 0.2
#: Digits of a limit.
_MAX_DIGITS = 6
#: Parameters of redis_exporter, and the setting that has the same effect here.
_FOREIGN = {
    "check-keys": "collectors: {keys: {patterns: […]}}",
    "check-single-keys": "collectors: {keys: {keys: […]}}",
    "count-keys": "collectors: {key_counts: {patterns: […]}}",
    "check-streams": "collectors: {streams: {patterns: […]}}",
    "check-single-streams": "collectors: {streams: {streams: […]}}",
    "tls-server-name": "tls: {server_name: …}",
    "tls_server_name": "tls: {server_name: …}",
}


class QueryError(Exception):
    """The query cannot be served. The text is for the client and repeats no secret.

    ``status`` is the HTTP status. ``targets`` are the names of targets that the client may have meant.
    """

    def __init__(self, status: int, text: str, targets: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.targets = targets


def parse_filters(query: QueryParams, daemon: DaemonInterface) -> MetricsFilter:
    """Return the filters of a request: ``collectors[]``, ``name[]`` and ``only``.

    Raises ``QueryError`` for unknown names, and for parameters of redis_exporter that have no effect here.
    """
    if foreign := next((key for key, value in query.items() if value and key in _FOREIGN), None):
        flag = foreign.replace("_", "-")
        raise QueryError(
            400,
            f"{foreign}: a request cannot choose what is read here: set {_FOREIGN[foreign]} for this target in the "
            f"configuration; `redis-pulse migrate-flags -- -{flag}=…` prints this setting",
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
    """Return the name of the one target in the query.

    Raises ``QueryError``: 400 if the query has no target or several, and as ``find_target`` does.
    """
    return find_target(target_text(query, daemon), daemon)


def target_text(query: QueryParams, daemon: DaemonInterface) -> str:
    """Return the one target of the query, unchanged. Raises ``QueryError`` without a target, or with several."""
    values = query.getlist("target")
    if len(values) != 1 or not values[0].strip():
        names = daemon.target_names()
        raise QueryError(400, f"name exactly one target: /scrape?target=NAME; {_list_names(names)}", names)
    return values[0].strip()


def scrape_module(query: QueryParams) -> str | None:
    """Return the module of the query, or None. Raises ``QueryError`` if there are several."""
    values = [value for value in query.getlist("module") if value]
    if len(values) > 1:
        raise QueryError(400, "name at most one module: &module=NAME")
    return values[0] if values else None


def scrape_seconds(header: str | None) -> float:
    """Return how long a first scrape may take. Prometheus announces its timeout in a header.

    The answer comes a little earlier, as that of blackbox_exporter, because it has a way to go.
    """
    try:
        timeout = float(header or "")
    except ValueError:
        return DEFAULT_SCRAPE_SECONDS
    if not 0 < timeout < math.inf:
        return DEFAULT_SCRAPE_SECONDS
    return min(timeout - min(MAX_MARGIN, timeout * MARGIN_SHARE), MAX_SCRAPE_SECONDS)


def parse_optional_target(query: QueryParams, daemon: DaemonInterface) -> str:
    """Return the name of the target in the query. Without one, return the name of the only target.

    Raises ``QueryError``: 503 if there is no target, 400 if there are several, and as ``find_target`` does.
    """
    if text := query.get("target", "").strip():
        return find_target(text, daemon)
    names = daemon.target_names()
    if not names:
        raise QueryError(503, _list_names(names))
    if len(names) > 1:
        raise QueryError(400, f"there are {len(names)} targets: choose one, for example ?target={names[0]}", names)
    return names[0]


def parse_stall_query(query: QueryParams, daemon: DaemonInterface) -> tuple[str | None, str | None, int]:
    """Return target, cause and limit of a request for stalls. Raises ``QueryError`` for unknown values."""
    text, cause, limit = query.get("target", "").strip(), query.get("cause") or None, query.get("limit", "")
    if cause is not None and cause not in CAUSES:
        raise QueryError(400, f"cause: must be one of {', '.join(CAUSES)}")
    if limit and not (limit.isdecimal() and len(limit) <= _MAX_DIGITS):
        raise QueryError(400, "limit: must be a whole number")
    return find_target(text, daemon) if text else None, cause, int(limit) if limit else MAX_TOTAL


def find_target(text: str, daemon: DaemonInterface) -> str:
    """Return the name of the target with this name, this address or a URL of this address.

    Raises ``QueryError``: 400 if the text has credentials, 404 if there is no such target.
    """
    if (name := known_target(text, daemon)) is not None:
        return name
    shown, names = text[:_MAX_LENGTH], daemon.target_names()
    similar = closest_names(shown, names[:_MAX_COMPARED], cutoff=0.5)
    hint = _suggest(similar) if similar else _list_names(names)
    raise QueryError(404, f"no target has the name or address {shown!r}: {hint}", similar or names)


def known_target(text: str, daemon: DaemonInterface) -> str | None:
    """Return the name of the target with this name or address, or None if no target has it.

    Raises ``QueryError`` (400) if the text has credentials.
    """
    if (name := daemon.find(text)) is not None:
        return name
    if has_credentials(text):
        raise QueryError(400, "name a target without user name and password: the configuration holds them")
    address = _parse_address(text)
    return None if address is None else daemon.find(address)


def _parse_address(text: str) -> str | None:
    try:
        return parse_url(text[:_MAX_LENGTH]).endpoint.address
    except ValueError:
        return None


def _parse_names(
    key: str, query: QueryParams, known_names: Callable[[], Sequence[str]], kind: str
) -> frozenset[str] | None:
    """Return the selected names, or None if the query selects none.

    ``known_names`` is called only if there are some, because it gathers much, and most scrapes select nothing.
    """
    if key not in query:
        return None
    known, selected = known_names(), frozenset(query.getlist(key))
    unknown = sorted(selected.difference(known))
    if unknown:
        shown = unknown[0][:_MAX_LENGTH]
        similar = closest_names(shown, known)
        hint = f": {_suggest(similar)}" if similar else ""
        raise QueryError(400, f"{key}: no {kind} is named {shown!r}{hint}")
    return selected


def _suggest(names: Sequence[str]) -> str:
    return f"did you mean {' or '.join(names)}?"


def _list_names(names: Sequence[str]) -> str:
    if not names:
        return "no target is configured"
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"known targets are {', '.join(names[:MAX_NAMES])}{more}"
