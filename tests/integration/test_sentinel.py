"""A real Sentinel set through real failovers: names stay, each is counted once, the time without a master is true."""

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

pytestmark = pytest.mark.integration

Start = Callable[..., Daemon]
Make = Callable[..., SentinelSet]

PASSWORD = "correct-horse"
PLACES = ("master", "replica-1", "replica-2")


@pytest.fixture
def make_set(stack: ExitStack, tmp_path: Path) -> Make:
    """Start a set, and wait until all of it know each other."""

    def make(software: Software = "redis", **more: Any) -> SentinelSet:
        return stack.enter_context(SentinelSet(tmp_path / "set", software, **more))

    return make


def entry(hosts: list[str], **more: Any) -> dict[str, Any]:
    return {"name": "queue", "sentinel": {"hosts": hosts, "master": "cart", **more}}


def places(page: Page) -> dict[str, str]:
    """Return where each target is."""
    rows = [dict(labels) for labels in page.matching("redis_target_info", sentinel="queue")]
    return {row["target"]: row["address"] for row in rows}


def wait_until_all_up(daemon: Daemon, *names: str) -> Page:
    return daemon.wait_for(lambda page: all(page.up(f"queue/{name}") == 1 for name in names or PLACES), 30)


def failovers(page: Page) -> float | None:
    return page.value("redis_sentinel_failovers_total", sentinel="queue", master="cart")


@pytest.mark.parametrize(
    ("software", "how"), [("redis", "command"), ("redis", "kill"), ("redis", "freeze"), ("valkey", "kill")]
)
def test_a_failover_moves_two_names_and_its_time_is_what_a_client_felt(
    make_set: Make, start_daemon: Start, software: Software, how: str
) -> None:
    """A client that writes in a loop and follows the Sentinels by itself is the witness."""
    whole = make_set(software)
    daemon = start_daemon(config={"targets": [entry(whole.hosts)]})
    before = wait_until_all_up(daemon)
    was = places(before)
    assert failovers(before) == 0
    assert before.value("redis_sentinel_quorum_ok", sentinel="queue", master="cart") == 1
    assert before.value("redis_sentinel_disagreeing", sentinel="queue", master="cart") == 0
    daemon.wait_for(lambda page: page.sum("redis_sentinel_watch_up", sentinel="queue") == 3)
    pings = {name: before.slots("ping", f"queue/{name}") for name in PLACES}
    old = whole.server_at(was["queue/master"])
    with Writer([one.port for one in whole.sentinels]) as writer:
        while writer.written < 20:
            time.sleep(0.01)
        if how == "command":
            whole.sentinels[0].ask("SENTINEL", "FAILOVER", "cart")
        elif how == "kill":
            old.kill()
        else:
            old.freeze()
        daemon.reload()
        daemon.wait_for(lambda page: page.value("redis_sentinel_last_failover_seconds") is not None, 30)
        page = wait_until_all_up(daemon, "master")
        written = writer.written
        while writer.written < written + 20:
            time.sleep(0.01)
    now = places(page)
    felt = page.value("redis_sentinel_last_failover_seconds", sentinel="queue", master="cart")
    missing = page.value("redis_sentinel_master_missing_seconds_total", sentinel="queue", master="cart")
    assert felt is not None
    assert missing is not None
    assert missing >= felt - 0.001
    assert now.keys() == was.keys()
    assert page.slots("ping", "queue/master") > pings["master"]  # it went on counting
    if whole.failovers == 1:  # on a busy machine the new master may be taken for down, too
        assert failovers(page) == 1
        assert now["queue/master"] != was["queue/master"]
        moved = [name for name in was if now[name] != was[name]]
        assert len(moved) == 2
        assert {now[name] for name in moved} == {was[name] for name in moved}
        assert abs(felt - writer.longest) < max(1.5, 0.5 * writer.longest), (felt, writer.longest)
    if how == "kill":
        old.start()
    elif how == "freeze":
        old.thaw()
    last = wait_until_all_up(daemon)
    if whole.failovers == 1:
        assert places(last) == now
    daemon.wait_for(lambda page: failovers(page) == whole.failovers, 5)
    assert "configuration taken over" in daemon.log


