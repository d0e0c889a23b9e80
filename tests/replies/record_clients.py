"""Record what a real server answers to the collectors of clients, command log and latency histograms:

    python -m tests.replies.record_clients /usr/bin/redis-server

A server is started on 127.0.0.1, ::1 and a unix socket, and clients of every sort are connected; what it answers goes
into ``tests/replies/<server>-<version>/clients.json``, a command to a reply. Paths are replaced by plain ones.
"""

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.replies.record import HERE, SPIN, Connection, plain, start, text

COMMANDS = (
    ("CLIENT", "LIST"),
    ("LATENCY", "HISTOGRAM"),
    *(("COMMANDLOG", "LEN", log) for log in ("slow", "large-request", "large-reply")),
    *(("COMMANDLOG", "GET", 1, log) for log in ("slow", "large-request", "large-reply")),
    ("CONFIG", "GET", "commandlog-*"),
    ("INFO", "everything"),  # last: it knows the sums of all of these
)


def connect(address: Any) -> Connection:
    """Connect to a path or a (host, port)."""
    connection = Connection.__new__(Connection)
    if isinstance(address, str):
        connection.socket = socket.socket(socket.AF_UNIX)
        connection.socket.connect(address)
    else:
        connection.socket = socket.create_connection(address, timeout=5)
    connection.file = connection.socket.makefile("rb")
    return connection


def provoke(admin: Connection, port: int, path: str) -> list[Connection]:
    """Connect clients of every sort, and make the logs and histograms say something."""
    admin.ask("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    admin.ask("CONFIG", "SET", "commandlog-request-larger-than", 4096)  # Valkey 8.1 and later; an error elsewhere
    admin.ask("CONFIG", "SET", "commandlog-reply-larger-than", 4096)
    admin.ask("ACL", "SETUSER", "shop=eu", "on", "nopass", "~*", "&*", "+@all")
    admin.ask("CLIENT", "SETNAME", "admin")
    clients = [connect(("127.0.0.1", port)) for _ in range(6)] + [connect(("::1", port)), connect(path)]
    for number, client in enumerate(clients):
        client.ask("CLIENT", "SETNAME", f"worker={number % 3}" if number else 'it"s')
        client.ask("CLIENT", "SETINFO", "LIB-NAME", "redis-py")  # Redis 7.2 and later; an error before
        client.ask("CLIENT", "SETINFO", "LIB-VER", "5.0.1")
        client.ask("AUTH", "shop=eu", "any")
        client.ask("SET", f"key:{number}", "x" * 10000)
        client.ask("GET", f"key:{number}")
    clients[0].ask("SUBSCRIBE", "news")
    clients[1].ask("WATCH", "key:1")
    clients[1].ask("MULTI")
    clients[2].socket.sendall(b"BLPOP queue 60\r\n")
    clients[3].socket.sendall(b"MONITOR\r\n")
    clients[4].ask("SELECT", 3)
    clients[5].ask("PSUBSCRIBE", "n*")
    admin.ask("EVAL", SPIN, 0)
    admin.ask("GEORADIUS_RO", "key:none", 1, 1, 1, "m")
    time.sleep(1.1)  # ages that are not 0
    return clients


def main(binary: str) -> None:
    """Start, provoke, record, stop."""
    work = Path(tempfile.mkdtemp())
    path = str(work / "server" / "it.sock")
    process: subprocess.Popen[bytes] | None = None
    try:
        process, admin = start(binary, work / "server", "bind 127.0.0.1 ::1", f"unixsocket {path}", 'save ""')
        port = admin.socket.getpeername()[1]
        clients = provoke(admin, port, path)
        info = plain(admin.ask("INFO", "everything"))
        found = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        software = "valkey" if b"valkey_version" in found else "redis"
        replies: dict[str, Any] = {}
        for command in COMMANDS:
            reply = admin.ask(*command)
            if isinstance(reply, bytes):
                reply = plain(reply).replace(path.encode(), b"/run/it.sock")
            if not (isinstance(reply, bytes) and reply.startswith(b"ERR")) and reply != []:
                replies[" ".join(map(str, command))] = text(reply)
        for client in clients:
            client.socket.close()
        folder = HERE / f"{software}-{found[f'{software}_version'.encode()].decode()}"
        folder.mkdir(exist_ok=True)
        (folder / "clients.json").write_text(json.dumps(replies, indent=1) + "\n")
        print(folder / "clients.json")
    finally:
        if process is not None:
            process.kill()
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
