"""What is served over HTTP, and the server that serves it: the door of starlette, uvicorn and httptools.

``views`` says what the pages need to know (``app`` implements it), ``routes`` makes the ASGI application of it,
``answers`` and ``pages`` are the bodies, ``asked`` reads the query, ``negotiate`` reads ``Accept``, ``listen`` opens
the socket, ``accept`` takes clients in, ``limits`` bounds what one client may take, ``server`` runs it all inside our
own loop.
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
from redis_pulse.web.server import HttpServer, ListenError, bind, parse_listen

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
    "parse_listen",
]