def test_sentinels_may_go_one_by_one_and_what_was_known_stays(make_set: Make, start_daemon: Start) -> None:
    """The first that is configured goes first; the third is configured nowhere, and found."""
    whole = make_set()
    first, second, third = whole.sentinels
    config = {"targets": [entry([first.address, second.address], interval="500ms")]}
    daemon = start_daemon(config=config)
    before = places(wait_until_all_up(daemon))
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=third.address) == 1)

    first.kill()
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=first.address) == 0)
    daemon.configure({**config, "targets": [*config["targets"], {"name": "other", "url": whole.servers[0].url + "/1"}]})
    daemon.reload()
    page = wait_until_all_up(daemon)
    assert places(page) == before

    second.freeze()
    page = daemon.wait_for(lambda page: page.value("redis_sentinel_quorum_ok", master="cart") == 0, 20)
    daemon.wait_for(lambda page: page.value("redis_sentinel_watch_up", address=second.address) == 0, 20)
    third.kill()
    page = daemon.wait_for(
        lambda page: (page.value("redis_exporter_discovery_failures_total", kind="sentinel", source="queue") or 0) > 1,
        20,
    )
    assert page.value("redis_sentinel_watch_up", address=third.address) == 0
    assert places(page) == before
    assert all(page.up(name) == 1 for name in before)

    for one in (second, third):
        one.kill()
        one.start()
    daemon.wait_for(lambda page: page.value("redis_sentinel_quorum_ok", master="cart") == 1, 20)
    page = wait_until_all_up(daemon)
    assert places(page) == before
    assert failovers(page) == 0


def test_the_user_of_the_docs_may_do_all_that_is_done_and_nothing_more(make_set: Make, start_daemon: Start) -> None:
    """And without SUBSCRIBE, questions alone find the failover."""
    whole = make_set()
    line = acl.discovery_line(PASSWORD)
    for one in whole.sentinels:
        one.ask(*line.split())
    credentials = {"username": acl.USER, "password": PASSWORD}
    daemon = start_daemon(config={"targets": [entry(whole.hosts, interval="500ms", **credentials)]})
    wait_until_all_up(daemon)
    daemon.wait_for(lambda _: daemon.log.count('"listening to a Sentinel"') == 3)
    whole.sentinels[0].ask("SENTINEL", "FAILOVER", "cart")
    page = daemon.wait_for(failovers, 30)
    assert page.value("redis_sentinel_quorum_ok", master="cart") == 1
    assert [one.ask("ACL", "LOG") for one in whole.sentinels] == [[], [], []]

    superfluous = []
    one = whole.sentinels[0]
    for word in [word for word in line.split() if word[0] in "+&" and word != "+ping"]:
        less = line.replace(f" {word}", "", 1).replace(" reset ", " reset resetchannels ")
        one.ask(*less.split())
        one.ask("ACL", "LOG", "RESET")
        asyncio.run(ask_once(one, **credentials))
        if not one.ask("ACL", "LOG"):
            superfluous.append(word)
    assert superfluous == []

    for one in whole.sentinels:
        one.ask(*line.split(), "-subscribe")
        one.ask("CLIENT", "KILL", "TYPE", "pubsub")
    daemon.wait_for(lambda _: daemon.log.count('"not listening to a Sentinel"') >= 3)
    time.sleep(2.5)  # twice failover-timeout: before that a Sentinel fails over no second time
    before = failovers(daemon.page()) or 0
    whole.sentinels[0].ask("SENTINEL", "FAILOVER", "cart")
    daemon.wait_for(lambda page: (failovers(page) or 0) > before, 30)


async def ask_once(one: Sentinel, **credentials: str) -> None:
    """Ask a Sentinel and listen to it, as the daemon does."""
    room = SentinelSetup(one.address, allowed=(), credentials=credentials)
    with suppress(DiscoveryError):  # without this command it may be of no use
        await room.source.refresh()
    for watcher in room.source._pool:
        for _ in range(200):
            if watcher.subscribed is not None:
                break
            await asyncio.sleep(0.01)
    await room.source.aclose()


@pytest.fixture
def certificates(tmp_path: Path) -> tuple[Path, Path, Path]:
    ca = trustme.CA()
    issued = ca.issue_cert("127.0.0.1")
    files = tmp_path / "certificate.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    ca.cert_pem.write_to_path(files[2])
    return files


def test_sentinels_have_credentials_and_tls_of_their_own(
    stack: ExitStack, start_daemon: Start, tmp_path: Path, certificates: tuple[Path, Path, Path]
) -> None:
    """The servers want another password and no TLS; neither secret goes to the other."""
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
    assert places(page) == {"queue/master": master.address, f"queue/sentinel/{sentinel.address}": sentinel.address}
    assert page.value("redis_sentinel_watch_up", address=sentinel.address) == 1
    daemon.wait_for(lambda _: "listening to a Sentinel" in daemon.log)
    for secret in (PASSWORD, "of-the-servers"):
        assert secret not in page.text + daemon.log
    assert yaml.safe_load(daemon.file.read_text())["targets"][0] == target
