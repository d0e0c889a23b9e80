"""A hostile server answers the client, the pings and all collectors with random replies, over a real socket.

Time is turned by hand. The server closes a connection after a reply that may be incomplete, so nothing waits for long.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from fuzz.inputs import Chooser, recorded_infos
from redis_pulse import collectors
from redis_pulse.config.models import PollSettings
from redis_pulse.exposition import render_steps
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import SharedTurns
from redis_pulse.text_format import MAX_LINE_BYTES
from tests.harness import TargetHarness

#: Errors that are not those of the server are faults of the exporter.
_FAULTS = ("Error", "Exception")
_loop = asyncio.new_event_loop()


class HostileServer:
    """Sends replies that a seed chooses."""

    def __init__(self) -> None:
        self.chooser = Chooser(0)
        self._server: asyncio.Server | None = None
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close_connections(self) -> None:
        """Close what the client left open."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(OSError, ValueError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                is_odd = self.chooser.random.random() < 0.6
                writer.write(self._reply(words, is_odd=is_odd))
                if is_odd and self.chooser.random.random() < 0.5:
                    break
        writer.close()
        self._writers.discard(writer)

    def _reply(self, words: list[bytes], *, is_odd: bool) -> bytes:
        chooser = self.chooser
        if words[0] == b"INFO":
            text = chooser.one_of(recorded_infos())
            text = chooser.mutated(text) if is_odd else text
            return chooser.wire(text.encode()) if is_odd else b"$%d\r\n%b\r\n" % (len(text.encode()), text.encode())
        if is_odd:
            return chooser.wire()
        return b"$%d\r\n%b\r\n" % (len(words[1]), words[1]) if words[0] == b"PING" and len(words) > 1 else b"+OK\r\n"


_server: HostileServer | None = None


async def _poll(seed: int) -> None:
    global _server  # noqa: PLW0603  one server for all executions
    if _server is None:
        _server = HostileServer()
        await _server.start()
    _server.chooser = Chooser(seed)
    harness = TargetHarness(
        f"redis://127.0.0.1:{_server.port}", poll=PollSettings(timeout="50ms", max_age="60s", max_reply=65536)
    )
    store = SampleStore(render_steps, harness.clock)
    configured = [ConfiguredCollector(one.for_target(), one.options()) for one in collectors.load().values()]
    poller = TargetPoller(
        harness.client, configured, store, harness.target_metrics, harness.observer,
        ping_error=lambda: None, turns=SharedTurns(), clock=harness.clock,
    )  # fmt: skip
    for _ in range(2):
        await harness.probe_due()
        await poller.poll(harness.clock())
        harness.clock.advance(1.0)
    faults = {f"{name}: {how}" for name, how in harness.observer.runs if how.endswith(_FAULTS)}
    assert not faults, f"faults of collectors: {faults}"
    for lines in store.fresh_by_collector("t").values():
        assert all(len(line) <= MAX_LINE_BYTES for text in lines.texts for line in text.split(b"\n"))
    await harness.close()
    _server.close_connections()
    await asyncio.sleep(0)


def run(seed: int) -> None:
    """Poll twice, and ping."""
    _loop.run_until_complete(_poll(seed))


def runner() -> Callable[[int], None]:
    """Return the function that fuzzes a poll with a seed."""
    return run
