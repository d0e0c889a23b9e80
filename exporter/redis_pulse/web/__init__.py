"""Serve the pages of the daemon over HTTP. No other package imports starlette, uvicorn or httptools.

- ``interface``: what the pages need from the daemon; the package ``daemon`` implements it
- ``app``: the ASGI application with routes, common headers and counting of responses
- ``handlers``: one method for each path
- ``query``: the target and the filters in the query of a request
- ``content_negotiation``: the format and the compression that a client prefers
- ``json_responses``: the bodies of the JSON pages
- ``status_page``: the HTML page
- ``connection_limits``: the time, bytes and connections that clients can take
- ``server``: the socket, and uvicorn in the event loop of the daemon
"""

from redis_pulse.web.app import build
from redis_pulse.web.connection_limits import REFUSAL_REASONS, ConnectionLimits
from redis_pulse.web.interface import (
    DaemonInterface,
    FailingCollector,
    InfoSummary,
    MetricsFilter,
    PendingChange,
    SdTarget,
    TargetView,
)
from redis_pulse.web.server import HttpServer, ListenError, bind

__all__ = [
    "REFUSAL_REASONS",
    "ConnectionLimits",
    "DaemonInterface",
    "FailingCollector",
    "HttpServer",
    "InfoSummary",
    "ListenError",
    "MetricsFilter",
    "PendingChange",
    "SdTarget",
    "TargetView",
    "bind",
    "build",
]
