"""What each path answers: from a request and the daemon's views to a response. Nothing here waits for a target."""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from redis_pulse.web import json_responses, status_page
from redis_pulse.web.content_negotiation import accepts_gzip, choose_format
from redis_pulse.web.interface import DaemonInterface, MetricsFilter, TargetView
from redis_pulse.web.query import QueryError, parse_filters, parse_target

#: So many targets are written between two turns of the loop: other work must not wait for a long page.
_SLICE = 50
#: Bytes of a body that are handed over at once.
_PIECE = 65536


class StreamedBody(Protocol):
    """Makes a page of metrics."""

    async def __call__(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return it, already compressed when ``gzip``."""
        ...


class InPieces(Response):
    """A long body, handed over piece by piece as the client reads it.

    Handed over at once, it would be copied for each client: twenty that read nothing cost 50 MB.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body; ``send`` waits while the client does not read."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, max(1, len(body)), _PIECE):
            end = start + _PIECE
            await send({"type": "http.response.body", "body": bytes(body[start:end]), "more_body": end < len(body)})
            await asyncio.sleep(0)  # the loop takes note of a client that is gone, and sends PINGs that are due


class Handlers:
    """The pages of one daemon."""

    def __init__(
        self, daemon: DaemonInterface, telemetry_path: str, now: Callable[[], datetime], *, health_always_200: bool
    ) -> None:
        self._daemon = daemon
        self._telemetry_path = telemetry_path
        self._now = now
        self._health_always_200 = health_always_200

    async def metrics(self, request: Request) -> Response:
        """Answer ``/metrics``: 200 whatever state the targets are in; queries choose a part."""
        if not request.url.query:
            return await self._page(request, self._daemon.metrics)
        try:
            wanted = parse_filters(request.query_params, self._daemon)
        except QueryError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        if wanted == MetricsFilter():
            return await self._page(request, self._daemon.metrics)
        return await self._page(request, partial(self._daemon.filtered_metrics, None, wanted))

    async def scrape(self, request: Request) -> Response:
        """Answer ``/scrape?target=``: the metrics of one target that is known already; nothing is ever connected to."""
        try:
            name = parse_target(request.query_params, self._daemon)
            wanted = parse_filters(request.query_params, self._daemon)
        except QueryError as error:
            self._daemon.scrape_failed()
            return PlainTextResponse(f"{error}\n", error.status)
        return await self._page(request, partial(self._daemon.filtered_metrics, name, wanted))

    async def discover(self, _request: Request) -> Response:
        """Answer ``/sd``: all targets for Prometheus' http_sd; its ``__address__`` is to be replaced by ours."""
        written = []
        for index, place in enumerate(self._daemon.sd_targets()):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            written.append(_json(json_responses.sd_group(place)))
        return Response(f"[{', '.join(written)}]\n", media_type="application/json")

    async def _page(self, request: Request, body: StreamedBody) -> Response:
        form = choose_format(",".join(request.headers.getlist("accept")))
        gzip = accepts_gzip(",".join(request.headers.getlist("accept-encoding")))
        headers = {"content-type": form.content_type, "vary": "Accept, Accept-Encoding"}
        if gzip:
            headers["content-encoding"] = "gzip"
        return InPieces(await body(openmetrics=form.openmetrics, gzip=gzip), headers=headers)

    async def index(self, _request: Request) -> Response:
        """Answer ``/``: the status page for people."""
        page = status_page.status(
            self._daemon.targets(),
            version=self._daemon.version,
            uptime_seconds=self._daemon.uptime_seconds(),
            telemetry_path=self._telemetry_path,
        )
        return HTMLResponse(page, headers={"content-security-policy": status_page.POLICY})

    async def health(self, _request: Request) -> Response:
        """Answer ``/health``: how every target is; 503 when none is connected, unless a setting says otherwise."""
        views, loop_turns = self._daemon.targets(), self._daemon.healthy()
        status = json_responses.health_status(views, loop_turns=loop_turns)
        code = json_responses.health_code(status, loop_turns=loop_turns, always_200=self._health_always_200)
        top: dict[str, Any] = {
            "status": status,
            "timestamp": self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "version": self._daemon.version,
            "uptime_seconds": json_responses.rounded(self._daemon.uptime_seconds()),
        }
        if pending := self._daemon.pending():
            top["pending"] = json_responses.pending(pending)
            top["status"] = "degraded" if status == "healthy" else status
        if len(views) == 1:
            top["redis"] = json_responses.health_redis(views[0])
        written = []
        for index, view in enumerate(views):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            written.append(f"{_json(view.name)}: {_json(json_responses.health_target(view))}")
        body = f'{_json(top)[:-1]}, "targets": {{{", ".join(written)}}}}}\n'
        return Response(body, code, media_type="application/json")

    async def healthy(self, _request: Request) -> Response:
        """Answer ``/-/healthy``: a supervisor restarts us when this is not 200, so it says nothing of Redis."""
        if self._daemon.healthy():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the event loop does not turn as it should\n", 503)

    async def ready(self, _request: Request) -> Response:
        """Answer ``/-/ready``: whether the first samples are in."""
        if self._daemon.ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready: waiting for the first samples\n", 503)

    async def reload(self, request: Request) -> Response:
        """Answer ``POST /-/reload``; a page of another site that makes a browser post here is refused."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("a page of another site may not ask for a reload\n", 403)
        await request.body()  # so that one that is too large is refused before anything is done
        reason = await self._daemon.reload()
        if reason is None:
            return PlainTextResponse("the configuration is read and in use\n")
        return PlainTextResponse(f"the configuration stays as it was: {reason}\n", 400)

    async def ping(self, request: Request) -> Response:
        """Answer ``/redis/ping`` from the newest probe."""
        return self._of_target(request, json_responses.ping)

    async def stats(self, request: Request) -> Response:
        """Answer ``/redis/stats`` from the newest samples."""
        return self._of_target(request, json_responses.stats)

    def _of_target(self, request: Request, answer: Callable[[TargetView], tuple[int, dict[str, Any]]]) -> Response:
        try:
            view = json_responses.find_target(self._daemon.targets(), request.query_params.get("target"))
        except json_responses.UnknownTargetError as unknown:
            status, body = unknown.status, unknown.body
        else:
            status, body = answer(view)
        return Response(_json(body) + "\n", status, media_type="application/json")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
