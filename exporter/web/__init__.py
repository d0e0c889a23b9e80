"""What is served over HTTP, and the server that serves it: the door of starlette, uvicorn and httptools.

``views`` says what the pages need to know (``app`` implements it), ``routes`` makes the ASGI application of it,
``answers`` and ``pages`` are the bodies, ``asked`` reads the query, ``negotiate`` reads ``Accept``, ``listen`` opens
the socket, ``accept`` takes clients in, ``limits`` bounds what one client may take, ``server`` runs it all inside our
own loop.
"""

from exporter.web.limits import REFUSALS, Limits
from exporter.web.listen import ListenError, bind, parse_listen
from exporter.web.routes import build
from exporter.web.server import HttpServer
from exporter.web.views import Daemon, PendingChange, Place, Stats, TargetView, Wanted

__all__ = [
    "REFUSALS",
    "Daemon",
    "HttpServer",
    "Limits",
    "ListenError",
    "PendingChange",
    "Place",
    "Stats",
    "TargetView",
    "Wanted",
    "bind",
    "build",
    "parse_listen",
]
