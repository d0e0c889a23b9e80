"""One daemon and its servers: stop and start the servers, and read the daemon's page meanwhile."""

import asyncio
import contextlib
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import yaml
from process import Program
from recovery_figures import Recovery, connected, failed_pings, recovery, ups
from recovery_servers import Servers

START_TIMEOUT = 120.0  # seconds until all targets must be up at the start
MANY = 100  # with more targets, /health is read: a page of metrics would cost the daemon too much
PAUSE, LONG_PAUSE = 0.03, 0.25  # seconds between two readings, normally and with many targets
MAX_CLIENTS = 50  # concurrent clients that wait for the return


def daemon(root: Path, folder: Path, ports: list[int]) -> Program:
    """Return the daemon of a checkout, with default settings, for the servers at ``ports``. It is not started yet.

    Without ``-P``, Python would use the package in the current directory.
    """
    config = {"targets": [{"name": f"t{port}", "url": f"redis://127.0.0.1:{port}"} for port in ports]}
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-P", "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(root / "exporter")
    return Program("redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", 60, idle=True)


class OutageMeasurement:
    """Measures how a daemon reports outages of its servers."""

    def __init__(self, program: Program, servers: Servers, counted: int, after: float, patience: float) -> None:
        self._program, self._servers = program, servers
        self._counted = {f"t{port}" for port in servers.ports[:counted]}
        self._after, self._patience = after, patience
        self._has_many = len(servers.ports) > MANY
        self._pause = LONG_PAUSE if self._has_many else PAUSE

    async def wait_until_up(self) -> None:
        """Wait until all targets are up."""
        deadline = time.monotonic() + START_TIMEOUT
        while not all((await self._ups()).values()):
            if time.monotonic() > deadline:
                raise SystemExit("not all targets are up at the start")
            await asyncio.sleep(0.2)

    async def outage(self, seconds: float) -> list[Recovery]:
        """Stop the servers for ``seconds``, start them again, and return the figures of each target."""
        self._states: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        self._returned: dict[str, float] = {}
        self._failed: dict[str, Counter[str]] = {}
        await asyncio.to_thread(self._servers.stop)
        await asyncio.sleep(seconds)
        is_up = await self._ups()
        if any(is_up.values()):
            print(f"- {sum(is_up.values())} targets were up at the end of an outage of {seconds:g} s", file=sys.stderr)
        starting = asyncio.create_task(asyncio.to_thread(self._servers.start))
        limit = asyncio.Semaphore(MAX_CLIENTS)
        tasks = [asyncio.create_task(self._wait_for(port, limit)) for port in self._servers.ports]
        await self._read()
        await starting
        invented = {name: await self._failed_pings(name) - before for name, before in self._failed.items()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        names = [f"t{port}" for port in self._servers.ports]
        if missing := len(names) - len(self._returned):
            raise SystemExit(f"{missing} servers have not returned within {self._patience:g} s")
        return [recovery(self._states[name], self._returned[name], invented.get(name)) for name in names]

    async def _read(self) -> None:
        """Read the page until all targets were up, and for some time after that."""
        deadline, names = time.monotonic() + self._patience, {f"t{port}" for port in self._servers.ports}
        were_up: set[str] = set()
        while (began := time.monotonic()) < deadline:
            page = await self._ups()
            moment = time.monotonic()
            for name, is_up in page.items():
                self._states[name].append((moment, is_up))
            if were_up != names and (were_up := were_up | {name for name, up in page.items() if up}) == names:
                deadline = min(deadline, moment + self._after)
            await asyncio.sleep(max(self._pause, moment - began))

    async def _wait_for(self, port: int, limit: asyncio.Semaphore) -> None:
        """Record when a PING on a new connection succeeds."""
        name = f"t{port}"
        while name not in self._returned:
            async with limit:
                if await answers(port):
                    self._returned[name] = time.monotonic()
            await asyncio.sleep(0.01)
        if name in self._counted:
            self._failed[name] = await self._failed_pings(name)

    async def _ups(self) -> dict[str, bool]:
        if self._has_many:
            return connected(await fetch(self._program.port, "/health"))
        return ups(await fetch(self._program.port, "/metrics?only=targets&name[]=redis_up"))

    async def _failed_pings(self, name: str) -> Counter[str]:
        path = f"/scrape?target={name}&name[]=redis_operation_failures_total"
        return failed_pings(await fetch(self._program.port, path))


async def answers(port: int) -> bool:
    """Return whether a PING on a new connection gets a reply within a second."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()) == b"+PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def fetch(port: int, path: str) -> str:
    """Return the body of a page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 26)
    with contextlib.closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    status = head[9:12]  # /health has the status 503 while a target is down
    if status not in ((b"200", b"503") if path == "/health" else (b"200",)):
        raise SystemExit(f"{path}: {head.decode(errors='replace')}\n{body[:500].decode(errors='replace')}")
    return body.decode()
