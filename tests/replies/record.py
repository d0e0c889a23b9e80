"""Record what a real server answers, for tests that need no server:

    python tests/replies/record.py /usr/bin/redis-server
    python tests/replies/record.py /opt/redis-server /opt/redisearch.so /opt/rejson.so

A primary, its replica and a Sentinel are started on 127.0.0.1, given some keys, some with a TTL, a slow command, a
latency spike, and commands that are rejected or fail; their replies go into ``tests/replies/<server>-<version>/``, or
with modules into ``…-modules/``. Raw text (``.txt``) is kept byte for byte; nested replies become ``.json``. Machine
names and paths are replaced by plain ones.
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

HERE = Path(__file__).parent
SPIN = "local sum = 0 for number = 1, 5000000 do sum = sum + number end return sum"


class Connection:
    """A blocking RESP2 connection: ``ask("SLOWLOG", "GET", 1)`` → bytes, int, None or nested lists."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def ask(self, *args: str | int | bytes) -> Any:
        """Send one command and read its reply; an error reply is returned as text."""
        words = [str(arg).encode() for arg in args]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
        return self.read()

    def read(self) -> Any:
        """Read one reply."""
        kind, line = (head := self.file.readline())[:1], head[1:-2]
        if kind == b"$":
            return None if line == b"-1" else self.file.read(int(line) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(line))]
        return int(line) if kind == b":" else line


def start(
    binary: str, folder: Path, *options: str, sentinel: bool = False
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a server on a free port and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir()
    config = folder / "server.conf"
    common = ["bind 127.0.0.1", f"port {port}", f"dir {folder}", *options]
    config.write_text("\n".join(common) + "\n")
    server = subprocess.Popen([binary, str(config), *(["--sentinel"] if sentinel else [])], stdout=subprocess.DEVNULL)
    for _ in range(100):
        try:
            return server, Connection(port)
        except ConnectionRefusedError:
            time.sleep(0.05)
    raise SystemExit(f"{binary} did not start")


def plain(info: bytes) -> bytes:
    """Take out what belongs to the machine the recording was made on."""
    info = re.sub(rb"(?m)^os:.*?(?=\r?$)", b"os:Linux 6.1.0 x86_64", info)
    info = re.sub(rb"(?m)^executable:.*?(?=\r?$)", b"executable:/usr/local/bin/server", info)
    return re.sub(rb"(?m)^config_file:.*?(?=\r?$)", b"config_file:/etc/server/server.conf", info)


def text(reply: Any) -> Any:
    """Make a reply fit for JSON: bytes become text."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", errors="replace")
    return [text(item) for item in reply] if isinstance(reply, list) else reply


def provoke(primary: Connection, replica: Connection) -> None:
    """Make every section say something."""
    primary.ask("CONFIG", "SET", "latency-monitor-threshold", 5)
    for number in range(50):
        primary.ask("SET", f"key:{number}", number)
        primary.ask("GET", f"key:{number * 2}")
    for number in range(10):
        primary.ask("EXPIRE", f"key:{number}", 3600)
    primary.ask("SELECT", 3)
    primary.ask("HSET", "hash", "a", 1, "b", 2)
    primary.ask("HEXPIRE", "hash", 600, "FIELDS", 1, "a")  # Redis 7.4 and Valkey 9 on; an error before
    primary.ask("EVAL", SPIN, 0)
    primary.ask("GET", "hash")
    primary.ask("XINFO", "STREAM", "hash")
    primary.ask("EVALSHA", "0" * 40, 0)
    primary.ask("GEORADIUS_RO", "hash", 15, 37, 200, "km")
    primary.ask("GET")
    primary.ask("HGETALL", "hash")
    primary.ask("CLIENT", "LIST")
    primary.ask("EVAL", "return redis.error_reply('MADEUP by a script')", 0)
    primary.ask("BGSAVE")
    for _ in range(100):
        if b"master_link_status:up" in replica.ask("INFO", "replication"):
            break
        time.sleep(0.1)
    time.sleep(2.2)  # acknowledged offsets, and the finished snapshot
    for number in range(30):
        replica.ask("GET", f"key:{number}")


def provoke_modules(primary: Connection) -> None:
    """Make the search, JSON and bloom modules say something."""
    primary.ask("SELECT", 0)
    primary.ask("FT.CREATE", "index", "PREFIX", 1, "doc:", "SCHEMA", "title", "TEXT")
    primary.ask("HSET", "doc:1", "title", "redis and valkey")
    primary.ask("FT.SEARCH", "index", "valkey", "DIALECT", 2)
    primary.ask("JSON.SET", "json", "$", '{"a": 1}')
    primary.ask("BF.ADD", "bloom", "item")


def main(binary: str, *modules: str) -> None:
    """Start, provoke, record, stop."""
    work = Path(tempfile.mkdtemp())
    servers: list[subprocess.Popen[bytes]] = []
    try:
        quick = (
            "repl-diskless-sync-delay 0",
            "slowlog-log-slower-than 10000",
            'save ""',
            "io-threads 2",
            *(f"loadmodule {module}" for module in modules),
        )
        process, primary = start(binary, work / "primary", *quick, "appendonly yes", "maxmemory 1gb")
        servers.append(process)
        port = primary.socket.getpeername()[1]
        process, replica = start(binary, work / "replica", *quick, f"replicaof 127.0.0.1 {port}")
        servers.append(process)
        watch = f"sentinel monitor mymaster 127.0.0.1 {port} 1"
        process, sentinel = start(binary, work / "sentinel", watch, sentinel=True)
        servers.append(process)
        if modules:
            provoke_modules(primary)
        provoke(primary, replica)
        info = primary.ask("INFO", "everything")
        found = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        name = "valkey" if b"valkey_version" in found else "redis"
        folder = HERE / f"{name}-{found[f'{name}_version'.encode()].decode()}{'-modules' if modules else ''}"
        folder.mkdir(exist_ok=True)
        (folder / "info.txt").write_bytes(plain(info))
        (folder / "info-replica.txt").write_bytes(plain(replica.ask("INFO", "everything")))
        (folder / "info-sentinel.txt").write_bytes(plain(sentinel.ask("INFO", "everything") or sentinel.ask("INFO")))
        for command in (("SLOWLOG", "LEN"), ("SLOWLOG", "GET", 1), ("LATENCY", "LATEST")):
            reply = json.dumps(text(primary.ask(*command)), indent=1)
            (folder / f"{command[0]}-{command[1]}.json".lower()).write_text(reply + "\n")
        print(folder)
    finally:
        for process in servers:
            process.kill()
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
