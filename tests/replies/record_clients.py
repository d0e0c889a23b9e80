"""Record the replies of a real server for the collectors clients, commandlog and latency_histogram:

    python -m tests.replies.record_clients /usr/bin/redis-server

The script starts a server on 127.0.0.1, ::1 and a unix socket, and connects clients of each kind. It writes the replies
into ``tests/replies/<server>-<version>/clients.json``, by command. Paths are replaced by neutral ones.
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

from tests.replies.record import HERE, SPIN, Connection, anonymize, start, to_json

COMMANDS = (
    ("CLIENT", "LIST"),
    ("LATENCY", "HISTOGRAM"),
    *(("COMMANDLOG", "LEN", log) for log in ("slow", "large-request", "large-reply")),
    *(("COMMANDLOG", "GET", 1, log) for log in ("slow", "large-request", "large-reply")),
    ("CONFIG", "GET", "commandlog-*"),
    ("INFO", "everything"),  # last, so that it contains the sums of all of these
)


def connect(address: Any) -> Connection:
    """Connect to a path or to (host, port)."""
    connection = Connection.__new__(Connection)
    if isinstance(address, str):
        connection.socket = socket.socket(socket.AF_UNIX)
        connection.socket.connect(address)
    else:
        connection.socket = socket.create_connection(address, timeout=5)
    connection.file = connection.socket.makefile("rb")
    return connection


def create_content(admin: Connection, port: int, path: str) -> list[Connection]:
    """Connect clients of each kind, and give the logs and histograms some content."""
    admin.execute("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    admin.execute("CONFIG", "SET", "commandlog-request-larger-than", 4096)  # Valkey 8.1 and later; an error elsewhere
    admin.execute("CONFIG", "SET", "commandlog-reply-larger-than", 4096)
    admin.execute("ACL", "SETUSER", "shop=eu", "on", "nopass", "~*", "&*", "+@all")
    admin.execute("CLIENT", "SETNAME", "admin")
    clients = [connect(("127.0.0.1", port)) for _ in range(6)] + [connect(("::1", port)), connect(path)]
    for number, client in enumerate(clients):
        client.execute("CLIENT", "SETNAME", f"worker={number % 3}" if number else 'it"s')
        client.execute("CLIENT", "SETINFO", "LIB-NAME", "redis-py")  # Redis 7.2 and later; an error before
        client.execute("CLIENT", "SETINFO", "LIB-VER", "5.0.1")
        client.execute("AUTH", "shop=eu", "any")
        client.execute("SET", f"key:{number}", "x" * 10000)
        client.execute("GET", f"key:{number}")
    clients[0].execute("SUBSCRIBE", "news")
    clients[1].execute("WATCH", "key:1")
    clients[1].execute("MULTI")
    clients[2].socket.sendall(b"BLPOP queue 60\r\n")
    clients[3].socket.sendall(b"MONITOR\r\n")
    clients[4].execute("SELECT", 3)
    clients[5].execute("PSUBSCRIBE", "n*")
    admin.execute("EVAL", SPIN, 0)
    admin.execute("GEORADIUS_RO", "key:none", 1, 1, 1, "m")
    time.sleep(1.1)  # so that ages are not 0
    return clients


def main(binary: str) -> None:
    """Start the server, create content, record the replies, stop the server."""
    work = Path(tempfile.mkdtemp())
    path = str(work / "server" / "it.sock")
    process: subprocess.Popen[bytes] | None = None
    try:
        process, admin = start(binary, work / "server", "bind 127.0.0.1 ::1", f"unixsocket {path}", 'save ""')
        port = admin.socket.getpeername()[1]
        clients = create_content(admin, port, path)
        info = anonymize(admin.execute("INFO", "everything"))
        versions = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        software = "valkey" if b"valkey_version" in versions else "redis"
        replies: dict[str, Any] = {}
        for command in COMMANDS:
            reply = admin.execute(*command)
            if isinstance(reply, bytes):
                reply = anonymize(reply).replace(path.encode(), b"/run/it.sock")
            if not (isinstance(reply, bytes) and reply.startswith(b"ERR")) and reply != []:
                replies[" ".join(map(str, command))] = to_json(reply)
        for client in clients:
            client.socket.close()
        folder = HERE / f"{software}-{versions[f'{software}_version'.encode()].decode()}"
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
