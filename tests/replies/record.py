"""Record the replies of a real server, for tests without a server:

    python tests/replies/record.py /usr/bin/redis-server
    python tests/replies/record.py /opt/redis-server /opt/redisearch.so /opt/rejson.so

The script starts a primary, its replica and a Sentinel on 127.0.0.1. It writes some keys, some of them with a TTL, and
sends a slow command, which makes a latency spike, and commands that are rejected or fail. It writes the replies into
``tests/replies/<server>-<version>/``, or with modules into ``…-modules/``. Raw text (``.txt``) is kept byte for byte;
nested replies become ``.json``. Machine names and paths are replaced by neutral ones.
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
    """A blocking RESP2 connection. ``execute("SLOWLOG", "GET", 1)`` returns bytes, int, None or nested lists."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.file = self.socket.makefile("rb")

    def execute(self, *args: str | int | bytes) -> Any:
        """Send one command and return its reply. An error reply is returned as text."""
        words = [str(arg).encode() for arg in args]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words))
        return self.read()

    def read(self) -> Any:
        """Read and return one reply."""
        kind, line = (head := self.file.readline())[:1], head[1:-2]
        if kind == b"$":
            return None if line == b"-1" else self.file.read(int(line) + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(line))]
        return int(line) if kind == b":" else line


def start(
    binary: str, folder: Path, *options: str, sentinel: bool = False
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a server on a free port, wait until it accepts connections, and return both."""
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


def anonymize(info: bytes) -> bytes:
    """Replace what identifies the machine of the recording."""
    info = re.sub(rb"(?m)^os:.*?(?=\r?$)", b"os:Linux 6.1.0 x86_64", info)
    info = re.sub(rb"(?m)^executable:.*?(?=\r?$)", b"executable:/usr/local/bin/server", info)
    return re.sub(rb"(?m)^config_file:.*?(?=\r?$)", b"config_file:/etc/server/server.conf", info)


def to_json(reply: Any) -> Any:
    """Convert a reply for JSON: bytes become text."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", errors="replace")
    return [to_json(item) for item in reply] if isinstance(reply, list) else reply


def create_content(primary: Connection, replica: Connection) -> None:
    """Give each section of INFO some content."""
    primary.execute("CONFIG", "SET", "latency-monitor-threshold", 5)
    for number in range(50):
        primary.execute("SET", f"key:{number}", number)
        primary.execute("GET", f"key:{number * 2}")
    for number in range(10):
        primary.execute("EXPIRE", f"key:{number}", 3600)
    primary.execute("SELECT", 3)
    primary.execute("HSET", "hash", "a", 1, "b", 2)
    primary.execute("HEXPIRE", "hash", 600, "FIELDS", 1, "a")  # Redis 7.4, Valkey 9 and later; an error before
    primary.execute("EVAL", SPIN, 0)
    primary.execute("GET", "hash")
    primary.execute("XINFO", "STREAM", "hash")
    primary.execute("EVALSHA", "0" * 40, 0)
    primary.execute("GEORADIUS_RO", "hash", 15, 37, 200, "km")
    primary.execute("GET")
    primary.execute("HGETALL", "hash")
    primary.execute("CLIENT", "LIST")
    primary.execute("EVAL", "return redis.error_reply('MADEUP by a script')", 0)
    primary.execute("BGSAVE")
    for _ in range(100):
        if b"master_link_status:up" in replica.execute("INFO", "replication"):
            break
        time.sleep(0.1)
    time.sleep(2.2)  # wait for acknowledged offsets and the end of the snapshot
    for number in range(30):
        replica.execute("GET", f"key:{number}")


def create_module_content(primary: Connection) -> None:
    """Give the search, JSON and bloom modules some content."""
    primary.execute("SELECT", 0)
    primary.execute("FT.CREATE", "index", "PREFIX", 1, "doc:", "SCHEMA", "title", "TEXT")
    primary.execute("HSET", "doc:1", "title", "redis and valkey")
    primary.execute("FT.SEARCH", "index", "valkey", "DIALECT", 2)
    primary.execute("JSON.SET", "json", "$", '{"a": 1}')
    primary.execute("BF.ADD", "bloom", "item")


def main(binary: str, *modules: str) -> None:
    """Start the servers, create content, record the replies, stop the servers."""
    work = Path(tempfile.mkdtemp())
    servers: list[subprocess.Popen[bytes]] = []
    try:
        options = (
            "repl-diskless-sync-delay 0",
            "slowlog-log-slower-than 10000",
            'save ""',
            "io-threads 2",
            *(f"loadmodule {module}" for module in modules),
        )
        process, primary = start(binary, work / "primary", *options, "appendonly yes", "maxmemory 1gb")
        servers.append(process)
        port = primary.socket.getpeername()[1]
        process, replica = start(binary, work / "replica", *options, f"replicaof 127.0.0.1 {port}")
        servers.append(process)
        monitor = f"sentinel monitor mymaster 127.0.0.1 {port} 1"
        process, sentinel = start(binary, work / "sentinel", monitor, sentinel=True)
        servers.append(process)
        if modules:
            create_module_content(primary)
        create_content(primary, replica)
        info = primary.execute("INFO", "everything")
        versions = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", info))
        name = "valkey" if b"valkey_version" in versions else "redis"
        folder = HERE / f"{name}-{versions[f'{name}_version'.encode()].decode()}{'-modules' if modules else ''}"
        folder.mkdir(exist_ok=True)
        (folder / "info.txt").write_bytes(anonymize(info))
        (folder / "info-replica.txt").write_bytes(anonymize(replica.execute("INFO", "everything")))
        (folder / "info-sentinel.txt").write_bytes(
            anonymize(sentinel.execute("INFO", "everything") or sentinel.execute("INFO"))
        )
        for command in (("SLOWLOG", "LEN"), ("SLOWLOG", "GET", 1), ("LATENCY", "LATEST")):
            reply = json.dumps(to_json(primary.execute(*command)), indent=1)
            (folder / f"{command[0]}-{command[1]}.json".lower()).write_text(reply + "\n")
        print(folder)
    finally:
        for process in servers:
            process.kill()
            process.wait()
        shutil.rmtree(work)


if __name__ == "__main__":
    main(*sys.argv[1:])
