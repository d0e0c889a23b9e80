"""Build the ASGI application over a ``DaemonInterface``: it maps paths to handlers.

A page is one handler, from request to response, and one line in ``build``. ``_HeadersAndMetricsMiddleware`` does
what all pages need: common headers, counting, and a response if a handler raises.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redis_pulse import log
from redis_pulse.config import closest_name, telemetry_path_error
from redis_pulse.web.handlers import Handlers
from redis_pulse.web.interface import DaemonInterface

_log = log.get("web")

#: The policy of every response, except the status page: it has its own policy, which allows its style.
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
#: Further headers of every response.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
#: The name under which requests for unknown paths are counted.
OTHER = "other"


def _now() -> datetime:
    return datetime.now(UTC)


def build(
    daemon: DaemonInterface,
    *,
    telemetry_path: str = "/metrics",
    health_always_200: bool = False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _now,
) -> ASGIApp:
    """Return the application that serves the pages of a daemon.

    ``clock`` (monotonic, seconds) measures the time to make responses. ``now`` is the time shown by ``/health``.
    With ``health_always_200`` the HTTP status of ``/health`` does not depend on the targets.
    Raises ``ValueError`` if ``telemetry_path`` is not a path or belongs to another page.
    """
    if error := telemetry_path_error(telemetry_path):
        raise ValueError(f"{telemetry_path!r} {error}")
    handlers = Handlers(daemon, telemetry_path, now, health_always_200=health_always_200)
    endpoints = {
        "/": _Endpoint(handlers.index),
        telemetry_path: _Endpoint(handlers.metrics),
        "/scrape": _Endpoint(handlers.scrape),
        "/sd": _Endpoint(handlers.discover),
        "/stalls": _Endpoint(handlers.stalls),
        "/health": _Endpoint(handlers.health),
        "/-/healthy": _Endpoint(handlers.healthy),
        "/-/ready": _Endpoint(handlers.ready),
        "/-/reload": _Endpoint(handlers.reload, ("POST",)),
        "/redis/ping": _Endpoint(handlers.ping),
        "/redis/stats": _Endpoint(handlers.stats),
    }
    routes = [Route(path, endpoint) for path, endpoint in endpoints.items()]
    router = Router(routes, redirect_slashes=False, default=_NotFound([route.path for route in routes]))
    return _HeadersAndMetricsMiddleware(router, daemon, clock)


@dataclass(frozen=True)
class _Endpoint:
    """The handler of a path, and the methods that the path accepts."""

    handler: Callable[[Request], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET", "HEAD")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, with 405 to a method that the path does not accept."""
        if scope["method"] in self.methods:
            response = await self.handler(Request(scope, receive))
        else:
            text = f"{scope['path']} does not accept {scope['method']}: use {' or '.join(self.methods)}\n"
            response = PlainTextResponse(text, 405, {"allow": ", ".join(self.methods)})
        await response(scope, receive, send)


@dataclass(frozen=True)
class _NotFound:
    paths: list[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"][:200]
        similar = closest_name(path, self.paths[1:])
        hint = f"did you mean {similar}?" if similar else f"the pages are {', '.join(self.paths)}"
        await PlainTextResponse(f"there is no page {path}: {hint}\n", 404)(scope, receive, send)


class _HeadersAndMetricsMiddleware:
    """Adds common headers to every response, counts it, and responds with a plain 500 if a handler raises.

    It is pure ASGI: it only passes messages on. Starlette's ``BaseHTTPMiddleware`` would start a task for each
    request, and pass each piece of a body through a stream.
    """

    def __init__(self, app: ASGIApp, daemon: DaemonInterface, clock: Callable[[], float]) -> None:
        self._app = app
        self._daemon = daemon
        self._clock = clock
        self._logged: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = responded = self._clock()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, responded
            if message["type"] == "http.response.start":
                status, responded = message["status"], self._clock()
                date = (b"date", formatdate(usegmt=True).encode())
                headers = message["headers"] = [*message["headers"], date, *_HEADERS]
                if not any(name == _POLICY[0] for name, _ in headers):
                    headers.append(_POLICY)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except (ClientDisconnect, asyncio.CancelledError):
            # The client has left, or the server stops. The handler did not fail.
            return
        except Exception as error:  # noqa: BLE001  whatever a handler raises, the server goes on and hides it from clients
            self._log_once(self._path(scope), error)
            if not status:
                text = "This page failed. The log of the exporter has the reason.\n"
                await PlainTextResponse(text, 500)(scope, receive, send_with_headers)
        finally:
            if status:
                self._daemon.count_request(self._path(scope), status, responded - began)

    @staticmethod
    def _path(scope: Scope) -> str:
        route = scope.get("route")
        return route.path if isinstance(route, Route) else OTHER

    def _log_once(self, path: str, error: Exception) -> None:
        """Log each type of error of a page once. A dashboard that reloads itself must not fill the disk."""
        kind = (path, type(error).__name__)
        if kind not in self._logged:
            self._logged.add(kind)
            _log.error("a page failed (told once)", path=path, error=kind[1], exc_info=error)
