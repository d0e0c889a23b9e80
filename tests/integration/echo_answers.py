"""Replies of an echo server to all commands but PING: enough for a poll, or what a real server replied."""

import socket

HELLO = b"%2\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n"
INFO = (
    "# Server\r\nredis_version:7.2.4\r\nredis_mode:standalone\r\nrun_id:0123456789012345678901234567890123456789\r\n"
    "uptime_in_seconds:100\r\n# Clients\r\nconnected_clients:1\r\n# Memory\r\nused_memory:1000000\r\n"
    "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"
)
_END_MARK = b"that-was-all"
_END_REPLY = b"$%d\r\n%s\r\n" % (len(_END_MARK), _END_MARK)


def split_commands(data: bytes) -> tuple[list[list[bytes]], bytes]:
    """Return the complete commands in data from a client (arrays of bulk strings), and the rest of the data."""
    complete: list[list[bytes]] = []
    start = 0
    while True:
        words, end = _command(data, start)
        if words is None:
            return complete, data[start:]
        complete.append(words)
        start = end


def _command(data: bytes, start: int) -> tuple[list[bytes] | None, int]:
    end = data.find(b"\r\n", start)
    if end < 0:
        return None, start
    if data[start : start + 1] != b"*":  # inline, as from netcat
        return data[start:end].split(), end + 2
    words: list[bytes] = []
    for _ in range(int(data[start + 1 : end])):
        begin = end + 2
        end = data.find(b"\r\n", begin)
        if end < 0:
            return None, start
        size = int(data[begin + 1 : end])
        word = data[end + 2 : end + 2 + size]
        end += 2 + size
        if len(data) < end + 2:
            return None, start
        words.append(word)
    return words, end + 2


class CannedReplies:
    """Replies to commands, over RESP2. ``behind`` is the port of a real server. All clients get its first reply."""

    def __init__(self, behind: int | None = None) -> None:
        self._behind = socket.create_connection(("127.0.0.1", behind), timeout=5) if behind else None
        self._known: dict[tuple[bytes, ...], bytes] = {}

    def reply_to(self, words: list[bytes], port: int = 0) -> bytes:  # the same on each port
        """Return the reply to a command."""
        name = words[0].upper()
        if name == b"HELLO":
            return HELLO if words[1:2] == [b"3"] else b"-NOPROTO unsupported protocol version\r\n"
        if name in (b"CLIENT", b"SELECT", b"AUTH") and self._behind is None:
            return b"+OK\r\n"
        if self._behind is not None:
            return self._query(self._behind, words)
        if name == b"INFO":
            return b"$%d\r\n%s\r\n" % (len(INFO), INFO.encode())
        return b"-ERR unknown command '%s'\r\n" % words[0]

    def _query(self, behind: socket.socket, words: list[bytes]) -> bytes:
        key = tuple(words)
        if key not in self._known:
            behind.sendall(encode(words) + encode([b"ECHO", _END_MARK]))
            data = b""
            while not data.endswith(_END_REPLY):
                more = behind.recv(1 << 16)
                if not more:
                    return b"-ERR the server behind has closed the connection\r\n"
                data += more
            self._known[key] = data.removesuffix(_END_REPLY)
        return self._known[key]


def encode(words: list[bytes]) -> bytes:
    """Return a command as a client sends it."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%s\r\n" % (len(word), word) for word in words])
