"""Build the ASGI application over a ``DaemonInterface``: it maps paths to handlers.

A page is one handler, from request to response, one line in ``build``, and one in ``access_policy.POLICIES``.
``_HeadersAndMetricsMiddleware`` does what all pages need: common headers, counting, and a response if a handler raises.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redis_pulse import log
from redis_pulse.config import closest_name, telemetry_path_error
from redis_pulse.shared_work import SharedWork
from redis_pulse.slices import SharedTurns
from redis_pulse.web.access_control import AccessControl
from redis_pulse.web.access_policy import POLICIES, UNKNOWN, PathPolicy
from redis_pulse.web.connection_accounting import Client
from redis_pulse.web.connection_limits import CLIENT
from redis_pulse.web.handlers import Handlers
from redis_pulse.web.interface import DaemonInterface
from redis_pulse.web.late_pages import LatePages
from redis_pulse.web.streaming import PIECE

_log = log.get("web")

#: The policy of every response, except the status page: it has its own policy, which allows its style.
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
#: Further headers of every response.
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
#: The methods of a path that changes nothing.
READ = ("GET", "HEAD")
#: Bytes that are passed in one turn of the event loop, if the client fetches them.
_TURN = 4 * PIECE
#: Seconds for which a page for people is sent again.
KEEP_STATUS = 1.0
#: The name under which requests for unknown paths are counted.
OTHER = "other"

Handler = Callable[[Request], Awaitable[Response]]
#: A handler, and the methods that its path accepts.
Page = tuple[Handler, tuple[str, ...]]


def _shared(handler: Handler, turns: SharedTurns, keep: float = 0.0) -> Handler:
    """Return a handler that lets equal requests share a response, and makes one response at a time.

    Polls wait meanwhile, as they do for ``/metrics``.
    """
    work = SharedWork[Response](keep)

    async def handle(request: Request) -> Response:
        is_browser = "text/html" in request.headers.get("accept", "")  # /keyspace has another page for browsers
        return await work.get((request.scope["query_string"], is_browser), partial(_respond, handler, request, turns))

    return handle


async def _respond(handler: Handler, request: Request, turns: SharedTurns) -> Response:
    with turns.page():
        return await handler(request)


def _now() -> datetime:
    return datetime.now(UTC)


def build(
    daemon: DaemonInterface,
    *,
    turns: SharedTurns | None = None,
    access: AccessControl | None = None,
    telemetry_path: str = "/metrics",
    health_always_200: bool = False,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _now,
) -> ASGIApp:
    """Return the application that serves the pages of a daemon.

    ``turns`` are the slices of all pages. While a page is made, polls wait for it.
    ``access`` decides who gets a response. Without it there is no login.
    ``clock`` (monotonic, seconds) measures the time to make responses. ``now`` is the time shown by ``/health``.
    With ``health_always_200`` the HTTP status of ``/health`` does not depend on the targets.
    Raises ``ValueError`` if ``telemetry_path`` is not a path or belongs to another page.
    """
    if error := telemetry_path_error(telemetry_path):
        raise ValueError(f"{telemetry_path!r} {error}")
    access = access or AccessControl()
    turns = turns or SharedTurns()
    handlers = Handlers(daemon, now, access, turns, health_always_200=health_always_200)
    people = LatePages(daemon, telemetry_path, turns)
    pages: dict[str, Page] = {
        "/": (_shared(people.index, turns, KEEP_STATUS), READ),
        "/config": (_shared(people.config, turns, KEEP_STATUS), READ),
        "/keyspace": (_shared(people.keyspace, turns, KEEP_STATUS), READ),
        "/api/v1/status": (_shared(people.api_status, turns, KEEP_STATUS), READ),
        "/api/v1/openapi.json": (people.openapi, READ),
        "/metrics": (handlers.metrics, READ),
        "/scrape": (handlers.scrape, READ),
        "/sd": (_shared(handlers.discover, turns), READ),
        "/stalls": (_shared(handlers.stalls, turns), READ),
        "/health": (_shared(handlers.health, turns), READ),
        "/-/healthy": (handlers.healthy, READ),
        "/-/ready": (handlers.ready, READ),
        "/-/reload": (handlers.reload, ("POST",)),
        "/redis/ping": (handlers.ping, READ),
        "/redis/stats": (handlers.stats, READ),
    }
    routes = [
        Route(telemetry_path if path == "/metrics" else path, _Endpoint(handler, methods, POLICIES[path], access))
        for path, (handler, methods) in pages.items()
    ]
    router = Router(routes, redirect_slashes=False, default=_NotFound([route.path for route in routes], access))
    return _HeadersAndMetricsMiddleware(router, daemon, clock, access)


@dataclass(frozen=True)
class _Endpoint:
    """The handler of a path, the methods that the path accepts, and who may use it."""

    handler: Handler
    methods: tuple[str, ...]
    policy: PathPolicy
    access: AccessControl

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, with 405 to a method that the path does not accept."""
        request = Request(scope, receive)
        response = await self.access.refusal(request, self.policy)
        if response is None and scope["method"] in self.methods:
            response = await self.handler(request)
        elif response is None:
            text = f"{scope['path']} does not accept {scope['method']}: use {' or '.join(self.methods)}\n"
            response = PlainTextResponse(text, 405, {"allow": ", ".join(self.methods)})
        await response(scope, receive, send)


