"""A hostile server. A process of its own: it is a good server until the first line of its input.

    python -m attack.hostile KIND

First it writes its port.
"""

import itertools
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable

from tests.integration.echo_answers import HELLO, INFO, split_commands

MB = 1024 * 1024
_counter = itertools.count()

Words = list[bytes]
#: Returns the pieces of a reply, or None if the server replies like a good one.
Reply = Callable[[Words], "Iterable[bytes] | None"]


def bulk(text: str | bytes) -> bytes:
    """Return a bulk string."""
    data = text.encode() if isinstance(text, str) else text
    return b"$%d\r\n%b\r\n" % (len(data), data)


def on_info(make: Callable[[], Iterable[bytes]]) -> Reply:
    """Return a server that replies so to INFO."""
    return lambda words: make() if words[0].upper() == b"INFO" else None


def with_lines(lines: Callable[[], str]) -> Reply:
    """Return a server whose INFO has more lines."""
    return on_info(lambda: [bulk(INFO + lines())])


def _gigabyte() -> Iterable[bytes]:
    yield b"$%d\r\n" % (1024 * MB)
    yield from itertools.repeat(b"x" * MB, 1024)
    yield b"\r\n"


def _endless() -> Iterable[bytes]:
    yield b"$%d\r\n" % 2**62
    yield from itertools.repeat(b"x" * MB)


def _many_databases() -> str:
    first = next(_counter) * 200_000
    return "# Keyspace\r\n" + "".join(f"db{first + number}:keys=1,expires=0,avg_ttl=0\r\n" for number in range(200_000))


def _many_commands() -> str:
    first = next(_counter) * 100_000
    line = "cmdstat_c{}:calls=1,usec=1,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"
    return "# Commandstats\r\n" + "".join(line.format(first + number) for number in range(100_000))


def _long_labels() -> str:
    lines = [
        f"module:name={'m' * 3000}{number},ver=1,api=1,filters=0,usedby=[],using=[],options=[]\r\n"
        for number in range(3000)
    ]
    slaves = [
        f"slave{number}:ip={'h' * 3000}{number},port=6379,state=online,offset=1,lag=0\r\n" for number in range(1000)
    ]
    threads = [f"io_thread_{number}:reads=1,writes=1\r\n" for number in range(5000)]
    return "# Replication\r\n" + "".join(slaves) + "# Modules\r\n" + "".join(lines) + "# Threads\r\n" + "".join(threads)


def _control_characters() -> str:
    return "os:Linux \x1b]0;pwned\x07 \u202eevil\u2028\r\n# Modules\r\nmodule:name=m\x1b[31m,ver=1,api=1,filters=0\r\n"


def _settings(words: Words) -> Iterable[bytes] | None:
    if words[0].upper() == b"CONFIG" and words[1].upper() == b"GET":
        value = bulk("key" + " " * 990)
        return [b"*2000\r\n" + b"".join(bulk(f"setting-{number}") + value for number in range(1000))]
    return None


def _echo_login(words: Words) -> Iterable[bytes] | None:
    name = words[0].upper()
    if name == b"AUTH":
        return [
            b"-ERR bad login, you said: " + b" ".join(words[1:]).replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"
        ]
    if name == b"HELLO" and b"AUTH" in [word.upper() for word in words]:
        return [
            b"-ERR bad login, you said: " + b" ".join(words[2:]).replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n"
        ]
    return None


def _recorded_login(words: Words) -> Iterable[bytes] | None:
    """Write each login to the output, so that the harness knows what was sent."""
    if words[0].upper() == b"AUTH" or b"AUTH" in [word.upper() for word in words]:
        print("login " + b" ".join(words).decode(errors="replace"), flush=True)
    return None


def _node(port: int, number: int, host: str, *, name: str = "", epoch: str = "1") -> str:
    identity = f"{next(_counter):08x}{number:032x}"
    suffix = f",{name}" if name else ""
    return f"{identity} {host}:{port}@{port + 10000}{suffix} slave {'0' * 39}1 0 1 {epoch} connected\n"


