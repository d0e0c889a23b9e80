"""Servers that are no Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def speaking(greeting: bytes, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Yield the port of a server that sends one text to each client, and never answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(greeting)
            await writer.drain()
            await reader.read()
        writer.close()

    made = await asyncio.start_server(serve, host, 0)
    try:
        yield made.sockets[0].getsockname()[1]
    finally:
        made.close()
