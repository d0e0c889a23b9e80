"""Real failovers of a real Sentinel set: names stay, each failover counts once, and its duration is correct."""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from redis_pulse.discovery import DiscoveryError
from tests.discovery.sentinel.fake_sentinels import SentinelSetup
from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.sentinels import Sentinel, SentinelSet, Writer
from tests.integration.servers import RealServer, Software
from tools import acl

pytestmark = [pytest.mark.integration, pytest.mark.slow]

Start = Callable[..., Daemon]
Make = Callable[..., SentinelSet]

PASSWORD = "correct-horse"
SERVERS = ("master", "replica-1", "replica-2")


@pytest.fixture
def make_set(stack: ExitStack, tmp_path: Path) -> Make:
    """Start a set, and wait until its members know each other."""

    def make(software: Software = "redis", **more: Any) -> SentinelSet:
        return stack.enter_context(SentinelSet(tmp_path / "set", software, **more))

    return make


def entry(hosts: list[str], **more: Any) -> dict[str, Any]:
    return {"name": "queue", "sentinel": {"hosts": hosts, "master": "cart", **more}}


def addresses(page: Page) -> dict[str, str]:
    """Return the address of each target by name."""
    series = [dict(labels) for labels in page.matching("redis_target_info", sentinel="queue")]
    return {labels["target"]: labels["address"] for labels in series}


def wait_until_all_up(daemon: Daemon, *names: str) -> Page:
    return daemon.wait_for(lambda page: all(page.up(f"queue/{name}") == 1 for name in names or SERVERS), 30)


def failovers(page: Page) -> float | None:
    return page.value("redis_sentinel_failovers_total", sentinel="queue", master="cart")


@pytest.mark.parametrize(
    ("software", "cause"), [("redis", "command"), ("redis", "kill"), ("redis", "freeze"), ("valkey", "kill")]
)
def test_failover_swaps_two_names_and_has_the_duration_of_a_client(
    make_set: Make, start_daemon: Start, software: Software, cause: str
) -> None:
    """The reference is a client that writes in a loop, and gets the master from the Sentinels."""
    sentinel_set = make_set(software)
    daemon = start_daemon(config={"targets": [entry(sentinel_set.hosts)]})
    before = wait_until_all_up(daemon)
    old_addresses = addresses(before)
    assert failovers(before) == 0
    assert before.value("redis_sentinel_quorum_ok", sentinel="queue", master="cart") == 1
    assert before.value("redis_sentinel_disagreeing", sentinel="queue", master="cart") == 0
    daemon.wait_for(lambda page: page.sum("redis_sentinel_watch_up", sentinel="queue") == 3)
    pings = {name: before.operations("ping", f"queue/{name}") for name in SERVERS}
    old = sentinel_set.server_at(old_addresses["queue/master"])
    with Writer([one.port for one in sentinel_set.sentinels]) as writer:
        while writer.written < 20:
            time.sleep(0.01)
        if cause == "command":
            sentinel_set.sentinels[0].run("SENTINEL", "FAILOVER", "cart")
        elif cause == "kill":
            old.kill()
        else:
            old.freeze()
        daemon.reload()
        daemon.wait_for(lambda page: page.value("redis_sentinel_last_failover_seconds") is not None, 30)
        page = wait_until_all_up(daemon, "master")
        written = writer.written
        while writer.written < written + 20:
            time.sleep(0.01)
    new_addresses = addresses(page)
    duration = page.value("redis_sentinel_last_failover_seconds", sentinel="queue", master="cart")
    missing = page.value("redis_sentinel_master_missing_seconds_total", sentinel="queue", master="cart")
    assert duration is not None
    assert missing is not None
    assert missing >= duration - 0.001
    assert new_addresses.keys() == old_addresses.keys()
    assert page.operations("ping", "queue/master") > pings["master"]  # the counters continue
    if sentinel_set.failovers == 1:  # on a busy machine the new master may be considered down, too
        assert failovers(page) == 1
        assert new_addresses["queue/master"] != old_addresses["queue/master"]
        moved = [name for name in old_addresses if new_addresses[name] != old_addresses[name]]
        assert len(moved) == 2
        assert {new_addresses[name] for name in moved} == {old_addresses[name] for name in moved}
        assert abs(duration - writer.max_gap) < max(1.5, 0.5 * writer.max_gap), (duration, writer.max_gap)
    if cause == "kill":
        old.start()
    elif cause == "freeze":
        old.thaw()
    last = wait_until_all_up(daemon)
    if sentinel_set.failovers == 1:
        assert addresses(last) == new_addresses
    daemon.wait_for(lambda page: failovers(page) == sentinel_set.failovers, 5)
    assert "configuration taken over" in daemon.log


