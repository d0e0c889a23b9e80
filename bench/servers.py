"""Real servers with data of all kinds: a primary, its replica, a cluster node, a Sentinel."""

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import redis
from process import free_port

EMPTY = '""'


class Server:
    """One server process with its own folder, as a context manager.

    ``config`` are directives of its configuration, ``lines`` are whole lines. With lines of a Sentinel, it is one.
    """

    def __init__(self, name: str, folder: Path, binary: str, *lines: str, **config: str) -> None:
        self.name = name
        self.is_sentinel = any(line.startswith("sentinel ") for line in lines)
        self.port = free_port()
        self._folder = folder / name
        self._folder.mkdir()
        directives = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder), "daemonize": "no"}
        directives |= {key.replace("_", "-"): value for key, value in config.items()}
        file = self._folder / "server.conf"
        lines = (*(f"{key} {value or EMPTY}" for key, value in directives.items()), *lines)
        file.write_text("\n".join(lines) + "\n")
        self._command = [binary, str(file), *(["--sentinel"] if self.is_sentinel else [])]
        self.client = redis.Redis(port=self.port, protocol=2, decode_responses=True)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def version(self) -> str:
        """Return the version that it reports."""
        return str(dict(self.client.info("server"))["redis_version"])

    def __enter__(self) -> Self:
        """Start, and return when it replies."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.client.ping()
            except redis.ConnectionError:
                time.sleep(0.02)
            else:
                return self
        self.__exit__()
        raise SystemExit(f"{self.name} does not start:\n{(self._folder / 'server.log').read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self._process.kill()
        self._process.wait()


def states(stack: ExitStack, folder: Path, binary: str) -> list[Server]:
    """Start and return all servers. They run until the stack is closed."""

    def start(name: str, *lines: str, **config: str) -> Server:
        return stack.enter_context(Server(name, folder, binary, *lines, **config))

    common = {"save": "", "latency_monitor_threshold": "1", "enable_debug_command": "local"}
    primary = start("primary", **common, repl_diskless_sync_delay="0")
    replica = start("replica", **common, replicaof=f"127.0.0.1 {primary.port}")
    node = start("cluster", **common, cluster_enabled="yes", cluster_port=str(free_port()))
    node.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    sentinel = start("sentinel", f"sentinel monitor main 127.0.0.1 {primary.port} 1")
    fill(primary.client)
    _until(lambda: node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    node.client.set("visits", 3)
    for server in (primary, replica, node):
        provoke_events(server.client)
    _until(lambda: replica.client.info("replication")["master_link_status"] == "up")
    return [primary, replica, node, sentinel]


def fill(client: redis.Redis) -> None:
    """Write keys of all types, with and without a TTL, in two databases."""
    with client.pipeline(transaction=False) as pipeline:
        for number in range(30):
            pipeline.set(f"user:{number}", "x" * (number + 1), ex=None if number % 3 else 36_000)
            pipeline.set(f"visit{'abcdefg'[number % 7]}:{number}", number)
        pipeline.set("visits", 41).incrbyfloat("ratio", 0.25).set("greeting", "hello, world")
        pipeline.hset("hash", "field", "value").lpush("list", 1, 2, 3).sadd("set", "a", "b").zadd("board", {"a": 1.0})
        for number in range(20):
            pipeline.xadd("orders", {"n": number}, id=f"{1700000000000 + number}-0")
        pipeline.xgroup_create("orders", "billing", id="0").xadd("mail", {"to": "you"}, id="1700000000000-5")
        pipeline.xreadgroup("billing", "one", {"orders": ">"}, count=5)
        pipeline.select(3)
        for number in range(5):
            pipeline.rpush(f"session:{number}", *range(number + 1))
        pipeline.set("cart", "7.5", ex=36_000).select(0)
        pipeline.execute()


def provoke_events(client: redis.Redis) -> None:
    """Make a slow command, a latency event, error replies and a snapshot."""
    client.slowlog_reset()
    for command in (
        ("DEBUG", "SLEEP", "0.02"),
        ("NONSENSE",),
        ("LPUSH", "visits", "x"),
        ("EVAL", "return 1", 0),
        ("SAVE",),
    ):
        try:
            client.execute_command(*command)
        except redis.ResponseError:
            continue


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit("a server did not reach its state in time")
        time.sleep(0.05)
