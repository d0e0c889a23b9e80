"""Turn requests into responses, one method for each path. No response waits for a target."""

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
from redis_pulse.web.query import QueryError, parse_filters, parse_optional_target, parse_stall_query, parse_target

#: Targets that are written before other tasks get a turn. Other work must not wait for a long page.
_SLICE = 50
#: Bytes of a body that are passed to the server at once.
_PIECE = 65536


class BuildBody(Protocol):
    """Builds a page of metrics."""

    async def __call__(self, *, openmetrics: bool, gzip: bool) -> bytes:
        """Return the page, compressed if ``gzip``."""
        ...


class PiecewiseResponse(Response):
    """A response that passes its body to the server piece by piece, as fast as the client reads.

    The server would copy a whole body for each client. Twenty clients that do not read would take 50 MB.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send head and body. ``send`` waits while the client does not read."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = memoryview(self.body)
        for start in range(0, max(1, len(body)), _PIECE):
            end = start + _PIECE
            await send({"type": "http.response.body", "body": bytes(body[start:end]), "more_body": end < len(body)})
            await asyncio.sleep(0)  # the loop notices a client that has left, and sends the PINGs that are due


class Handlers:
    """The request handlers over one daemon."""

    def __init__(
        self, daemon: DaemonInterface, telemetry_path: str, now: Callable[[], datetime], *, health_always_200: bool
    ) -> None:
        self._daemon = daemon
        self._telemetry_path = telemetry_path
        self._now = now
        self._health_always_200 = health_always_200

    async def metrics(self, request: Request) -> Response:
        """Respond to ``/metrics`` with 200, whatever the state of the targets. A query selects a part."""
        if not request.url.query:
            return await self._metrics_response(request, self._daemon.metrics)
        try:
            metrics_filter = parse_filters(request.query_params, self._daemon)
        except QueryError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        if metrics_filter == MetricsFilter():
            return await self._metrics_response(request, self._daemon.metrics)
        return await self._metrics_response(request, partial(self._daemon.filtered_metrics, None, metrics_filter))

    async def scrape(self, request: Request) -> Response:
        """Respond to ``/scrape?target=`` with the metrics of a target that is monitored already.

        A request never opens a connection.
        """
        try:
            name = parse_target(request.query_params, self._daemon)
            metrics_filter = parse_filters(request.query_params, self._daemon)
        except QueryError as error:
            self._daemon.scrape_failed()
            return PlainTextResponse(f"{error}\n", error.status)
        return await self._metrics_response(request, partial(self._daemon.filtered_metrics, name, metrics_filter))

    async def discover(self, _request: Request) -> Response:
        """Respond to ``/sd`` with all targets for the http_sd of Prometheus.

        Relabelling in Prometheus must replace ``__address__`` by the address of the daemon.
        """
        groups = []
        for index, target in enumerate(self._daemon.sd_targets()):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            groups.append(_json(json_responses.sd_group(target)))
        return Response(f"[{', '.join(groups)}]\n", media_type="application/json")

    async def _metrics_response(self, request: Request, build_body: BuildBody) -> Response:
        exposition_format = choose_format(",".join(request.headers.getlist("accept")))
        gzip = accepts_gzip(",".join(request.headers.getlist("accept-encoding")))
        headers = {"content-type": exposition_format.content_type, "vary": "Accept, Accept-Encoding"}
        if gzip:
            headers["content-encoding"] = "gzip"
        body = await build_body(openmetrics=exposition_format.openmetrics, gzip=gzip)
        return PiecewiseResponse(body, headers=headers)

    async def index(self, _request: Request) -> Response:
        """Respond to ``/`` with the status page for people."""
        page = status_page.status(
            self._daemon.targets(),
            version=self._daemon.version,
            uptime_seconds=self._daemon.uptime_seconds(),
            telemetry_path=self._telemetry_path,
        )
        return HTMLResponse(page, headers={"content-security-policy": status_page.POLICY})

    async def stalls(self, request: Request) -> Response:
        """Respond to ``/stalls`` with the newest stalls, their causes and their evidence."""
        try:
            target, cause, limit = parse_stall_query(request.query_params, self._daemon)
        except QueryError as error:
            body = _json(json_responses.query_error(error)) + "\n"
            return Response(body, error.status, media_type="application/json")
        records = []
        for index, record in enumerate(self._daemon.stalls(target, cause, limit)):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            records.append(_json(record.to_plain()))
        return Response(f"[{', '.join(records)}]\n", media_type="application/json")

    async def health(self, _request: Request) -> Response:
        """Respond to ``/health`` with the state of all targets; see ``health_code`` for the HTTP status."""
        views, is_loop_healthy = self._daemon.targets(), self._daemon.healthy()
        status = json_responses.health_status(views, is_loop_healthy=is_loop_healthy)
        code = json_responses.health_code(status, is_loop_healthy=is_loop_healthy, always_200=self._health_always_200)
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
        targets = []
        for index, view in enumerate(views):
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            targets.append(f"{_json(view.name)}: {_json(json_responses.health_target(view))}")
        body = f'{_json(top)[:-1]}, "targets": {{{", ".join(targets)}}}}}\n'
        return Response(body, code, media_type="application/json")

    async def healthy(self, _request: Request) -> Response:
        """Respond to ``/-/healthy`` with the state of the daemon alone, because a supervisor restarts it on a 503."""
        if self._daemon.healthy():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("the event loop does not run on time\n", 503)

    async def ready(self, _request: Request) -> Response:
        """Respond to ``/-/ready``: 503 until every target was polled once."""
        if self._daemon.ready():
            return PlainTextResponse("ready\n")
        return PlainTextResponse("not ready: waiting for the first samples\n", 503)

    async def reload(self, request: Request) -> Response:
        """Respond to ``POST /-/reload``. The page of another site must not make a browser post here."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return PlainTextResponse("the page of another site cannot trigger a reload\n", 403)
        await request.body()  # a body that is too large is refused before anything is done
        reason = await self._daemon.reload()
        if reason is None:
            return PlainTextResponse("the configuration was reloaded\n")
        return PlainTextResponse(f"the configuration is unchanged: {reason}\n", 400)

    async def ping(self, request: Request) -> Response:
        """Respond to ``/redis/ping`` with the newest probe of a target."""
        return self._target_response(request, json_responses.ping)

    async def stats(self, request: Request) -> Response:
        """Respond to ``/redis/stats`` with the newest samples of a target."""
        return self._target_response(request, json_responses.stats)

    def _target_response(
        self, request: Request, respond: Callable[[TargetView], tuple[int, dict[str, Any]]]
    ) -> Response:
        try:
            name = parse_optional_target(request.query_params, self._daemon)
        except QueryError as error:
            status, body = error.status, json_responses.query_error(error)
        else:
            status, body = respond(self._daemon.target(name))
        return Response(_json(body) + "\n", status, media_type="application/json")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