def test_losing_all_sentinels_one_by_one_keeps_all_targets(make_set: Make, start_daemon: Start) -> None:
    """The first configured Sentinel is lost first. The third one is not configured, and is found."""
    sentinel_set = make_set()
    first, second, third = sentinel_set.sentinels
    config = {"targets": [entry([first.address, second.address], interval="500ms")]}
    daemon = start_daemon(config=config)
    before = addresses(wait_until_all_up(daemon))
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=third.address) == 1)

    first.kill()
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=first.address) == 0)
    daemon.configure(
        {**config, "targets": [*config["targets"], {"name": "other", "url": sentinel_set.servers[0].url + "/1"}]}
    )
    daemon.reload()
    page = wait_until_all_up(daemon)
    assert addresses(page) == before

    second.freeze()
    page = daemon.wait_for(lambda page: page.value("redis_sentinel_quorum_ok", master="cart") == 0, 20)
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=second.address) == 0, 20)
    third.kill()
    page = daemon.wait_for(
        lambda page: (page.value("redis_exporter_discovery_failures_total", kind="sentinel", source="queue") or 0) > 1,
        20,
    )
    assert page.value("redis_sentinel_watch_up", address=third.address) == 0
    assert addresses(page) == before
    assert all(page.up(name) == 1 for name in before)

    for one in (second, third):
        one.kill()
        one.start()
    daemon.wait_for(lambda page: page.value("redis_sentinel_quorum_ok", master="cart") == 1, 20)
    page = wait_until_all_up(daemon)
    assert addresses(page) == before
    assert failovers(page) == 0


def test_documented_acl_of_the_user_is_sufficient_and_minimal(make_set: Make, start_daemon: Start) -> None:
    """Without the permission for SUBSCRIBE, the queries alone find a failover."""
    sentinel_set = make_set()
    line = acl.discovery_line(PASSWORD)
    for one in sentinel_set.sentinels:
        one.run(*line.split())
    credentials = {"username": acl.USER, "password": PASSWORD}
    daemon = start_daemon(config={"targets": [entry(sentinel_set.hosts, interval="500ms", **credentials)]})
    wait_until_all_up(daemon)
    daemon.wait_for(lambda _: daemon.log.count('"listening to a Sentinel"') == 3)
    sentinel_set.sentinels[0].run("SENTINEL", "FAILOVER", "cart")
    page = daemon.wait_for(failovers, 30)
    assert page.value("redis_sentinel_quorum_ok", master="cart") == 1
    assert [one.run("ACL", "LOG") for one in sentinel_set.sentinels] == [[], [], []]

    superfluous = []
    one = sentinel_set.sentinels[0]
    for word in [word for word in line.split() if word[0] in "+&" and word != "+ping"]:
        less = line.replace(f" {word}", "", 1).replace(" reset ", " reset resetchannels ")
        one.run(*less.split())
        one.run("ACL", "LOG", "RESET")
        asyncio.run(query_once(one, **credentials))
        if not one.run("ACL", "LOG"):
            superfluous.append(word)
    assert superfluous == []

    for one in sentinel_set.sentinels:
        one.run(*line.split(), "-subscribe")
        one.run("CLIENT", "KILL", "TYPE", "pubsub")
    daemon.wait_for(lambda _: daemon.log.count('"not listening to a Sentinel"') >= 3)
    time.sleep(2.5)  # twice failover-timeout: a Sentinel starts no second failover before
    before = failovers(daemon.page()) or 0
    sentinel_set.sentinels[0].run("SENTINEL", "FAILOVER", "cart")
    daemon.wait_for(lambda page: (failovers(page) or 0) > before, 30)


async def query_once(sentinel: Sentinel, **credentials: str) -> None:
    """Query a Sentinel and subscribe to it, as the daemon does."""
    setup = SentinelSetup(sentinel.address, allowed=(), credentials=credentials)
    with suppress(DiscoveryError):  # a Sentinel may be useless without this command
        await setup.source.refresh()
    for client in setup.source._pool:
        for _ in range(200):
            if client.subscribed is not None:
                break
            await asyncio.sleep(0.01)
    await setup.source.aclose()


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    ca.cert_pem.write_to_path(files[2])
    return files


def test_sentinels_have_their_own_credentials_and_tls(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, certificates: tuple[Path, Path, Path]
) -> None:
    """The servers have another password and no TLS. No secret goes to the wrong server."""
    certificate, key, ca = certificates
    master = stack.enter_context(RealServer(tmp_path / "master", "redis", requirepass="of-the-servers"))
    lines = ["tls-port {port}", f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {ca}"]
    lines += ["tls-auth-clients no", f"requirepass {PASSWORD}"]
    sentinel = Sentinel(tmp_path / "sentinel", "redis", {"cart": master.port, "jobs": master.port}, lines, plain=False)
    stack.callback(sentinel.kill)
    sentinel.start()
    (tmp_path / "password").write_text(PASSWORD + "\n")
    target = {
        "name": "queue",
        "password": "of-the-servers",
        "sentinel": {
            "hosts": f"rediss://{sentinel.address}",
            "master": "cart",
            "sentinels": True,
            "interval": "500ms",
            "password_file": str(tmp_path / "password"),
            "tls": {"ca_file": str(ca)},
        },
    }
    daemon = start_daemon(config={"targets": [target]})
    page = wait_until_all_up(daemon, "master", f"sentinel/{sentinel.address}")
    assert addresses(page) == {"queue/master": master.address, f"queue/sentinel/{sentinel.address}": sentinel.address}
    assert page.value("redis_sentinel_watch_up", address=sentinel.address) == 1
    daemon.wait_for(lambda _: "listening to a Sentinel" in daemon.log)
    for secret in (PASSWORD, "of-the-servers"):
        assert secret not in page.text + daemon.log
    assert yaml.safe_load(daemon.file.read_text())["targets"][0] == target
