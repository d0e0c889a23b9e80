"""Record what every collector asks a real server, and what it gets, for golden pages and tests of broken replies:

    python -m tests.replies.record_session /usr/bin/redis-server
    python -m tests.replies.record_session /opt/redis-server /opt/redisearch.so /opt/rejson.so

A primary, its replica, its Sentinel and a node of a cluster are started on 127.0.0.1 and brought into a state in which
every collector has something to say; then they are polled twice, with the options of ``tests/collector_options.py``.
What was asked and answered goes into ``tests/replies/<server>-<version>/session-<who>.json``, with modules into
``…-modules/``.
Run it again when a collector asks something new. Paths and the machine's name are replaced by plain ones.
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
from redis_pulse.server_info import Server, Target
from tests import collector_options, replay
from tests.harness import RecordingObserver, target_settings
from tests.integration.servers import free_port
from tests.replies.record import HERE, SPIN, Connection, plain, provoke_modules

QUICK = (
    "repl-diskless-sync-delay 0",
    "slowlog-log-slower-than 10000",
    'save ""',
    "latency-monitor-threshold 5",
    "io-threads 2",
)


#: In the recording of the cluster's node, and on no page.
SECRET = "planted-secret"


class Recording:
    """The port ``Commands`` that writes down what passes through it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.replies: dict[replay.Asked, list[Any]] = {}

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Ask, and write the reply or the error down."""
        (reply,) = await self.pipeline([args], db=db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[replay.Args], *, db: int | None = None) -> list[Any]:
        """Ask, and write the replies down."""
        replies: list[Any] = await self._client.commands("record", time.monotonic() + 10).pipeline(commands, db=db)
        for args, reply in zip(commands, replies, strict=True):
            self.replies.setdefault((db, args), []).append(reply)
        return replies


def provoke(primary: Connection, replica: Connection, clients: list[Connection]) -> None:
    """Make every section, every kind of key and every kind of client say something."""
    for number in range(50):
        primary.ask("SET", f"key:{number}", number)
        primary.ask("GET", f"key:{number * 2}")
    for number in range(10):
        primary.ask("EXPIRE", f"key:{number}", 3600)
    kinds(primary)
    primary.ask("SELECT", 3)
    primary.ask("HSET", "hash", "a", 1, "b", 2)
    primary.ask("HEXPIRE", "hash", 600, "FIELDS", 1, "a")  # Redis 7.4 and Valkey 9 on; an error before
    primary.ask("SET", "user:1", "x" * 2_000_000)  # large enough for COMMANDLOG
    primary.ask("GET", "user:1")
    primary.ask("SET", "user:1", "hello")
    primary.ask("SELECT", 0)
    primary.ask("EVAL", SPIN, 0)
    primary.ask("EVAL", SPIN, 0)
    primary.ask("INCR", "kind:list")  # WRONGTYPE
    primary.ask("NOSUCHCOMMAND")
    primary.ask("CLIENT", "SETNAME", "test")
    for name, client in zip(("web", "web", "batch"), clients, strict=True):
        client.ask("CLIENT", "SETNAME", name)
        client.ask("CLIENT", "SETINFO", "LIB-NAME", "redis-py")  # 7.2 on
        client.ask("CLIENT", "SETINFO", "LIB-VER", "8.1.0")
    clients[2].ask("SUBSCRIBE", "news")
    denials(primary)
    primary.ask("BGSAVE")
    eventually(lambda: b"master_link_status:up" in replica.ask("INFO", "replication"))
    time.sleep(2.2)  # acknowledged offsets, and the finished snapshot
    for number in range(30):
        replica.ask("GET", f"key:{number}")


def denials(primary: Connection) -> None:
    """Let a user be denied commands and a key, and somebody fail to log in."""
    primary.ask("ACL", "SETUSER", "batch", "on", "nopass", "~key:*", "+get")
    batch = Connection(number_of(primary))
    batch.ask("AUTH", "batch", "any")
    for command in (("FLUSHALL",), ("FLUSHALL",), ("CONFIG", "GET", "dir"), ("GET", "kind:text")):
        batch.ask(*command)
    batch.ask("AUTH", "nobody", "any")


def kinds(primary: Connection) -> None:
    """Write a key of each kind, and a stream with groups, consumers and unacknowledged entries."""
    primary.ask("RPUSH", "kind:list", 1, 2, 3)
    primary.ask("SADD", "kind:set", 1, 2)
    primary.ask("ZADD", "kind:zset", 1, "a")
    primary.ask("HSET", "kind:hash", "a", 1, "b", 2)
    primary.ask("PFADD", "kind:hll", *range(100))
    primary.ask("SET", "kind:text", 'say "hello"')
    primary.ask("SET", "kind:number", "3.5")
    primary.ask("XADD", "kind:stream", "1795379999000-0", "n", 1)
    primary.ask("DEL", "stream:orders")
    primary.ask("XADD", "stream:visits", "1795379999500-0", "n", 1)
    primary.ask("XGROUP", "CREATE", "stream:visits", "count", "$")
    for number in range(1, 9):
        primary.ask("XADD", "stream:orders", f"1795379999{number:03}-0", "n", number)
    primary.ask("XDEL", "stream:orders", "1795379999001-0")
    primary.ask("XGROUP", "CREATE", "stream:orders", "billing", 0)
    primary.ask("XGROUP", "CREATE", "stream:orders", "mail", "$")
    for consumer, count in (("anna", 2), ("ben", 1)):
        primary.ask("XREADGROUP", "GROUP", "billing", consumer, "COUNT", count, "STREAMS", "stream:orders", ">")


def start(binary: str, folder: Path, *options: str, sentinel: bool) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a server on a port that leaves room for a cluster's bus, and wait until it answers."""
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


