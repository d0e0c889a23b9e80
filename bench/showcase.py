"""Start the servers of a small shop, a daemon that watches them and a Prometheus, to look at the dashboards.

    .venv/bin/python -m bench.showcase         # prints the address of Prometheus; SIGUSR1 starts faults, Ctrl-C ends

The servers are a cache with its replica (Valkey), and a queue with its replica and a Sentinel (Redis). There is also a
store that refuses writes when it is full (Redis), and a cluster of three nodes (Valkey). Everything listens on
127.0.0.1 and is deleted at the end.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from bench import showcase_load
from redis_pulse.demo.workload import Workload
from tests.integration.daemon import Daemon
from tests.integration.prometheus import Prometheus
from tests.integration.servers import RealServer, binary, free_port


class Showcase:
    """The servers by name, the daemon and Prometheus. They run until the end of the ``with`` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: dict[str, RealServer] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        cache = {"maxmemory": "6mb", "maxmemory_policy": "allkeys-lfu", "latency_monitor_threshold": "10"}
        cache |= {
            "repl_backlog_size": "256kb",
            "slowlog_log_slower_than": "5000",
            "repl_ping_replica_period": "1",
            "save": "60 1",
        }
        sessions = self._serve("sessions", "valkey", **cache)
        self._serve("sessions-replica", "valkey", **cache, replicaof=f"127.0.0.1 {sessions.port}")
        queue = self._serve("queue", "redis", appendonly="yes", repl_ping_replica_period="1")
        self._serve("queue-replica", "redis", repl_ping_replica_period="1", replicaof=f"127.0.0.1 {queue.port}")
        self._serve("payments", "redis", maxmemory="24mb", save="60 1")
        sentinel = self._stack.enter_context(_sentinel(self.folder / "sentinel", queue.port))
        nodes = [
            self._serve(f"cart-{number}", "valkey", cluster_enabled="yes", cluster_node_timeout="2000")
            for number in (1, 2, 3)
        ]
        _join(nodes)
        targets = [
            {"name": name, "url": server.url, "labels": {"team": name.partition("-")[0]}}
            for name, server in self.servers.items()
        ]
        keys = {"keyspace_sample": {"keys_per_second": 500, "server_share": 0.02, "window": "60s"}}
        for target in targets:
            if target["name"] in ("sessions", "payments", "queue"):
                target["collectors"] = {"default": True, **keys}
        targets.append({"name": "queue-sentinel", "url": f"redis://127.0.0.1:{sentinel}"})
        config = {
            "probe": {"interval": "200ms", "timeout": "500ms", "cold_connect": "2s"},
            "poll": {"interval": "2s", "timeout": "1s", "max_age": "10s"},
            "breaker": {"failure_threshold": 5, "open_interval": "2s", "open_interval_max": "8s"},
            "targets": targets,
        }
        daemon = self._stack.enter_context(Daemon(self.folder / "daemon", config=config))
        self.prometheus = self._stack.enter_context(Prometheus(self.folder / "prometheus", daemon.port))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _serve(self, name: str, software: str, **config: str) -> RealServer:
        server = RealServer(self.folder / name, software, **config)  # type: ignore[arg-type]
        self.servers[name] = self._stack.enter_context(server)
        return server

    async def work(self) -> None:
        """Keep all servers busy until cancelled. After an error, a server is used again."""
        url = {name: server.url for name, server in self.servers.items()}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Workload(url["sessions"], url["sessions-replica"]).run())
            for name in ("queue", "queue-replica"):
                tasks.create_task(showcase_load.forever(lambda name=name: showcase_load.queue(url[name])))
            tasks.create_task(showcase_load.forever(lambda: showcase_load.payments(url["payments"])))
            tasks.create_task(showcase_load.forever(lambda: showcase_load.cart(self.servers["cart-1"].port)))

    async def run_faults(self) -> None:
        """Break one server after the other, and repair it. This takes one to two minutes."""
        servers = self.servers
        servers["sessions-replica"].freeze()
        await asyncio.sleep(12)
        servers["sessions-replica"].thaw()
        servers["queue"].kill()
        slow = asyncio.create_task(showcase_load.slow(servers["cart-2"].url))
        await asyncio.sleep(15)
        payments = servers["payments"]
        payments.run("CONFIG", "SET", "requirepass", "rotated")
        payments.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(12)
        payments.run("CONFIG", "SET", "requirepass", "")
        slow.cancel()
        servers["queue"].start()
        for number in range(400):
            with contextlib.suppress(Exception):
                payments.run("SET", f"archive:{number}", "x" * 100_000)
        await asyncio.sleep(20)
        for number in range(400):
            payments.run("DEL", f"archive:{number}")


def _join(nodes: list[RealServer]) -> None:
    edges = [0, 5461, 10923, 16384]
    for node, first, after in zip(nodes, edges, edges[1:], strict=False):
        node.run("CLUSTER", "ADDSLOTSRANGE", first, after - 1)
    for node in nodes[1:]:
        nodes[0].run("CLUSTER", "MEET", "127.0.0.1", node.port)
    deadline = time.monotonic() + 30
    while not all(b"cluster_state:ok" in node.run("CLUSTER", "INFO") for node in nodes):
        if time.monotonic() > deadline:
            raise RuntimeError("the cluster is not complete in time")
        time.sleep(0.1)


@contextmanager
def _sentinel(folder: Path, master: int) -> Iterator[int]:
    folder.mkdir()
    port = free_port()
    lines = [f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor queue 127.0.0.1 {master} 1"]
    lines += ["sentinel down-after-milliseconds queue 3000", "sentinel failover-timeout queue 10000"]
    (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
    command = [binary("redis"), str(folder / "sentinel.conf"), "--sentinel"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


async def _run(show: Showcase) -> None:
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[None]] = set()

    def start_faults() -> None:
        pending.add(task := asyncio.create_task(show.run_faults()))
        task.add_done_callback(pending.discard)

    loop.add_signal_handler(signal.SIGUSR1, start_faults)
    await show.work()


def main() -> int:
    """Run until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="redis-pulse-showcase-") as folder, Showcase(Path(folder)) as show:
        print(json.dumps({"prometheus": show.prometheus.url, "folder": folder}), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run(show))
    return 0


if __name__ == "__main__":
    sys.exit(main())
