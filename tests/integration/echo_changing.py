"""Replies whose values change, as those of a busy server do, at little cost for the process that sends them.

A real server gets each command twice, with work in between. The numbers that differ become a template. They
then grow with time from the first value to the second and beyond, at another place for each port. The texts between
the numbers stay. So a poll gets a reply of the true shape in which nearly every value is new.
"""

import re
import socket
import time
from typing import NamedTuple

from tests.integration.echo_answers import HELLO, encode

#: Steps a second: so many times a second a value changes.
PACE = 4.0
#: Attempts to get two replies of the same shape. The first commands of a server make new lines and buckets.
ATTEMPTS = 8
#: This field holds ms of the wall clock. So a page shows when its server sent what the page says.
CLOCK_FIELD = b"total_commands_processed"
#: Numbers in the text of a string, and numbers that are replies themselves (not the counts of arrays and maps).
_IN_TEXT = re.compile(rb"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_IN_FRAME = re.compile(rb"(?<=[:,])\d+(?:\.\d+)?(?=\r\n)")
#: Sections of INFO in which numbers also change that did not: clients of many kinds would change them.
_BUSY_SECTION = re.compile(rb"# (?:Clients|Memory|Stats|CPU)\r\n.*?(?=\r\n\r\n|$)", re.DOTALL)
#: Fields there that follow from the configuration, or are a state.
_STEADY_FIELD = re.compile(rb"(?:max|total_system|tracking|\w*_human|\w*(?:active|running)\w*:$)")
_END_MARK = b"that-was-all"
_END_REPLY = b"$%d\r\n%s\r\n" % (len(_END_MARK), _END_MARK)
#: What the real server does between two replies: commands of clients, and all of those that a poll sends.
_WORK = (
    *([b"SET", b"key:%d" % number, b"x" * number] for number in range(1, 40)),
    *([b"GET", b"key:%d" % number] for number in range(1, 80)),
    *([b"ECHO", b"x"],) * 20,
    *([b"PING"], [b"INFO", b"server"], [b"CONFIG", b"GET", b"maxmemory"], [b"SLOWLOG", b"LEN"], [b"SLOWLOG", b"GET"]),
    *([b"CLIENT", b"LIST"], [b"CLIENT", b"SETNAME", b"x"], [b"LATENCY", b"LATEST"], [b"LATENCY", b"HISTOGRAM"]),
)


class _Part(NamedTuple):
    """A piece of a reply: a format with the first values and the steps of its numbers.

    ``kind`` is the type of a string with a length, or empty for a piece without one.
    """

    kind: bytes
    format: bytes
    first: list[float]
    step: list[float]
    clocks: tuple[int, ...]  # positions of values that are the clock

    def joined(self, other: "_Part") -> "_Part":
        """Return both as one piece. Neither has a length."""
        clocks = (*self.clocks, *(len(self.first) + position for position in other.clocks))
        return _Part(b"", self.format + other.format, self.first + other.first, self.step + other.step, clocks)

    def render(self, moment: float) -> bytes:
        values = [first + step * moment for first, step in zip(self.first, self.step, strict=True)]
        for position in self.clocks:
            values[position] = int(time.time() * 1000)
        text = self.format % tuple(values)
        return b"%b%d\r\n%b\r\n" % (self.kind, len(text), text) if self.kind else text


class ChangingReplies:
    """Replies to commands over RESP2, from templates. ``behind`` is the port of a real server for it alone."""

    def __init__(self, behind: int) -> None:
        self._server = socket.create_connection(("127.0.0.1", behind), timeout=5)
        self._templates: dict[tuple[bytes, ...], list[_Part] | bytes] = {}
        for _ in range(3):
            self._work()

    def close(self) -> None:
        """Close the connection to the real server."""
        self._server.close()

    def reply_to(self, words: list[bytes], port: int = 0) -> bytes:
        """Return the reply to a command on a port, as of now."""
        name = words[0].upper()
        if name == b"HELLO":
            return HELLO if words[1:2] == [b"3"] else b"-NOPROTO unsupported protocol version\r\n"
        if name == b"CLIENT" and words[1].upper() in (b"SETNAME", b"SETINFO"):
            return b"+OK\r\n"
        key = tuple(words)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._learn(words)
        if isinstance(template, bytes):
            return template
        moment = int((time.monotonic() % 100_000) * PACE) + port % 997
        return b"".join([part.render(moment) for part in template])

    def _learn(self, words: list[bytes]) -> list[_Part] | bytes:
        second = self._ask(words)
        for _ in range(ATTEMPTS):
            first = second
            self._work()
            second = self._ask(words)
            if (template := compare(first, second)) is not None:
                return template
        return second

    def _work(self) -> None:
        self._ask(*_WORK)

    def _ask(self, *commands: list[bytes]) -> bytes:
        """Return the replies of the real server."""
        self._server.sendall(b"".join([encode(words) for words in commands]) + encode([b"ECHO", _END_MARK]))
        data = b""
        while not data.endswith(_END_REPLY):
            more = self._server.recv(1 << 16)
            if not more:
                return b"-ERR the server behind has closed the connection\r\n"
            data += more
        return data.removesuffix(_END_REPLY)


def compare(first: bytes, second: bytes) -> list[_Part] | bytes | None:
    """Return the template of two replies, their bytes if they are equal, or None if their shapes differ."""
    if first == second:
        return first
    before, after = _frames(first), _frames(second)
    if len(before) != len(after):
        return None
    parts: list[_Part] = []
    for (kind, old), (other, new) in zip(before, after, strict=True):
        if kind != other or (part := _part(kind, old, new)) is None:
            return None
        if kind and not part.first:  # its length never changes either
            part = _Part(b"", b"%b%d\r\n%b\r\n" % (kind, len(old), part.format), [], [], ())
        if parts and not parts[-1].kind and not part.kind:
            part = parts.pop().joined(part)
        parts.append(part)
    return parts


def _frames(reply: bytes) -> list[tuple[bytes, bytes]]:
    """Return the strings of a reply with their type, and everything between them without one."""
    frames: list[tuple[bytes, bytes]] = []
    plain = start = 0
    while start < len(reply):
        end = reply.index(b"\r\n", start) + 2
        kind = reply[start : start + 1]
        if kind in (b"$", b"=") and (size := int(reply[start + 1 : end])) >= 0:
            frames += [(b"", reply[plain:start]), (kind, reply[end : end + size])]
            plain = end = end + size + 2
        start = end
    return [*frames, (b"", reply[plain:])]


def _part(kind: bytes, old: bytes, new: bytes) -> _Part | None:
    """Return the piece that two equally shaped texts make, or None if their shapes differ."""
    number = _IN_TEXT if kind else _IN_FRAME
    if number.sub(b"0", old) != number.sub(b"0", new):
        return None
    before, after = number.finditer(old), number.finditer(new)
    busy = [found.span() for found in _BUSY_SECTION.finditer(old)] if kind else []
    pieces: list[bytes] = []
    values: list[float] = []
    steps: list[float] = []
    clocks: list[int] = []
    end = 0
    for one, other in zip(before, after, strict=True):
        is_clock = old.endswith(CLOCK_FIELD + b":", 0, one.start())
        if one[0] == other[0] and not is_clock and not _is_busy(old, one.start(), busy):
            continue
        pieces.append(old[end : one.start()].replace(b"%", b"%%"))
        decimals = max(len(one[0].partition(b".")[2]), len(other[0].partition(b".")[2]))
        pieces.append(b"%%.%df" % decimals if decimals else b"%d")
        if is_clock:
            clocks.append(len(values))
        values.append(float(one[0]))
        steps.append(abs(float(other[0]) - float(one[0])) or 1.0)
        end = one.end()
    pieces.append(old[end:].replace(b"%", b"%%"))
    return _Part(kind, b"".join(pieces), values, steps, tuple(clocks))


def _is_busy(text: bytes, position: int, sections: list[tuple[int, int]]) -> bool:
    """Return whether a number at this position changes on a server with clients of all kinds."""
    if not any(begin <= position < end for begin, end in sections):
        return False
    return _STEADY_FIELD.match(text, text.rindex(b"\n", 0, position) + 1, position) is None
