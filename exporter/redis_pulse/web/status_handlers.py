"""Respond with the pages for people, and with the same data as JSON. Long answers are made in slices."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from redis_pulse.config import effective_text
from redis_pulse.slices import SharedTurns
from redis_pulse.status import STATES
from redis_pulse.web.interface import DaemonInterface
from redis_pulse.web.pages import (
    POLICY,
    Overview,
    PageQuery,
    keyspace_json,
    keyspace_list_page,
    keyspace_page,
    parse_page_query,
    parse_status_query,
    render,
    status_json,
    target_page,
)
from redis_pulse.web.pages.problems import ProblemGroups, order, own_problems
from redis_pulse.web.query import QueryError, find_target

HOUR = 3600.0
_HEADERS = {"content-security-policy": POLICY}


class StatusHandlers:
    """The request handlers of the pages for people."""

    def __init__(self, daemon: DaemonInterface, telemetry_path: str, turns: SharedTurns) -> None:
        self._daemon = daemon
        self._turns = turns
        self._telemetry_path = telemetry_path

    async def index(self, request: Request) -> Response:
        """Respond to ``/`` with the overview, and to ``/?target=`` with the page of one target."""
        try:
            query = parse_page_query(request.query_params)
            name = find_target(query.target, self._daemon) if query.target else ""
        except QueryError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        try:
            body = await (self._target(query, name) if name else self._overview(query))
        except KeyError:
            return PlainTextResponse(f"the target {name!r} was removed just now\n", 404)
        return HTMLResponse(body, headers=_HEADERS)

    async def api_status(self, request: Request) -> Response:
        """Respond to ``/api/v1/status`` with the data of the overview, or of one target."""
        try:
            text = parse_status_query(request.query_params)
            name = find_target(text, self._daemon) if text else ""
            body = await self._json(name)
        except QueryError as error:
            message = status_json.dumps({"status": "error", "message": str(error)})
            return Response(f"{message}\n", error.status, media_type="application/json")
        except KeyError:
            message = status_json.dumps({"status": "error", "message": "the target was removed just now"})
            return Response(f"{message}\n", 404, media_type="application/json")
        return Response(body, media_type="application/json")

    async def keyspace(self, request: Request) -> Response:
        """Respond to ``/keyspace?target=`` with what fills a server: a page for browsers, JSON for programs.

        Without a target it lists the targets whose keys are sampled.
        """
        as_html = "text/html" in request.headers.get("accept", "")
        try:
            text = parse_status_query(request.query_params)
            name = find_target(text, self._daemon) if text else ""
            body = await self._keyspace(name, as_html=as_html)
        except QueryError as error:
            return PlainTextResponse(f"{error}\n", error.status)
        except KeyError:
            return PlainTextResponse("the target was removed just now\n", 404)
        if not body:
            text = "nothing is known about the keys of this target: add keyspace_sample to its collectors\n"
            return PlainTextResponse(text, 404)
        headers = {"vary": "Accept"}
        if as_html:
            return HTMLResponse(body, headers=_HEADERS | headers)
        return Response(body, media_type="application/json", headers=headers)

    async def openapi(self, _request: Request) -> Response:
        """Respond to ``/api/v1/openapi.json`` with the description of the interface."""
        return Response(status_json.openapi(), media_type="application/json")

    async def config(self, _request: Request) -> Response:
        """Respond to ``/config`` with the effective configuration, the origin of each value, and no secret."""
        return Response(await self._config(), media_type="text/plain")

    async def _config(self) -> bytes:
        parts = []
        for line in effective_text(self._daemon.status.configuration()):
            parts.append(line)
            await self._turns.take_for_page()
        return "".join(parts).encode()

    async def _overview(self, query: PageQuery) -> bytes:
        status = self._daemon.status
        now = status.now()
        overview = Overview(query, now)
        last = ""
        for view in status.views():
            overview.add(view)
            last = view.name
            await self._turns.take_for_page()
        failures = status.details(last).failures if overview.total == 1 else {}
        values = overview.values(status.own(), status.events(now - HOUR), self._telemetry_path, failures)
        return await render("overview.html", values, self._turns)

    async def _target(self, query: PageQuery, name: str) -> bytes:
        status = self._daemon.status
        values = target_page(
            status.view(name),
            status.details(name),
            status.own(),
            query,
            status.now(),
            total=len(self._daemon.target_names()),
            telemetry_path=self._telemetry_path,
        )
        return await render("target.html", values, self._turns)

    async def _keyspace(self, name: str, *, as_html: bool) -> bytes:
        """Return the page or the JSON. It is empty if nothing is known about the target."""
        status = self._daemon.status
        if not name:
            names = sorted(status.keyspaces())
            if not as_html:
                return f"{status_json.dumps({'targets': names})}\n".encode()
            values = keyspace_list_page(names, status.own(), status.now(), telemetry_path=self._telemetry_path)
            return await render("keyspaces.html", values, self._turns)
        report = status.keyspace(name)
        if report is None:
            return b""
        if not as_html:
            return f"{status_json.dumps(keyspace_json(name, report))}\n".encode()
        state, own, now = status.view(name).state, status.own(), status.now()
        values = keyspace_page(name, state, report, own, now, telemetry_path=self._telemetry_path)
        return await render("keyspace.html", values, self._turns)

    async def _json(self, name: str) -> bytes:
        status = self._daemon.status
        now = status.now()
        if name:
            data = status_json.details_json(status.view(name), status.details(name), now)
            head = {"version": status_json.VERSION, "at": status_json.iso(now), "target": data}
            return f"{status_json.dumps(head)}\n".encode()
        groups, counts, targets = ProblemGroups(now), dict.fromkeys(STATES, 0), []
        for view in status.views():
            groups.add(view)
            counts[view.state] += 1
            targets.append(status_json.dumps(status_json.status_json(view, now)))
            await self._turns.take_for_page()
        own = status.own()
        rows = sorted([*groups.rows(), *own_problems(own, now)], key=order)
        events = []
        for event in status.events(now - HOUR):
            events.append(status_json.dumps(status_json.event_json(event)))
            await self._turns.take_for_page()
        head_text = status_json.dumps(status_json.head(own, now, rows, counts))
        return f'{head_text[:-1]}, "targets": [{", ".join(targets)}], "events": [{", ".join(events)}]}}\n'.encode()
