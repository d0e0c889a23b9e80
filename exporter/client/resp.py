"""RESP2 as far as a probe needs it: commands out, one-line replies in. Pure.

A PING, an AUTH and every error are answered by one line: ``+PONG``, ``+OK``, ``-LOADING …``. Nothing else is expected
on the connection of a probe, so nothing else is understood.
"""

from exporter.errors import ProtocolError

#: Bytes. Longer than any line that a server sends; beyond it, the peer is no server.
LONGEST = 16384


def command(*words: str) -> bytes:
    """Write a command as an array of bulk strings."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded])


class Lines:
    """Puts one-line replies together from the pieces in which they arrive."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now, without their ends. Raises ProtocolError when one never ends."""
        if self._rest:
            data = self._rest + data
        *lines, self._rest = data.split(b"\r\n")
        if len(self._rest) > LONGEST:
            raise ProtocolError(f"a line of more than {LONGEST} bytes")
        return lines


def error_of(line: bytes, expected: bytes) -> str | None:
    """Return None for the line that was expected, the text of an error reply; raises ProtocolError for all else."""
    if line == expected:
        return None
    if line.startswith(b"-"):
        return line[1:].decode(errors="replace")
    raise ProtocolError(f"an answer that is not {expected[1:].decode()}")
