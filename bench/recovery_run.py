"""One daemon and its servers: the servers go and come back, and the page of the daemon is watched."""

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

FIRST = 120.0  # seconds within which all targets must be up at the start
MANY = 100  # with more targets a page of metrics costs the daemon too much, and /health is read instead
PAUSE, LONG_PAUSE = 0.03, 0.25  # seconds between two readings; with many targets
PINGS = 50  # clients at the same time that wait for the return


def daemon(root: Path, folder: Path, ports: list[int]) -> Program:
    """Return the daemon of a checkout, with default settings, for these servers; it is not started.

    ``-P``: else Python would find the package of the current directory first.
    """
    config = {"targets": [{"name": f"t{port}", "url": f"redis://127.0.0.1:{port}"} for port in ports]}
    (folder / "redis-pulse.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-P", "-m", "redis_pulse", "--config", str(folder / "redis-pulse.yaml")]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env["PYTHONPATH"] = str(root)
    return Program("redis-pulse", [*command, "--listen", "127.0.0.1:{port}"], env, folder / "stderr.log", 60, idle=True)


class Watched:
    """A daemon that is watched through outages of its servers."""

    def __init__(self, program: Program, servers: Servers, counted: int, after: float, patience: float) -> None:
        self._program, self._servers = program, servers
        self._counted = {f"t{port}" for port in servers.ports[:counted]}
        self._after, self._patience = after, patience
        self._has_many = len(servers.ports) > MANY
        self._pause = LONG_PAUSE if self._has_many else PAUSE

    async def be_up(self) -> None:
        """Wait until all targets are up."""
        deadline = time.monotonic() + FIRST
        while not all((await self._ups()).values()):
            if time.monotonic() > deadline:
                raise SystemExit("not all targets are up at the start")
            await asyncio.sleep(0.2)

    async def outage(self, seconds: float) -> list[Recovery]:
        """Take the servers away for so long; return what was seen of each target."""
        self._states: dict[str, list[tuple[float, bool]]] = defaultdict(list)
        self._returned: dict[str, float] = {}
        self._failed: dict[str, Counter[str]] = {}
        await asyncio.to_thread(self._servers.go)
        await asyncio.sleep(seconds)
        is_up = await self._ups()
        if any(is_up.values()):
            print(f"- {sum(is_up.values())} targets were up at the end of an outage of {seconds:g} s", file=sys.stderr)
        come = asyncio.create_task(asyncio.to_thread(self._servers.come))
        gate = asyncio.Semaphore(PINGS)
        tasks = [asyncio.create_task(self._wait_for(port, gate)) for port in self._servers.ports]
        await self._read()
        await come
        invented = {name: await self._failed_pings(name) - before for name, before in self._failed.items()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        names = [f"t{port}" for port in self._servers.ports]
        if missing := len(names) - len(self._returned):
            raise SystemExit(f"{missing} servers have not returned within {self._patience:g} s")
        return [recovery(self._states[name], self._returned[name], invented.get(name)) for name in names]

    async def _read(self) -> None:
        """Read the page until all are seen, and for a while after that."""
        deadline, names = time.monotonic() + self._patience, {f"t{port}" for port in self._servers.ports}
        seen: set[str] = set()
        while (began := time.monotonic()) < deadline:
            page = await self._ups()
            moment = time.monotonic()
            for name, is_up in page.items():
                self._states[name].append((moment, is_up))
            if seen != names and (seen := seen | {name for name, is_up in page.items() if is_up}) == names:
                deadline = min(deadline, moment + self._after)
            await asyncio.sleep(max(self._pause, moment - began))

    async def _wait_for(self, port: int, gate: asyncio.Semaphore) -> None:
        """Note when a PING on a fresh connection succeeds."""
        name = f"t{port}"
        while name not in self._returned:
            async with gate:
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
    """Tell whether a PING on a fresh connection is answered within a second."""
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
    status = head[9:12]  # that of /health is 503 while a target is down
    if status not in ((b"200", b"503") if path == "/health" else (b"200",)):
        raise SystemExit(f"{path}: {head.decode(errors='replace')}\n{body[:500].decode(errors='replace')}")
    return body.decode()