def _cluster(nodes: Callable[[], str]) -> Reply:
    """Return a node of a cluster that announces other nodes, once it is hostile."""

    def reply(words: Words) -> Iterable[bytes] | None:
        command = b" ".join(words[:2]).upper()
        if command == b"CLUSTER NODES":
            myself = f"{'0' * 39}1 127.0.0.1:{PORT}@{PORT + 10000} myself,master - 0 0 1 connected 0-16383\n"
            return [bulk(myself + (nodes() if _is_hostile.is_set() else ""))]
        if command == b"CLUSTER INFO":
            return [bulk("cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:16384\r\n")]
        if words[0].upper() == b"INFO":
            return [
                bulk(INFO.replace("redis_mode:standalone", "redis_mode:cluster") + "# Cluster\r\ncluster_enabled:1\r\n")
            ]
        return None

    return reply


def _announced(count: int) -> str:
    return "".join(
        _node(9, number, f"127.{1 + number // 65536}.{number // 256 % 256}.{number % 256}") for number in range(count)
    )


def _bad_names() -> str:
    return "".join(_node(6379, number, "127.0.0.2", name=f"bad name\x1b {number}") for number in range(20_000))


#: By kind: the reply of the hostile server.
KINDS: dict[str, Reply] = {
    "good": lambda _words: None,
    "gigabyte": on_info(_gigabyte),
    "endless": on_info(_endless),
    "long-label": with_lines(lambda: f"os:{'x' * 10 * MB}\r\n"),
    "many-databases": with_lines(_many_databases),
    "many-commands": with_lines(_many_commands),
    "quadratic-modules": with_lines(lambda: f"# Modules\r\nmodule:name=x{',a=[' * 100_000}\r\n"),
    "array": on_info(lambda: [b"*3000000\r\n", b":1\r\n" * 3_000_000]),
    "settings": _settings,
    "echo-login": _echo_login,
    "recorded-login": _recorded_login,
    "cluster-3000": _cluster(lambda: _announced(3000)),
    "cluster-bad-names": _cluster(_bad_names),
    "cluster-long-epoch": _cluster(lambda: _node(9, 1, "127.0.0.3", epoch="9" * 5000)),
    "long-labels": with_lines(_long_labels),
    "control-characters": with_lines(_control_characters),
}
#: A server whose hostility cannot begin later: it is in the first login, or in the topology.
ALWAYS = ("echo-login", "recorded-login", "cluster-3000", "cluster-bad-names", "cluster-long-epoch")

_is_hostile = threading.Event()
PORT = 0


def good_reply(words: Words) -> bytes:
    """Return the reply of a good server."""
    name = words[0].upper()
    if name == b"PING":
        return bulk(words[1]) if len(words) > 1 else b"+PONG\r\n"
    if name == b"HELLO":
        return HELLO if words[1:2] == [b"3"] else b"-NOPROTO unsupported protocol version\r\n"
    if name in (b"CLIENT", b"SELECT", b"AUTH"):
        return b"+OK\r\n"
    if name == b"INFO":
        return bulk(INFO)
    return b"-ERR unknown command '%s'\r\n" % words[0]


def _serve(sock: socket.socket, kind: str) -> None:
    hostile, buffer = KINDS[kind], b""
    try:
        while data := sock.recv(65536):
            commands, buffer = split_commands(buffer + data)
            for words in commands:
                may = kind in ALWAYS or _is_hostile.is_set()
                pieces = hostile(words) if may else None
                for piece in [good_reply(words)] if pieces is None else pieces:
                    sock.sendall(piece)
    except OSError:
        return
    finally:
        sock.close()


def main() -> None:
    """Serve until the input ends."""
    global PORT  # noqa: PLW0603  # the topology contains it
    listener = socket.create_server(("127.0.0.1", 0))
    PORT = listener.getsockname()[1]
    os.nice(10)  # a hostile server does not share the cores of the daemon
    print(PORT, flush=True)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(sock, sys.argv[1]), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    if sys.stdin.readline():
        _is_hostile.set()
    sys.stdin.read()


if __name__ == "__main__":
    main()
