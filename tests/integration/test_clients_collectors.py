"""Clients, command log and latencies, compared with the values that redis-py reads from the server."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = pytest.mark.integration

Start = Callable[..., RealServer]
Watch = Callable[..., Daemon]

SPIN = "local sum = 0 for number = 1, 9000000 do sum = sum + number end return sum"


@pytest.fixture
def shops(server: RealServer) -> Iterator[list[redis.Redis]]:
    """Yield five clients with the name ``cart`` of the user ``shop``, one of them blocked, and one without a name."""
    server.run("ACL", "SETUSER", "shop", "on", "nopass", "~*", "&*", "+@all")
    clients = [
        redis.Redis(port=server.port, username="shop", password="any", client_name="cart", protocol=2) for _ in range(4)
    ]
    blocked = redis.Redis(port=server.port, username="shop", password="any", client_name="cart", protocol=2)
    nameless = redis.Redis(port=server.port, protocol=2)
    for client in (*clients, nameless):
        client.ping()
    waiting = blocked.connection_pool.get_connection()
    waiting.send_command("BLPOP", "queue", 60)
    yield [*clients, blocked, nameless]
    waiting.disconnect()
    for client in (*clients, blocked, nameless):
        client.close()


def listed(server: RealServer, name: str = "cart") -> list[dict[str, str]]:
    """Return the clients with a name, as redis-py reads them from CLIENT LIST."""
    return [client for client in server.admin.client_list() if client["name"] == name]


def samples(page: Page, metric: str, **labels: str) -> list[tuple[dict[str, str], float]]:
    """Return labels and value of the samples of a metric that have these labels. A label may be called ``name``."""
    every = ((dict(all_labels), value) for all_labels, value in page.matching(metric).items())
    return [(all_labels, value) for all_labels, value in every if labels.items() <= all_labels.items()]


def total(page: Page, metric: str) -> float:
    """Return the sum of a metric over all clients with the name ``cart``."""
    return sum(value for _, value in samples(page, metric, name="cart"))


def test_sums_of_clients_equal_the_list_of_the_server(
    server: RealServer, shops: list[redis.Redis], watch: Watch
) -> None:
    daemon = watch(server, collectors=["info", "clients"])

    def agrees(page: Page) -> bool:
        clients = listed(server)
        fields = {"redis_clients_memory_bytes": "tot-mem", "redis_clients_output_buffer_bytes": "omem"}
        return total(page, "redis_clients") == 5 and all(
            total(page, metric) == sum(int(client[field]) for client in clients) for metric, field in fields.items()
        )

    page = daemon.wait_for(agrees)
    ((group, _),) = samples(page, "redis_clients", name="cart")
    client = listed(server)[0]
    assert (group["user"], group["lib_name"]) == ("shop", client.get("lib-name", ""))
    assert group["lib_ver"] == client.get("lib-ver", "")
    assert page.value("redis_clients_with_flag", flag="blocked") == 1
    assert page.value("redis_clients_list_skipped") == 0
    assert page.sum("redis_clients") >= len(shops)
    oldest = max(int(client["age"]) for client in listed(server))
    since_page = time.monotonic() - page.requested_at
    assert oldest - 4 - since_page <= total(page, "redis_clients_age_max_seconds") <= oldest
    assert not page.matching("redis_connected_client_info")


def test_per_client_series_are_published_on_request(server: RealServer, shops: list[redis.Redis], watch: Watch) -> None:
    daemon = watch(server, collectors={"info": {}, "clients": {"per_client": True, "include_port": True}})
    page = daemon.wait_for(lambda page: total(page, "redis_connected_client_info") == 5)
    before = server.admin.time()[0]
    clients = listed(server)
    after = server.admin.time()[0]
    for client in clients:
        host, port = client["addr"].rsplit(":", 1)
        info = {"user": "shop", "host": host, "port": port, "db": "0", "resp": client["resp"], "flags": client["flags"]}
        assert page.value("redis_connected_client_info", id=client["id"], **info) == 1
        labels = {"id": client["id"]}
        assert page.value("redis_connected_client_channel_subscriptions_count", **labels) == int(client["sub"])
        assert page.value("redis_connected_client_output_list_length", **labels) == int(client["oll"])
        created = page.value("redis_connected_client_created_at_timestamp", **labels)
        later = daemon.page().value("redis_connected_client_created_at_timestamp", **labels)
        assert created == later
        assert before - 2 <= (created or 0) + int(client["age"]) <= after + 2


def test_list_of_too_many_clients_is_not_requested(server: RealServer, shops: list[redis.Redis], watch: Watch) -> None:
    daemon = watch(server, collectors={"info": {}, "clients": {"max_clients": 5}})
    page = daemon.wait_for(lambda page: page.value("redis_clients_list_skipped") == 1)
    assert not page.matching("redis_clients")
    assert page.value("redis_collector_success", collector="clients") == 1
    assert "cmdstat_client|list" not in server.admin.info("commandstats")
    assert len(shops) > 5


def test_histograms_have_counts_of_the_server_and_sums_of_commandstats(server: RealServer, watch: Watch) -> None:
    for number in range(300):
        server.run("SET", f"key:{number}", "x" * number)
        server.run("GET", f"key:{number}")
    server.run("GEORADIUS_RO", "none", 1, 1, 1, "m")
    server.run("EVAL", SPIN, 0)
    daemon = watch(server, collectors=["info", "latency_histogram"])
    page = daemon.wait_for(lambda page: page.value("redis_command_latency_seconds_count", cmd="eval"))
    reply: list[Any] = server.run("LATENCY", "HISTOGRAM", "set", "get", "georadius_ro", "eval")
    stats = server.admin.info("commandstats")
    assert len(reply) == 8
    edges: dict[str, set[str]] = {}
    for command, content in zip(reply[::2], reply[1::2], strict=True):
        cmd = command.decode()
        parts = dict(zip(content[::2], content[1::2], strict=True))
        numbers = parts[b"histogram_usec"]
        buckets = page.matching("redis_command_latency_seconds_bucket", cmd=cmd)
        edges[cmd] = {dict(labels)["le"] for labels in buckets}
        longest = max(float(edge) for edge in edges[cmd] - {"+Inf"})
        for edge, count in zip(numbers[::2], numbers[1::2], strict=True):
            if edge / 1e6 > longest:  # on a busy machine a command takes longer
                continue
            assert page.value("redis_command_latency_seconds_bucket", cmd=cmd, le=repr(edge / 1e6)) == count
            assert page.value("redis_commands_latencies_usec_bucket", cmd=cmd, le=str(edge)) == count
        for name, unit in (("redis_command_latency_seconds", 1e6), ("redis_commands_latencies_usec", 1)):
            assert page.value(f"{name}_count", cmd=cmd) == parts[b"calls"]
            assert page.value(f"{name}_bucket", cmd=cmd, le="+Inf") == parts[b"calls"]
            assert page.value(f"{name}_sum", cmd=cmd) == stats[f"cmdstat_{cmd}"]["usec"] / unit
    assert edges["get"] == edges["eval"] == edges["georadius_ro"]


def test_spikes_are_those_that_the_server_recorded(server: RealServer, watch: Watch) -> None:
    server.run("CONFIG", "SET", "latency-monitor-threshold", "5")
    server.run("EVAL", SPIN, 0)
    daemon = watch(server, collectors=["info", "latency"])
    page = daemon.wait_for(lambda page: page.value("redis_latency_spike_last", event_name="command"))
    (name, last, newest, longest, *more), *_ = server.run("LATENCY", "LATEST")
    event = {"event_name": name.decode()}
    assert page.value("redis_latency_spike_last", **event) == last
    assert page.value("redis_latency_spike_duration_seconds", **event) == newest / 1e3
    assert page.value("redis_latency_spike_max_duration_seconds", **event) == longest / 1e3
    assert page.value("redis_latency_spikes_total", **event) == (more[1] if more else None)


def test_command_log_of_valkey_is_published(start_server: Start, watch: Watch) -> None:
    server = start_server("valkey", commandlog_request_larger_than="4096", commandlog_reply_larger_than="65536")
    for number in range(5):
        server.run("SET", f"key:{number}", "x" * 100_000)
    server.run("GET", "key:0")
    server.run("EVAL", SPIN, 0)
    daemon = watch(server, collectors=["info", "commandlog"])
    page = daemon.wait_for(lambda page: page.value("redis_commandlog_slow_length"))
    for log, name in (("slow", "slow"), ("large-request", "large_request"), ("large-reply", "large_reply")):
        length = server.run("COMMANDLOG", "LEN", log)
        assert page.value(f"redis_commandlog_{name}_length") == length > 0
        newest = server.run("COMMANDLOG", "GET", 1, log)[0]
        assert page.value("redis_commandlog_entries_total", log=log) == newest[0] + 1
        if log != "slow":
            assert page.value(f"redis_commandlog_last_{name}_bytes") == newest[2]
    for parameter, value in server.admin.config_get("commandlog-*").items():
        metric = f"redis_{parameter}".replace("-", "_")
        assert page.value(metric) == float(str(value))
    assert page.value("redis_commandlog_execution_slower_than_seconds") == 0.01


def test_command_log_is_never_requested_from_redis(start_server: Start, watch: Watch) -> None:
    server = start_server("redis")
    before = server.admin.info("stats")["total_error_replies"]  # redis-py causes some on an older Redis
    daemon = watch(server, collectors=["info", "clients", "commandlog", "latency", "latency_histogram", "slowlog"])
    page = daemon.wait_for(lambda page: page.operations("latency_histogram") >= 3)
    assert not page.matching("redis_commandlog_slow_length")
    assert server.admin.info("stats")["total_error_replies"] == before
    assert "cmdstat_commandlog" not in str(server.admin.info("commandstats"))
