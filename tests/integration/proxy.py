"""A TCP proxy that does to a connection what bad networks do, without touching the server behind it."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Self


class Proxy:
    """Forwards 127.0.0.1:``port`` to another port, in a thread of its own; faults are attributes, set at any time.

    ``delay``: seconds that each chunk of the server's answers waits. ``stalled``: nothing is forwarded either way,
    connections are accepted and stay open. ``truncate``: so many bytes of each further answer pass, then the
    connection is closed. ``swallow``: so many further chunks of answers are lost, and nothing else is. ``refusing``: a
    new connection is reset at once. ``spoil``: each so-many-th chunk of the server's answers is replaced by an error.
    """

    def __init__(self, to_port: int, port: int) -> None:
        self.to_port, self.port = to_port, port
        self.delay = 0.0
        self.stalled = False
        self.truncate: int | None = None
        self.swallow = 0
        self.refusing = False
        self.spoil: int | None = None
        self._answers = 0
        self.accepted = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def reset(self) -> None:
        """Reset every connection (RST to both sides)."""
        self._do(self._hang_up(reset=True))

    def half_close(self) -> None:
        """End our sending side to the client (FIN); what the client sends still goes through."""
        self._do(self._half_close())

    def _do(self, what: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._hang_up(reset=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _hang_up(self, *, reset: bool) -> None:
        for writer in self._writers:
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

    async def _half_close(self) -> None:
        for writer in self._writers:
            if writer.get_extra_info("sockname")[1] == self.port:
                writer.write_eof()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.accepted += 1
        behind: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            answers, behind = await asyncio.open_connection("127.0.0.1", self.to_port)
            self._writers.add(behind)
            ways = {asyncio.ensure_future(self._pass(reader, behind, answers=False))}
            ways |= {asyncio.ensure_future(self._pass(answers, writer, answers=True))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the server behind is not there: the client sees its connection closed
        finally:
            for side in (writer, behind):
                if side is not None:
                    self._writers.discard(side)
                    side.close()
                    with contextlib.suppress(OSError):
                        await side.wait_closed()
            self._tasks.discard(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        """Forward one way; what waits for its time does not hold up the reading of what comes behind it."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.ensure_future(self._send(chunks, writer, answers=answers))
        try:
            while chunk := await reader.read(65536):
                chunks.put_nowait((self._loop.time() + (self.delay if answers else 0), chunk))
            chunks.put_nowait((0, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(
        self, chunks: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while True:
            due, chunk = await chunks.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while self.stalled:
                await asyncio.sleep(0.01)
            if answers and self.truncate is not None:
                writer.write(chunk[: self.truncate])
                writer.close()
                return
            if not chunk:
                return
            if answers and self.swallow:
                self.swallow -= 1
                continue
            self._answers += answers
            if answers and self.spoil is not None and self._answers % self.spoil == 0:
                chunk = b"-BUSY as a script would do\r\n"
            with contextlib.suppress(RuntimeError, ConnectionError):  # half-closed: what comes after the end is dropped
                writer.write(chunk)
                await writer.drain()