@dataclass(frozen=True)
class _NotFound:
    paths: list[str]
    access: AccessControl

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = await self.access.refusal(Request(scope, receive), UNKNOWN)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        path = scope["path"][:200]
        similar = closest_name(path, self.paths[1:])
        hint = f"did you mean {similar}?" if similar else f"the pages are {', '.join(self.paths)}"
        await PlainTextResponse(f"there is no page {path}: {hint}\n", 404)(scope, receive, send)


async def _send_in_pieces(message: Message, send: Send, client: Client | None) -> None:
    """Send a message, a long body piece by piece, as fast as the client fetches it.

    The server would copy a whole body for each client. Twenty clients that do not read would take 50 MB.
    """
    body = message.get("body", b"")
    if len(body) <= PIECE:
        await send(message)
        return
    if client is not None:
        client.holds(body)
    try:
        for start in range(0, len(body), PIECE):
            end = start + PIECE
            more = end < len(body) or message.get("more_body", False)
            await send({"type": "http.response.body", "body": body[start:end], "more_body": more})
            if start % _TURN == 0:
                await asyncio.sleep(0)  # the loop notices a client that has left, and sends the PINGs that are due
    finally:
        if client is not None:
            client.holds(None)


class _HeadersAndMetricsMiddleware:
    """Adds common headers to every response, counts it, and responds with a plain 500 if a handler raises.

    It is pure ASGI: it only passes messages on. Starlette's ``BaseHTTPMiddleware`` would start a task for each
    request, and pass each piece of a body through a stream.
    """

    def __init__(
        self, app: ASGIApp, daemon: DaemonInterface, clock: Callable[[], float], access: AccessControl
    ) -> None:
        self._app = app
        self._access = access
        self._daemon = daemon
        self._clock = clock
        self._logged: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        client: Client | None = scope.get("state", {}).get(CLIENT)
        if client is None:
            await self._respond(scope, receive, send, None)
        elif not client.is_gone:
            client.responds(asyncio.current_task())
            try:
                await self._respond(scope, receive, send, client)
            finally:
                client.responds(None)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, client: Client | None) -> None:
        began = responded = self._clock()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, responded
            if message["type"] == "http.response.start":
                status, responded = message["status"], self._clock()
                message["headers"] = self._headers(message["headers"])
            await _send_in_pieces(message, send, client)

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

    def _headers(self, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Return the headers of a response, with those of all responses. A web configuration file may replace some."""
        own = self._access.access.headers
        date = (b"date", formatdate(usegmt=True).encode())
        merged = [*headers, date, *_HEADERS]
        if not any(name == _POLICY[0] for name, _ in merged):
            merged.append(_POLICY)
        replaced = {name for name, _ in own}
        return [*(header for header in merged if header[0] not in replaced), *own] if own else merged

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
