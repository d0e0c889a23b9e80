"""Serve the pages of the daemon over HTTP. No other package imports starlette, uvicorn or httptools.

- ``interface``: what the pages need from the daemon; the package ``daemon`` implements it
- ``app``: the ASGI application with routes, common headers and counting of responses
- ``handlers``: one method for each path
- ``late_pages``: imports the pages for people with the first request for one
- ``query``: the target and the filters in the query of a request
- ``content_negotiation``: the format and the compression that a client prefers
- ``json_responses``: the bodies of the JSON pages
- ``status_interface``: what the pages for people need from the daemon
- ``pages``: the pages for people, and their data as JSON
- ``access_policy``: which client may use which path, and the checks of Host and Origin
- ``access_control``: the checks of a request, ``passwords`` and ``rate_limit`` for it
- ``web_config_file``: the web configuration file, watched; ``tls`` makes the TLS context of it
- ``connection_limits``: the time and bytes that one client can take
- ``connection_accounting``: the number of clients, and which of them is closed when there are too many
- ``server``: the socket, and uvicorn in the event loop of the daemon
"""

from redis_pulse.web.access_control import AccessControl
from redis_pulse.web.app import build
from redis_pulse.web.connection_accounting import ClientLimits
from redis_pulse.web.connection_limits import REFUSAL_REASONS, ConnectionLimits
from redis_pulse.web.interface import (
    AdoptionInterface,
    DaemonInterface,
    FailingCollector,
    InfoSummary,
    MetricsFilter,
    PendingChange,
    SdTarget,
    TargetView,
)
from redis_pulse.web.late_pages import import_pages
from redis_pulse.web.passwords import make_hash
from redis_pulse.web.server import HttpServer, ListenError, bind
from redis_pulse.web.status_interface import (
    CollectorView,
    OwnStatus,
    Replication,
    StatusDetails,
    StatusInterface,
    StatusView,
)
from redis_pulse.web.web_config_file import WebAccess, WebConfigWatcher, load_web_access

__all__ = [
    "REFUSAL_REASONS",
    "AccessControl",
    "AdoptionInterface",
    "ClientLimits",
    "CollectorView",
    "ConnectionLimits",
    "DaemonInterface",
    "FailingCollector",
    "HttpServer",
    "InfoSummary",
    "ListenError",
    "MetricsFilter",
    "OwnStatus",
    "PendingChange",
    "Replication",
    "SdTarget",
    "StatusDetails",
    "StatusInterface",
    "StatusView",
    "TargetView",
    "WebAccess",
    "WebConfigWatcher",
    "bind",
    "build",
    "import_pages",
    "load_web_access",
    "make_hash",
]
