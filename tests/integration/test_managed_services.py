"""The whole daemon watches every managed service and every compatible server at once.

The services are doubles; ``tests/managed_services.py`` has their replies. They listen on the local host, so their host
names and logins do not name them here.
"""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.managed_services import DOUBLES, DoubleServer
from tests.patience import Patience

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Settings that suit many targets on a busy machine.
CONFIG = {
    "probe": {"interval": "1s", "timeout": "900ms"},
    "poll": {"interval": "3s", "timeout": "3s", "max_age": "60s"},
    "breaker": {"failure_threshold": 50},
    "stalls": {"enabled": False},
}
#: Services that deny commands with NOPERM, and that only their address or their login names.
NAMED_BY_ADDRESS = {"aiven", "memorystore-cluster"}
#: At first its two nodes look like restarts here, and each restart queries the capabilities again.
UNKNOWN_NODES = {"elasticache-serverless"}
PATIENCE = 120.0


@contextmanager
def running() -> Iterator[dict[str, DoubleServer]]:
    """Run all doubles in the event loop of a thread of its own, so that a test may block."""
    loop = asyncio.new_event_loop()
    stack = AsyncExitStack()

    async def start() -> dict[str, DoubleServer]:
        return {name: await stack.enter_async_context(DoubleServer(one)) for name, one in DOUBLES.items()}

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def polls(page: Page, name: str) -> float:
    return page.operations("info", name)


def test_daemon_watches_every_service_without_an_error(tmp_path: Path) -> None:
    with running() as servers:
        targets = [{"name": name, "url": server.url} for name, server in servers.items()]
        with Daemon(tmp_path / "daemon", config={**CONFIG, "targets": targets}) as daemon:
            page = daemon.wait_for(lambda page: all(polls(page, name) >= 3 for name in servers), PATIENCE)
            names = servers.keys() - NAMED_BY_ADDRESS
            assert [name for name in servers if page.up(name) != 1] == []
            assert {name: software(page, name) for name in servers} == {
                name: server.double.software for name, server in servers.items()
            }
            assert [name for name in names if page.sum("redis_collector_denied", target=name)] == []
            success = {name: page.matching("redis_collector_success", target=name) for name in names}
            assert [(name, labels) for name in names for labels, value in success[name].items() if value != 1] == []
            refused = {name: server.refused for name, server in servers.items() if name not in UNKNOWN_NODES}
            assert [(name, one) for name, found in refused.items() for one in found if found.count(one) > 2] == []
            log = daemon.log
    assert [line for line in log.splitlines() if "collector fails" in line] == []
    [offered] = [line for line in log.splitlines() if "not offered here" in line and "azure-cache" in line]
    assert "does not offer CONFIG" in offered


def software(page: Page, name: str) -> str:
    [labels] = page.matching("redis_server_info", target=name)
    return dict(labels)["software"]


def test_pages_name_the_service(tmp_path: Path) -> None:
    with running() as servers:
        targets = [{"name": "cart", "url": servers["memorydb"].url}]
        with Daemon(tmp_path / "daemon", config={**CONFIG, "targets": targets}) as daemon:
            daemon.wait_for(lambda page: polls(page, "cart") >= 1, PATIENCE)
            patience = Patience(PATIENCE)
            while "memorydb" not in (text := daemon.get("/api/v1/status")[2]) and not patience.is_over:
                time.sleep(0.1)
            assert '"service":"memorydb"' in text.replace(" ", "")
            assert "Amazon MemoryDB" in daemon.get("/?target=cart")[2]
            assert "Amazon MemoryDB" in daemon.get("/")[2]
            assert daemon.json("/health")["targets"]["cart"]["service"] == "memorydb"
