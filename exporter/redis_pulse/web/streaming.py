"""Send bodies piece by piece, as fast as the client fetches them."""

import asyncio
from collections.abc import Iterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from redis_pulse.slices import SharedTurns
from redis_pulse.web.connection_accounting import Client
from redis_pulse.web.connection_limits import CLIENT
from redis_pulse.web.interface import SendablePage

#: Bytes of a body that are passed to the server at once.
PIECE = 16 * 1024


class PieceMaker:
    """Makes the pieces of all responses, in slices that they share: two hundred clients must not have a slice each.

    A page of 1000 targets has 600 pieces. With a turn of the event loop for each, a busy daemon needs a second.
    """

    def __init__(self, turns: SharedTurns) -> None:
        self._turn = asyncio.Lock()
        #: The slices are those of other pages too.
        self.turns = turns

    async def next(self, pieces: Iterator[bytes]) -> bytes | None:
        """Return the next piece, or None at the end."""
        async with self._turn:
            # The loop notices a client that has left, and sends the PINGs that are due.
            await self.turns.take_for_page()
            return next(pieces, None)


class StreamedResponse(Response):
    """A page of metrics. It is never joined: a page of 1000 targets has 100 MB as plain text."""

    def __init__(self, body: SendablePage, headers: Mapping[str, str], maker: PieceMaker) -> None:
        super().__init__(headers={**headers, "content-length": str(body.size)})
        self._page = body
        self._maker = maker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the headers, and then the pieces."""
        client: Client | None = scope.get("state", {}).get(CLIENT)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD" or not self._page.size:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        if client is not None and self._page.size > PIECE:
            client.holds(self._page.stored)
        sent, pieces = 0, self._page.pieces(PIECE)
        try:
            with self._maker.turns.page():
                while (piece := await self._maker.next(pieces)) is not None:
                    sent += len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": sent < self._page.size})
        finally:
            if client is not None:
                client.holds(None)