def number_of(connection: Connection) -> int:
    """Return the port that a connection leads to."""
    return int(connection.socket.getpeername()[1])


def eventually(condition: Callable[[], object]) -> None:
    """Wait until something has come true."""
    for _ in range(100):
        if condition():
            return
        time.sleep(0.1)
    raise SystemExit("it did not happen within 10 s")


async def record(port: int, who: str, folder: str) -> dict[replay.Asked, list[Any]]:
    """Poll a server with every collector, and return what was asked and answered."""
    target = Target.of(target_settings(f"redis://127.0.0.1:{port}"))
    client = TargetClient(
        target, CircuitBreaker(target.settings.breaker, time.monotonic, on_change=lambda *_: None), RecordingObserver()
    )
    recording = Recording(client)
    server, parts, refusals = (
        Server(local=True),
        [(one.for_target(), options) for one, options in collector_options.everything(who)],
        RefusedCommands(),
    )
    for _ in range(replay.POLLS):
        for run in await replay.poll(server, recording, parts, refusals):
            said = run.error or (f"{len(run.found)} found" if run.found is not None else "does not apply")
            print(f"  {run.collector.name}: {said}")
    await client.aclose()
    return {asked: [clean(reply, folder.encode()) for reply in replies] for asked, replies in recording.replies.items()}


def clean(reply: Any, folder: bytes) -> Any:
    """Take out what belongs to the machine the recording was made on."""
    if isinstance(reply, list):
        return [clean(item, folder) for item in reply]
    return plain(reply).replace(folder, b"/var/lib/server") if isinstance(reply, bytes) else reply


def main(binary: str, *modules: str) -> None:
    """Start, provoke, record, stop."""
    work = Path(tempfile.mkdtemp())
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, work)

        def launch(who: str, *options: str) -> Connection:
            process, connection = start(binary, work / who, *options, sentinel=who.startswith("sentinel"))
            stack.callback(process.wait)
            stack.callback(process.kill)
            return connection

        loaded = [f"loadmodule {module}" for module in modules]
        primary = launch("primary", *QUICK, *loaded, "appendonly yes", "maxmemory 100mb")
        if modules:
            provoke_modules(primary)
            primary.ask("FT.CREATE", "second", "PREFIX", 1, "doc:", "SCHEMA", "body", "TEXT")
        port = number_of(primary)
        replica = launch("replica", *QUICK, *loaded, f"replicaof 127.0.0.1 {port}")
        sentinel, _ = (
            launch(who, f"sentinel monitor mymaster 127.0.0.1 {port} 1") for who in ("sentinel", "sentinel2")
        )
        cluster, other = (
            launch(who, *QUICK, "cluster-enabled yes", f"masterauth {SECRET}") for who in ("cluster", "cluster2")
        )
        cluster.ask("CLUSTER", "ADDSLOTS", *range(16384))
        cluster.ask("CLUSTER", "MEET", "127.0.0.1", number_of(other))
        cluster.ask("SET", "key", 1)
        clients = [Connection(port) for _ in range(3)]
        provoke(primary, replica, clients)
        eventually(lambda: b"slaves=1" in sentinel.ask("INFO"))
        eventually(lambda: b"sentinels=2" in sentinel.ask("INFO"))
        eventually(lambda: b"cluster_state:ok" in cluster.ask("CLUSTER", "INFO"))
        eventually(lambda: b"cluster_known_nodes:2" in cluster.ask("CLUSTER", "INFO"))
        found = dict(re.findall(rb"(?m)^((?:redis|valkey)_version):(.*?)\r?$", primary.ask("INFO")))
        name = "valkey" if b"valkey_version" in found else "redis"
        to = HERE / f"{name}-{found[f'{name}_version'.encode()].decode()}{'-modules' if modules else ''}"
        to.mkdir(exist_ok=True)
        several = dict(zip(replay.ROLES, (primary, replica, sentinel, cluster), strict=True))
        for who, connection in ({"primary": primary} if modules else several).items():
            print(f"{to.name} {who}")
            replies = asyncio.run(record(number_of(connection), who, str(work)))
            (to / f"session-{who}.json").write_text(replay.dump(replies), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
