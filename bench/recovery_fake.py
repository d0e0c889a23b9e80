"""A process that acts as many servers. It closes and opens all their ports on command.

    python bench/recovery_fake.py --behind PORT PORT PORT…

It executes ``down`` or ``up`` from its input, then writes the word to its output. It ends when its input ends.
"""

import argparse
import asyncio
import contextlib
import sys

import checkout  # noqa: F401
from process import allow_many_files

from tests.integration.echo_answers import CannedReplies, split_commands


class Fake:
    """All ports, and the connections to them."""

    def __init__(self, ports: list[int], answers: CannedReplies) -> None:
        self._ports, self._answers = ports, answers
        self._listeners: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()

    async def up(self) -> None:
        """Listen on all ports."""
        for port in self._ports:
            self._listeners.append(await asyncio.start_server(self._serve, "127.0.0.1", port, reuse_address=True))

    async def down(self) -> None:
        """Close all ports, and abort all connections."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        rest = b""
        try:
            while data := await reader.read(1 << 16):
                asked, rest = split_commands(rest + data)
                writer.write(b"".join([self._answer(words) for words in asked]))
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    def _answer(self, words: list[bytes]) -> bytes:
        if words[0].upper() != b"PING":
            return self._answers.reply_to(words)
        return b"$%d\r\n%b\r\n" % (len(words[1]), words[1]) if len(words) > 1 else b"+PONG\r\n"


async def run(fake: Fake) -> None:
    """Execute the commands from the input until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while word := (await reader.readline()).decode().strip():
        await (fake.up() if word == "up" else fake.down())
        print(word, flush=True)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--behind", type=int, help="port of a real server; all clients get its first reply")
    parser.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args()
    allow_many_files()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(Fake(options.ports, CannedReplies(options.behind))))


if __name__ == "__main__":
    main()
