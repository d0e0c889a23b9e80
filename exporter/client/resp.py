"""RESP2 as far as a probe needs it: commands out, small replies in. Pure.

A PING, an AUTH and every error are answered by one line: ``+PONG``, ``+OK``, ``-LOADING …``; a PING with a word by that
word, a bulk string. Nothing else is expected on the connection of a probe, so nothing else is understood.
"""

from exporter.errors import ProtocolError

#: Bytes. Longer than any line that a server sends; beyond it, the peer is no server.
LONGEST = 16384
#: ``$`` and as many digits as a length of up to 99999 has.
_LONGEST_LENGTH = 6


def command(*words: str) -> bytes:
    """Write a command as an array of bulk strings."""
    encoded = [word.encode() for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded])


class Lines:
    """Puts replies together from the pieces in which they arrive."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the replies that are complete now, without their ends; of a bulk string ``$`` and what it says.

        Raises ProtocolError when one never ends, or is not as long as it says: no word of a probe has a line's end.
        """
        if self._rest:
            data = self._rest + data
        *lines, rest = data.split(b"\r\n")
        if b"$" in data:
            if len(lines) == 2 and not rest and lines[0] == b"$%d" % len(lines[1]):
                self._rest = b""
                return [b"$" + lines[1]]  # nearly always
            lines, rest = _joined(lines, rest)
        if len(rest) > LONGEST:
            raise ProtocolError(f"a line of more than {LONGEST} bytes")
        self._rest = rest
        return lines


def _joined(lines: list[bytes], rest: bytes) -> tuple[list[bytes], bytes]:
    """Join the two lines of each bulk string; one whose second is not there yet goes back to the rest."""
    replies: list[bytes] = []
    following = iter(lines)
    for line in following:
        if line[:1] != b"$":
            replies.append(line)
        elif len(line) > _LONGEST_LENGTH:
            raise ProtocolError(f"a string of more than {LONGEST} bytes")
        elif (word := next(following, None)) is None:
            return replies, line + b"\r\n" + rest
        elif line[1:] == b"%d" % len(word):
            replies.append(b"$" + word)
        else:
            raise ProtocolError("a string that is not as long as it says")
    return replies, rest


def error_of(line: bytes, expected: bytes) -> str | None:
    """Return None for the line that was expected, the text of an error reply; raises ProtocolError for all else."""
    if line == expected:
        return None
    if line.startswith(b"-"):
        return line[1:].decode(errors="replace")
    raise ProtocolError(f"an answer that is not {expected[1:].decode()}")
