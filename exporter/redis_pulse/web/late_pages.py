"""The pages for people, imported with the first request for one of them.

They and their templates take 8 MB and a tenth of a second. A daemon with one target may never show one. The import runs
in a thread, so that pings go on meanwhile. A daemon with many targets imports them at its start. An import
beside a thousand targets would let the first reader wait.
"""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from redis_pulse.blocking import COMPUTATIONS
from redis_pulse.slices import SharedTurns
from redis_pulse.web.interface import DaemonInterface

if TYPE_CHECKING:
    from redis_pulse.web.status_handlers import StatusHandlers


def import_pages() -> "type[StatusHandlers]":
    """Import the pages for people, and return the class of their handlers."""
    from redis_pulse.web.status_handlers import StatusHandlers

    return StatusHandlers


class LatePages:
    """Passes requests on to ``StatusHandlers``."""

    def __init__(self, daemon: DaemonInterface, telemetry_path: str, turns: SharedTurns) -> None:
        self._daemon = daemon
        self._turns = turns
        self._telemetry_path = telemetry_path
        self._imported: StatusHandlers | None = None

    async def index(self, request: Request) -> Response:
        """Respond to ``/``."""
        return await (await self._handlers()).index(request)

    async def config(self, request: Request) -> Response:
        """Respond to ``/config``."""
        return await (await self._handlers()).config(request)

    async def keyspace(self, request: Request) -> Response:
        """Respond to ``/keyspace``."""
        return await (await self._handlers()).keyspace(request)

    async def api_status(self, request: Request) -> Response:
        """Respond to ``/api/v1/status``."""
        return await (await self._handlers()).api_status(request)

    async def openapi(self, request: Request) -> Response:
        """Respond to ``/api/v1/openapi.json``."""
        return await (await self._handlers()).openapi(request)

    async def _handlers(self) -> "StatusHandlers":
        if self._imported is None:
            handlers = await COMPUTATIONS.run("import of pages", import_pages, within=None)
            self._imported = handlers(self._daemon, self._telemetry_path, self._turns)
        return self._imported
