"""A server behind IAM: it accepts tokens that end, and cuts each connection whose token has ended.

It stands in front of a real server, which replies to everything but AUTH.
"""

import asyncio
import contextlib
import threading
import time
from typing import Self

from tests.integration.iam_token import USER, end_of
from tests.integration.servers import free_port

_NOAUTH = b"-NOAUTH Authentication required.\r\n"
_WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


class IamServer:
    """Listens on ``port``, in a thread of its own, and passes commands on to the port ``upstream``."""

    def __init__(self, upstream: int, key: str) -> None:
        self.port = free_port()
        #: change it to reject all tokens that were signed before
        self.key = key
        #: tokens that were accepted and rejected, and connections that were cut at the end of their token
        self.accepted = self.rejected = self.cut = 0
        #: sent in reply to AUTH instead of a decision, while it is set
        self.auth_reply: bytes | None = None
        self.upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The address of the server, as the URL of a target."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def drop(self) -> None:
        """Cut every connection."""
        asyncio.run_coroutine_threadsafe(self._drop(), self._loop).result(10)

    async def _drop(self) -> None:
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _stop(self) -> None:
        self._server.close()
        await self._drop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if (ends := await self._log_in(reader, writer)) is not None:
                await self._pass_on(reader, writer, ends)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float | None:
        """Return the end of the first token that is accepted, or None if the client leaves."""
        while words := await _command(reader):
            ends = end_of(self.key, words[2]) if words[0].upper() == "AUTH" and len(words) == 3 else None
            is_valid = ends is not None and ends > time.time() and words[1] == USER
            if words[0].upper() != "AUTH":
                writer.write(_NOAUTH)
            elif self.auth_reply is not None:
                writer.write(self.auth_reply)
            elif is_valid:
                self.accepted += 1
                writer.write(b"+OK\r\n")
                return ends
            else:
                self.rejected += 1
                writer.write(_WRONGPASS)
        return None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: float) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        both = [asyncio.ensure_future(_copy(reader, other_writer)), asyncio.ensure_future(_copy(other_reader, writer))]
        try:
            done, _ = await asyncio.wait(
                both, timeout=max(0.0, ends - time.time()), return_when=asyncio.FIRST_COMPLETED
            )
            self.cut += not done
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            other_writer.close()


async def _command(reader: asyncio.StreamReader) -> list[str]:
    """Return the words of the next command, or none at the end of the connection."""
    head = await reader.readline()
    words = []
    for _ in range(int(head[1:]) if head.startswith(b"*") else 0):
        size = int((await reader.readline())[1:])
        words.append((await reader.readexactly(size + 2))[:-2].decode())
    return words


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
