"""Record the requests of all collectors and the replies of a real server, for golden pages and fuzz tests:

    python -m tests.replies.record_session /usr/bin/redis-server
    python -m tests.replies.record_session /opt/redis-server /opt/redisearch.so /opt/rejson.so

The script starts a primary, its replica, its Sentinel and a node of a cluster on 127.0.0.1. It gives each collector
something to read. Then it polls the servers twice, with the options of ``tests/collector_options.py``. It writes the
requests and replies into ``tests/replies/<server>-<version>/session-<role>.json``, with modules into ``…-modules/``.

Run it again when a collector sends a new command. Paths and the machine's name are replaced by neutral ones.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import TargetClient
from redis_pulse.errors import TargetError
from redis_pulse.polling.poll_commands import RefusedCommands
from redis_pulse.server_info import Server
from tests import collector_options, replay
from tests.harness import RecordingObserver, target_settings
from tests.integration.servers import free_port
from tests.replies.record import HERE, SPIN, Connection, anonymize, create_module_content

OPTIONS = (
    "repl-diskless-sync-delay 0",
    "slowlog-log-slower-than 10000",
    'save ""',
    "latency-monitor-threshold 5",
    "io-threads 2",
)


#: In the recording of the cluster node. It must not be on any page.
SECRET = "planted-secret"


class Recording:
    """Implements ``Commands`` with a client and records all requests and replies."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.replies: dict[replay.Request, list[Any]] = {}

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Send one command; record and return its reply, or raise its error."""
        (reply,) = await self.pipeline([args], db=db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[replay.Args], *, db: int | None = None) -> list[Any]:
        """Send the commands; record and return the replies."""
        replies: list[Any] = await self._client.commands("record", time.monotonic() + 10).pipeline(commands, db=db)
        for args, reply in zip(commands, replies, strict=True):
            self.replies.setdefault((db, args), []).append(reply)
        return replies


def create_content(primary: Connection, replica: Connection, clients: list[Connection]) -> None:
    """Give each section some content, and create keys and clients of each kind."""
    for number in range(50):
        primary.execute("SET", f"key:{number}", number)
        primary.execute("GET", f"key:{number * 2}")
    for number in range(10):
        primary.execute("EXPIRE", f"key:{number}", 3600)
    create_keys(primary)
    primary.execute("SELECT", 3)
    primary.execute("HSET", "hash", "a", 1, "b", 2)
    primary.execute("HEXPIRE", "hash", 600, "FIELDS", 1, "a")  # Redis 7.4, Valkey 9 and later; an error before
    primary.execute("SET", "user:1", "x" * 2_000_000)  # large enough for COMMANDLOG
    primary.execute("GET", "user:1")
    primary.execute("SET", "user:1", "hello")
    primary.execute("SELECT", 0)
    primary.execute("EVAL", SPIN, 0)
    primary.execute("EVAL", SPIN, 0)
    primary.execute("INCR", "kind:list")  # WRONGTYPE
    primary.execute("NOSUCHCOMMAND")
    primary.execute("CLIENT", "SETNAME", "test")
    for name, client in zip(("web", "web", "batch"), clients, strict=True):
        client.execute("CLIENT", "SETNAME", name)
        client.execute("CLIENT", "SETINFO", "LIB-NAME", "redis-py")  # Redis 7.2 and later
        client.execute("CLIENT", "SETINFO", "LIB-VER", "8.1.0")
    clients[2].execute("SUBSCRIBE", "news")
    create_denials(primary)
    primary.execute("BGSAVE")
    eventually(lambda: b"master_link_status:up" in replica.execute("INFO", "replication"))
    time.sleep(2.2)  # wait for acknowledged offsets and the end of the snapshot
    for number in range(30):
        replica.execute("GET", f"key:{number}")


def create_denials(primary: Connection) -> None:
    """Create a user role is denied commands and a key, and a failed login."""
    primary.execute("ACL", "SETUSER", "batch", "on", "nopass", "~key:*", "+get")
    batch = Connection(port_of(primary))
    batch.execute("AUTH", "batch", "any")
    for command in (("FLUSHALL",), ("FLUSHALL",), ("CONFIG", "GET", "dir"), ("GET", "kind:text")):
        batch.execute(*command)
    batch.execute("AUTH", "nobody", "any")


def create_keys(primary: Connection) -> None:
    """Write a key of each type, and a stream with groups, consumers and unacknowledged entries."""
    primary.execute("RPUSH", "kind:list", 1, 2, 3)
    primary.execute("SADD", "kind:set", 1, 2)
    primary.execute("ZADD", "kind:zset", 1, "a")
    primary.execute("HSET", "kind:hash", "a", 1, "b", 2)
    primary.execute("PFADD", "kind:hll", *range(100))
    primary.execute("SET", "kind:text", 'say "hello"')
    primary.execute("SET", "kind:number", "3.5")
    primary.execute("XADD", "kind:stream", "1795379999000-0", "n", 1)
    primary.execute("DEL", "stream:orders")
    primary.execute("XADD", "stream:visits", "1795379999500-0", "n", 1)
    primary.execute("XGROUP", "CREATE", "stream:visits", "count", "$")
    for number in range(1, 9):
        primary.execute("XADD", "stream:orders", f"1795379999{number:03}-0", "n", number)
    primary.execute("XDEL", "stream:orders", "1795379999001-0")
    primary.execute("XGROUP", "CREATE", "stream:orders", "billing", 0)
    primary.execute("XGROUP", "CREATE", "stream:orders", "mail", "$")
    for consumer, count in (("anna", 2), ("ben", 1)):
        primary.execute("XREADGROUP", "GROUP", "billing", consumer, "COUNT", count, "STREAMS", "stream:orders", ">")


def start(binary: str, folder: Path, *options: str, sentinel: bool) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a server, wait until it accepts connections, and return both.

    The cluster bus uses the port + 10000, so the port must be low enough.
    """
    port = free_port()
    folder.mkdir()
    config = folder / "server.conf"
    config.write_text("\n".join(["bind 127.0.0.1", f"port {port}", f"dir {folder}", *options]) + "\n")
    words = [binary, str(config), *(["--sentinel"] if sentinel else [])]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    for _ in range(100):
        with contextlib.suppress(ConnectionRefusedError):
            return server, Connection(port)
        time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{binary} did not start")


