"""A TCP proxy that causes network faults, without any effect on the server behind it."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Self


class Proxy:
    """Forwards 127.0.0.1:``port`` to another port, in a thread. Faults are attributes that can be set at any time.

    ``delay``: each chunk of the replies of the server waits this many seconds.
    ``stalled``: no data is forwarded in either direction. Connections are accepted and stay open.
    ``truncate_at``: this many bytes of the next reply are forwarded, then the connection is closed.
    ``chunks_to_drop``: this many further chunks of replies are dropped, and nothing else.
    ``refusing``: new connections are reset at once.
    ``corrupt_every``: every chunk of replies with a number divisible by it is replaced by an error.
    """

    def __init__(self, to_port: int, port: int) -> None:
        self.to_port, self.port = to_port, port
        self.delay = 0.0
        self.stalled = False
        self.truncate_at: int | None = None
        self.chunks_to_drop = 0
        self.refusing = False
        self.corrupt_every: int | None = None
        self._reply_chunks = 0
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
        """Close the sending side to the client (FIN). Data of the client is still forwarded."""
        self._do(self._half_close())

    def _do(self, coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

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
        upstream: asyncio.StreamWriter | None = None
        try:
            if self.refusing:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            replies, upstream = await asyncio.open_connection("127.0.0.1", self.to_port)
            self._writers.add(upstream)
            directions = {asyncio.ensure_future(self._forward(reader, upstream, is_reply=False))}
            directions |= {asyncio.ensure_future(self._forward(replies, writer, is_reply=True))}
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
        except OSError:
            pass  # the server does not run, so the connection of the client is closed
        finally:
            for side in (writer, upstream):
                if side is not None:
                    self._writers.discard(side)
                    side.close()
                    with contextlib.suppress(OSError):
                        await side.wait_closed()
            self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        """Forward one direction. Chunks that wait for their time do not delay the reading of later chunks."""
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        sending = asyncio.ensure_future(self._send(chunks, writer, is_reply=is_reply))
        try:
            while chunk := await reader.read(65536):
                chunks.put_nowait((self._loop.time() + (self.delay if is_reply else 0), chunk))
            chunks.put_nowait((0, b""))
            await sending
        finally:
            sending.cancel()

    async def _send(
        self, chunks: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter, *, is_reply: bool
    ) -> None:
        while True:
            due, chunk = await chunks.get()
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            while self.stalled:
                await asyncio.sleep(0.01)
            if is_reply and self.truncate_at is not None:
                writer.write(chunk[: self.truncate_at])
                writer.close()
                return
            if not chunk:
                return
            if is_reply and self.chunks_to_drop:
                self.chunks_to_drop -= 1
                continue
            self._reply_chunks += is_reply
            if is_reply and self.corrupt_every is not None and self._reply_chunks % self.corrupt_every == 0:
                chunk = b"-BUSY as a script would do\r\n"
            with contextlib.suppress(RuntimeError, ConnectionError):  # half-closed: later data is dropped
                writer.write(chunk)
                await writer.drain()
