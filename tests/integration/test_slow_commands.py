"""Slow commands of real servers are counted and logged once, by name and client, and never with an argument."""

from collections.abc import Callable
from contextlib import ExitStack

import pytest
import redis

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

SECRET = "hunter2"
BUSY = "local sum = 0 for number = 1, 5000000 do sum = sum + number end return sum"
UPTIME = "redis_uptime_in_seconds"
TOTAL, SECONDS, BY_CLIENT = (
    "redis_slow_commands_total",
    "redis_slow_command_seconds_total",
    "redis_slow_commands_by_client_total",
)


def client_of(server: RealServer, name: str) -> redis.Redis:
    return redis.Redis(port=server.port, client_name=name, protocol=2)


def is_counting(page: Page) -> bool:
    """Return whether the first poll has ended."""
    return bool(page.matching(TOTAL))


def slow_lines(daemon: Daemon) -> list[str]:
    return [line for line in daemon.log.splitlines() if 'event="slow command"' in line]


def test_slow_commands_are_counted_and_logged_once(software: str, start_server: Start, watch: Watch) -> None:
    server = start_server(software, enable_debug_command="local")
    server.run("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    with client_of(server, "before") as client:
        client.eval(BUSY, 0, SECRET)
    daemon = watch(server, collectors=["info", "slowlog"])
    first = daemon.wait_for(is_counting)
    assert first.value(TOTAL, command="eval") == 0, "older entries do not count"
    assert first.value(TOTAL, command="keys") == 0, "the first KEYS counts in increase()"
    with client_of(server, "cart-worker") as client:
        client.eval(BUSY, 0, SECRET)
        client.execute_command("DEBUG", "SLEEP", "0.05")
    page = daemon.wait_for(lambda page: page.sum(TOTAL) == 2)
    assert page.value(TOTAL, command="eval") == page.value(TOTAL, command="debug") == 1
    assert page.value(BY_CLIENT, client="cart-worker") == 2
    assert page.sum(SECONDS, command="debug") >= 0.05
    polls = page.operations("slowlog")
    later = daemon.wait_for(lambda page: page.operations("slowlog") >= polls + 2)
    assert later.sum(TOTAL) == 2, "an entry counts once"
    lines = slow_lines(daemon)
    assert ["command=eval" in line for line in lines] == [True, False]
    assert all("client=cart-worker" in line and "seconds=" in line for line in lines)
    assert SECRET not in daemon.log + page.text


def test_flood_is_counted_honestly_and_logged_in_a_few_lines(server: RealServer, watch: Watch) -> None:
    """With a threshold of 0 every command is slow. Most are dropped before they are read."""
    server.run("EVAL", BUSY, 0)  # the log must not be empty, or the first new id is unknown
    daemon = watch(server, collectors=["info", "slowlog"])
    daemon.wait_for(is_counting)
    server.run("CONFIG", "SET", "slowlog-log-slower-than", "0")
    with client_of(server, "batch") as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(10_000):
            pipeline.set("key", number)
        pipeline.execute()
    page = daemon.wait_for(lambda page: page.sum(TOTAL) >= 10_000)
    assert page.sum(TOTAL, command="overflow") > 9_000
    assert page.sum(TOTAL) == page.sum(BY_CLIENT)
    newest = server.admin.slowlog_get(1)[0]["id"]
    assert page.sum(TOTAL) <= newest + 1, "nothing is counted twice"
    assert len(slow_lines(daemon)) <= 10
    assert "more slow commands" in daemon.log


def test_restart_makes_no_jump(server: RealServer, watch: Watch) -> None:
    server.run("CONFIG", "SET", "slowlog-log-slower-than", "0")
    for _ in range(50):
        server.run("PING")
    server.run("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    daemon = watch(server, collectors=["info", "slowlog"])
    daemon.wait_for(is_counting)
    server.kill()
    server.start()
    server.run("EVAL", BUSY, 0)

    page = daemon.wait_for(lambda page: page.value("redis_slowlog_length") == 1 and (page.value(UPTIME) or 0) >= 2)
    assert page.sum(TOTAL) <= 1


def test_failover_behind_an_address_makes_no_jump(
    stack: ExitStack, software: str, start_server: Start, start_daemon: Watch
) -> None:
    """The log of the new server is full of older entries with higher ids."""
    first, second = start_server(software), start_server(software)
    first.run("EVAL", BUSY, 0)
    second.run("CONFIG", "SET", "slowlog-log-slower-than", "0")
    for _ in range(300):
        second.run("PING")
    second.run("CONFIG", "SET", "slowlog-log-slower-than", "10000")
    proxy = stack.enter_context(Proxy(first.port, free_port()))
    target = {"name": "it", "url": f"redis://127.0.0.1:{proxy.port}", "collectors": ["info", "slowlog"]}
    daemon = start_daemon(config={"targets": [target]})
    daemon.wait_for(is_counting)
    first.run("EVAL", BUSY, 0)
    daemon.wait_for(lambda page: page.sum(TOTAL) == 1)
    proxy.to_port = second.port
    proxy.reset()
    page = daemon.wait_for(lambda page: (page.value("redis_slowlog_last_id") or 0) >= 300)
    assert page.sum(TOTAL) == 1
    second.run("EVAL", BUSY, 0)
    daemon.wait_for(lambda page: page.value(TOTAL, command="eval") == 2)
    assert daemon.page().sum(TOTAL) == 2