def port_of(connection: Connection) -> int:
    """Return the port that a connection leads to."""
    return int(connection.socket.getpeername()[1])


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    for _ in range(100):
        if condition():
            return
        time.sleep(0.1)
    raise SystemExit("the condition was not true within 10 s")


async def record(port: int, role: str, folder: str) -> dict[replay.Request, list[Any]]:
    """Poll a server with all collectors and return the replies by request."""
    target = target_settings(f"redis://127.0.0.1:{port}")
    client = TargetClient(
        target, CircuitBreaker(target.breaker, time.monotonic, on_change=lambda *_: None), RecordingObserver()
    )
    recording = Recording(client)
    server, parts, refusals = (
        Server(local=True),
        [(one.for_target(), options) for one, options in collector_options.all_collectors(role)],
        RefusedCommands(),
    )
    for _ in range(replay.POLLS):
        for run in await replay.poll(server, recording, parts, refusals):
            result = run.error or (f"{len(run.items)} items" if run.items is not None else "does not apply")
            print(f"  {run.collector.name}: {result}")
    await client.aclose()
    return {
        request: [clean(reply, folder.encode()) for reply in replies] for request, replies in recording.replies.items()
    }


def clean(reply: Any, folder: bytes) -> Any:
    """Replace what identifies the machine of the recording."""
    if isinstance(reply, list):
        return [clean(item, folder) for item in reply]
    return anonymize(reply).replace(folder, b"/var/lib/server") if isinstance(reply, bytes) else reply


def main(binary: str, *modules: str) -> None:
    """Start the servers, create content, record the sessions, stop the servers."""
    work = Path(tempfile.mkdtemp())
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, work)

        def launch(role: str, *options: str) -> Connection:
            process, connection = start(binary, work / role, *options, sentinel=role.startswith("sentinel"))
            stack.callback(process.wait)
            stack.callback(process.kill)
            return connection

        module_options = [f"loadmodule {module}" for module in modules]
        primary = launch("primary", *OPTIONS, *module_options, "appendonly yes", "maxmemory 100mb")
        if modules:
            create_module_content(primary)
            primary.execute("FT.CREATE", "second", "PREFIX", 1, "doc:", "SCHEMA", "body", "TEXT")
        port = port_of(primary)
        replica = launch("replica", *OPTIONS, *module_options, f"replicaof 127.0.0.1 {port}")
        sentinel, _ = (
            launch(role, f"sentinel monitor mymaster 127.0.0.1 {port} 1") for role in ("sentinel", "sentinel2")
        )
        cluster, other = (
            launch(role, *OPTIONS, "cluster-enabled yes", f"masterauth {SECRET}") for role in ("cluster", "cluster2")
        )
        cluster.execute("CONFIG", "SET", "cluster-slot-stats-enabled", "yes")  # Valkey 8.0, Redis 8.2 and later
        # Few slots, so that the recording of their statistics is small. The slot of "key" is one of them.
        cluster.execute("CLUSTER", "ADDSLOTS", *range(12480, 12544))
        other.execute("CLUSTER", "ADDSLOTS", *range(12480), *range(12544, 16384))
        other.execute("CLUSTER", "SET-CONFIG-EPOCH", 2)
        cluster.execute("CLUSTER", "MEET", "127.0.0.1", port_of(other))
        cluster.execute("SET", "key", 1)
        clients = [Connection(port) for _ in range(3)]
        create_content(primary, replica, clients)
        eventually(lambda: b"slaves=1" in sentinel.execute("INFO"))
        eventually(lambda: b"sentinels=2" in sentinel.execute("INFO"))
        eventually(lambda: b"cluster_state:ok" in cluster.execute("CLUSTER", "INFO"))
        eventually(lambda: b"cluster_known_nodes:2" in cluster.execute("CLUSTER", "INFO"))
        versions = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", primary.execute("INFO")))
        name = "valkey" if b"valkey_version" in versions else "redis"
        output = HERE / f"{name}-{versions[f'{name}_version'.encode()].decode()}{'-modules' if modules else ''}"
        output.mkdir(exist_ok=True)
        connections = dict(zip(replay.ROLES, (primary, replica, sentinel, cluster), strict=True))
        for role, connection in ({"primary": primary} if modules else connections).items():
            print(f"{output.name} {role}")
            replies = asyncio.run(record(port_of(connection), role, str(work)))
            (output / f"session-{role}.json").write_text(replay.dump(replies), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
