"""Turn requests into responses, one method for each path. Only the first scrape of an adopted target waits for it."""

import contextlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from redis_pulse.slices import SharedTurns
from redis_pulse.web import json_responses
from redis_pulse.web.access_control import AccessControl
from redis_pulse.web.access_policy import RequestRefusedError
from redis_pulse.web.content_negotiation import accepts_gzip, choose_format
from redis_pulse.web.interface import DaemonInterface, MetricsFilter, SendablePage, TargetView
from redis_pulse.web.query import (
    QueryError,
    known_target,
    parse_filters,
    parse_optional_target,
    parse_stall_query,
    parse_target,
    scrape_module,
    scrape_seconds,
    target_text,
)
from redis_pulse.web.scraper import scraper_of
from redis_pulse.web.streaming import PieceMaker, StreamedResponse

_EVERYTHING = MetricsFilter()


class Handlers:
    """The request handlers over one daemon."""

    def __init__(
        self,
        daemon: DaemonInterface,
        now: Callable[[], datetime],
        access: AccessControl,
        turns: SharedTurns,
        *,
        health_always_200: bool,
    ) -> None:
        self._daemon = daemon
        self._access = access
        self._now = now
        self._health_always_200 = health_always_200
        self._turns = turns
        self._piece_maker = PieceMaker(turns)

    async def metrics(self, request: Request) -> Response:
        """Respond to ``/metrics`` with 200, whatever the state of the targets. A query selects a part."""
        if not request.url.query:
            self._record_scrape(request, None)
            return await self._metrics_response(request, None, MetricsFilter())
        try:
            metrics_filter = parse_filters(request.query_params, self._daemon)
        except QueryError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        self._record_scrape(request, None, metrics_filter)
        return await self._metrics_response(request, None, metrics_filter)

    async def scrape(self, request: Request) -> Response:
        """Respond to ``/scrape?target=`` with the metrics of a target.

        Only ``scrape.adopt`` of the configuration lets a request add a target. Otherwise it opens no connection.
        """
        try:
            metrics_filter = parse_filters(request.query_params, self._daemon)
            if self._daemon.adoption.is_enabled:
                name = await self._adopted(request)
            else:
                name = parse_target(request.query_params, self._daemon)
        except QueryError as error:
            self._daemon.scrape_failed()
            return PlainTextResponse(f"{error}\n", error.status)
        self._record_scrape(request, name, metrics_filter)
        return await self._metrics_response(request, name, metrics_filter)

    def _record_scrape(self, request: Request, target: str | None, selected: MetricsFilter = _EVERYTHING) -> None:
        """Tell the daemon that a scrape has arrived, so that it polls just before the next one.

        A request for some names or collectors is no scrape of a server.
        """
        is_whole = selected.names is None and selected.collectors is None and selected.only != "exporter"
        if is_whole and (client := scraper_of(request)) is not None:
            self._daemon.scraped(target, client)

    async def _adopted(self, request: Request) -> str:
        """Return the name of the target of a request. Start to monitor it if need be. Raises ``QueryError``."""
        text = target_text(request.query_params, self._daemon)
        known, module = known_target(text, self._daemon), scrape_module(request.query_params)
        if known is None:
            try:
                self._access.check_adoption(request)
            except RequestRefusedError as error:
                self._daemon.adoption.refuse_browser()
                raise QueryError(error.status, str(error)) from None
        within = scrape_seconds(request.headers.get("x-prometheus-scrape-timeout-seconds"))
        return await self._daemon.adoption.prepare(text, known, module, within)

    async def discover(self, _request: Request) -> Response:
        """Respond to ``/sd`` with all targets for the http_sd of Prometheus.

        Relabelling in Prometheus must replace ``__address__`` by the address of the daemon.
        """
        groups = []
        for target in self._daemon.sd_targets():
            await self._turns.take_for_page()
            groups.append(_json(json_responses.sd_group(target)))
        return Response(f"[{', '.join(groups)}]\n", media_type="application/json")

    async def _metrics_response(self, request: Request, target: str | None, selected: MetricsFilter) -> Response:
        exposition_format = choose_format(",".join(request.headers.getlist("accept")))
        gzip = accepts_gzip(",".join(request.headers.getlist("accept-encoding")))
        headers = {"content-type": exposition_format.content_type, "vary": "Accept, Accept-Encoding"}
        if gzip:
            headers["content-encoding"] = "gzip"
        body: bytes | SendablePage
        if exposition_format.protobuf:
            body = await self._daemon.protobuf_metrics(target, selected, gzip=gzip)
        elif target is None and selected == MetricsFilter():
            body = await self._daemon.metrics(openmetrics=exposition_format.openmetrics, gzip=gzip)
        else:
            openmetrics = exposition_format.openmetrics
            body = await self._daemon.filtered_metrics(target, selected, openmetrics=openmetrics, gzip=gzip)
        if isinstance(body, bytes):
            return Response(body, headers=headers)
        return StreamedResponse(body, headers, self._piece_maker)

    async def stalls(self, request: Request) -> Response:
        """Respond to ``/stalls`` with the newest stalls, their causes and their evidence."""
        try:
            target, cause, limit = parse_stall_query(request.query_params, self._daemon)
        except QueryError as error:
            body = _json(json_responses.query_error(error)) + "\n"
            return Response(body, error.status, media_type="application/json")
        records = []
        stalls = tuple(self._daemon.stalls(target, cause, limit))  # others may end between two slices
        for record in stalls:
            await self._turns.take_for_page()
            records.append(_json(record.to_plain()))
        return Response(f"[{', '.join(records)}]\n", media_type="application/json")

    async def health(self, _request: Request) -> Response:
        """Respond to ``/health`` with the state of all targets; see ``health_code`` for the HTTP status."""
        is_loop_healthy = self._daemon.healthy()
        views, targets = [], []
        for name in self._daemon.target_names():
            with contextlib.suppress(KeyError):  # it may be removed between two turns
                view = self._daemon.target(name)
                views.append(view)
                targets.append(f"{_json(name)}: {_json(json_responses.health_target(view))}")
            await self._turns.take_for_page()
        own = [view for view in views if not view.is_adopted]  # the scrapers of the others watch them
        if own or not self._daemon.adoption.is_enabled:
            status = json_responses.health_status(own, is_loop_healthy=is_loop_healthy)
        else:
            status = "healthy" if is_loop_healthy else "unhealthy"
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
        """Respond to ``POST /-/reload``. ``access_control`` refuses browsers that another site makes post here."""
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
        return self._target_response(request, lambda view: json_responses.stats(view, self._daemon.stats(view.name)))

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


#: ``json.dumps`` would make an encoder for each text.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def _json(value: object) -> str:
    return _ENCODER.encode(value)
