"""Random input from a seed: texts and replies that look like those of a server, with something odd in them."""
# ruff: noqa: E501 - some tables have one line per row

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

Choice = TypeVar("Choice")

_REPLIES = Path(__file__).parents[1] / "tests" / "replies"
#: Parts that parsers look for, and values that break careless ones.
TOKENS = (
    *("", " ", "\t", "\n", "\r\n", "\r", ":", ",", "=", "@", "-", "[", "]", "|", "#", "# ", "..", "/", "//", "?", "&"),
    *("0", "1", "-1", "+1", "007", "1.5", "1e5", "1e999", "nan", "inf", "-inf", "0x10", "1_0", "9" * 19, "9" * 20, "9" * 5000),
    *("18446744073709551615", "18446744073709525176", "9223372036854775808", "-9223372036854775809", "\u0663", "²"),
    *("\x00", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "é", "€", "\U0001f600", "\ufffd", "%", "%s", "{}"),
    *("# Server", "# Keyspace", "# Replication", "# Commandstats", "# Errorstats", "# Latencystats", "# Modules", "# CPU"),
    *("redis_version:", "db0:keys=1,expires=0", "keys=", "slave0:ip=a,port=1,state=online,offset=1,lag=0", "role:slave"),
    *("module:name=a,ver=1,usedby=[x,y],using=[]", "cmdstat_get:calls=1,usec=2", "errorstat_ERR:count=1", "p50=1,p99=2"),
    *("latency_percentiles_usec_get:p50=1.0", "used_active_time_io_thread_0:1", "master_host:h", "master_1_host:h"),
    *("id=1 addr=1.2.3.4:5", " name=", "flags=", "user=", "myself,master", "slave", "connected", "0-5460", "[93-<-e7d1]"),
    *("10.0.0.7:6379@16379,host", "::1", "name", "status", "ip", "port", "runid", "OK 3 usable Sentinels", "NOQUORUM"),
    *("redis://", "rediss://", "unix://", "user:pass@", "localhost", ":6379", "/0", "?db=", "tcp", "*", "q=0.5", "text/plain"),
    *("calls", "histogram_usec", "count", "reason", "command", "age-seconds", "last-generated-id", "1-1", "overflow", "other"),
    *("<script>", '"', "'", "\\", "\\n", "{", "}", "null", "true", "targets", "labels", "__name", "__module", "&a", "*a", "!!python/name:os"),
)  # fmt: skip


class Chooser:
    """Chooses input. The same seed always chooses the same."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """Return one of the choices."""
        return choices[int(self.random.random() * len(choices))]

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1. Small ones are more frequent."""
        return int(self.random.random() ** 2 * limit)

    def text(self, parts: int = 12) -> str:
        """Return a text of known and odd parts."""
        return "".join([self._part() for _ in range(self.below(parts) + 1)])

    def _part(self) -> str:
        choice = self.random.random()
        if choice < 0.8:
            return self.one_of(TOKENS)
        if choice < 0.95:
            return chr(33 + int(self.random.random() * 94)) * (self.below(6) + 1)
        return chr(self.one_of((0x80, 0xE9, 0x2029, 0x10FFFF, 0x3042)) - self.below(16))

    def data(self, parts: int = 12) -> bytes:
        """Return bytes: mostly text, sometimes not UTF-8."""
        data = self.text(parts).encode()
        return data if self.random.random() < 0.9 else data + self.random.randbytes(self.below(8))

    def mutated(self, text: str) -> str:
        """Return a text with some parts replaced, removed, repeated or moved."""
        for _ in range(self.below(4) + 1):
            start = int(self.random.random() * (len(text) + 1))
            end = min(len(text), start + self.below(30))
            choice = self.random.random()
            if choice < 0.4:
                text = text[:start] + self._part() + text[end:]
            elif choice < 0.6:
                text = text[:start] + text[end:]
            elif choice < 0.8:
                text = text[:end] + text[start:]
            else:
                text = text[:start] + self.text(4) + text[start:]
        return text

    def reply(self, depth: int = 0) -> Any:
        """Return a reply as the client returns it."""
        choice = self.random.random()
        if choice < 0.45 or depth > 4:
            return self.data(3)
        if choice < 0.6:
            return self.one_of((0, 1, -1, 7, 2**63 - 1, 2**63, -(2**63), 10**20, None))
        if choice < 0.9:
            return [self.reply(depth + 1) for _ in range(self.below(9))]
        items: list[Any] = []
        for _ in range(self.below(6)):
            items += [self.one_of(TOKENS).encode(), self.reply(depth + 1)]
        return items

    def mutate_reply(self, reply: Any) -> Any:
        """Return a reply with one part replaced."""
        if self.random.random() < 0.15:
            return self.reply()
        if isinstance(reply, list) and reply:
            at = int(self.random.random() * len(reply))
            choice = self.random.random()
            if choice < 0.1:
                return reply[:at]
            if choice < 0.2:
                return reply + reply[: at + 1]
            return [*reply[:at], self.mutate_reply(reply[at]), *reply[at + 1 :]]
        if isinstance(reply, bytes):
            return self.mutated(reply.decode("utf-8", errors="replace")).encode()
        return self.reply()

    def wire(self, reply: Any = ...) -> bytes:
        """Return the bytes of a reply, mostly valid."""
        data = encode(self.reply() if reply is ... else reply)
        choice = self.random.random()
        if choice < 0.6:
            return data
        if choice < 0.7:
            return data[: int(self.random.random() * len(data))]
        if choice < 0.8:
            return self.one_of(
                (b"-ERR x\r\n", b"-LOADING\r\n", b"-NOPERM y\r\n", b"+OK\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n")
            )
        at = int(self.random.random() * (len(data) + 1))
        return data[:at] + self.one_of(_WIRE).replace(b"N", b"%d" % self.below(70_000)) + data[at + self.below(4) :]


_WIRE = (
    *(b"$N\r\n", b"*N\r\n", b":N\r\n", b"$-N\r\n", b"*-N\r\n", b"+", b"-", b"\r\n", b"\n", b"$", b"*", b"%1\r\n", b"_\r\n"),
    *(b"$99999999999\r\n", b"*99999999999\r\n", b"*1\r\n" * 40, b"HTTP/1.1 400\r\n", b"\x16\x03\x01", b"$1\r\nxyz\r\n", b":x\r\n"),
)  # fmt: skip


def encode(reply: Any) -> bytes:
    """Return a reply in RESP2."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, list):
        return b"*%d\r\n%b" % (len(reply), b"".join(map(encode, reply)))
    return b"$%d\r\n%b\r\n" % (len(reply), reply)


@lru_cache(maxsize=1)
def recorded_infos() -> list[str]:
    """Return INFO replies of real servers."""
    return [path.read_text(errors="replace") for path in sorted(_REPLIES.glob("*/*.txt"))[:12]]
