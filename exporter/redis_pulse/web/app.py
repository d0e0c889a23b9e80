"""Which path gives which answer: the ASGI application over a ``DaemonInterface``.

A page is one coroutine from request to response and one row in ``build``. Everything around it is done once, in
``_HeadersAndMetricsMiddleware``: headers, counting, and what happens when a page raises.
"""

import asyncio
import difflib
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
from redis_pulse.config import telemetry_path_error
from redis_pulse.web.handlers import Handlers
from redis_pulse.web.interface import DaemonInterface

_log = log.get("web")

#: Headers of every answer; a page that needs a style says so in a policy of its own.
_POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
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
    """Return the application that shows a daemon.

    ``clock`` (monotonic, seconds) times the answers, ``now`` stamps them. With ``health_always_200`` the status of
    ``/health`` says nothing of the targets. Raises ``ValueError`` when ``telemetry_path`` is no path or belongs to
    another page.
    """
    pages = Handlers(daemon, telemetry_path, now, health_always_200=health_always_200)
    table: list[tuple[str, _Route]] = [
        ("/", _Route(pages.index)),
        ("/scrape", _Route(pages.scrape)),
        ("/sd", _Route(pages.discover)),
        ("/health", _Route(pages.health)),
        ("/-/healthy", _Route(pages.healthy)),
        ("/-/ready", _Route(pages.ready)),
        ("/-/reload", _Route(pages.reload, ("POST",))),
        ("/redis/ping", _Route(pages.ping)),
        ("/redis/stats", _Route(pages.stats)),
    ]
    if trouble := telemetry_path_error(telemetry_path):
        raise ValueError(f"{telemetry_path!r} {trouble}")
    table.insert(1, (telemetry_path, _Route(pages.metrics)))
    routes = [Route(path, page) for path, page in table]
    router = Router(routes, redirect_slashes=False, default=_NotFound([route.path for route in routes]))
    return _HeadersAndMetricsMiddleware(router, daemon, clock)


@dataclass(frozen=True)
class _Route:
    """One path: its answer and the methods it takes."""

    answer: Callable[[Request], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET", "HEAD")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say which methods there are."""
        if scope["method"] in self.methods:
            response = await self.answer(Request(scope, receive))
        else:
            allowed = ", ".join(self.methods)
            text = f"{scope['method']} is not for {scope['path']}: use {allowed.replace(', ', ' or ')}\n"
            response = PlainTextResponse(text, 405, {"allow": allowed})
        await response(scope, receive, send)


@dataclass(frozen=True)
class _NotFound:
    paths: list[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path"][:200]
        near = difflib.get_close_matches(asked, self.paths[1:], n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(self.paths)}"
        await PlainTextResponse(f"{asked} is not here: {hint}\n", 404)(scope, receive, send)


class _HeadersAndMetricsMiddleware:
    """Adds the headers of every answer, counts it, and turns what a page raises into a plain 500."""

    def __init__(self, app: ASGIApp, daemon: DaemonInterface, clock: Callable[[], float]) -> None:
        self._app = app
        self._daemon = daemon
        self._clock = clock
        self._told: set[tuple[str, str]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = self._clock()
        status = 0
        made = began

        async def watched(message: Message) -> None:
            nonlocal status, made
            if message["type"] == "http.response.start":
                status, made = message["status"], self._clock()
                date = (b"date", formatdate(usegmt=True).encode())
                headers = message["headers"] = [*message["headers"], date, *_HEADERS]
                if not any(name == _POLICY[0] for name, _ in headers):
                    headers.append(_POLICY)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except (ClientDisconnect, asyncio.CancelledError):
            # Nobody waits for the answer, or the server stops: no failure of a page.
            return
        except Exception as error:  # noqa: BLE001  whatever a page raises, the server goes on and says nothing of it
            self._log_once(self._path(scope), error)
            if not status:
                text = "This page failed; the log of the exporter says why.\n"
                await PlainTextResponse(text, 500)(scope, receive, watched)
        finally:
            if status:
                self._daemon.count_request(self._path(scope), status, made - began)

    @staticmethod
    def _path(scope: Scope) -> str:
        route = scope.get("route")
        return route.path if isinstance(route, Route) else OTHER

    def _log_once(self, path: str, error: Exception) -> None:
        """Log each kind of failure of a page once, or a dashboard's reload would fill the disk."""
        kind = (path, type(error).__name__)
        if kind not in self._told:
            self._told.add(kind)
            _log.error("a page failed (told once)", path=path, error=kind[1], exc_info=error)
