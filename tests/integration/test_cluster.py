"""Real clusters, followed from one seed: nodes that come, go, fail and take over, as the daemon's page shows them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from redis.exceptions import ResponseError

from redis_pulse import collectors
from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.real_cluster import RealCluster, until
from tests.integration.servers import RealServer, free_port
from tools import acl

pytestmark = pytest.mark.integration

NODES, SLOTS = "redis_cluster_topology_nodes", "redis_cluster_topology_slots"
CHANGES, DISAGREE = "redis_cluster_topology_changes_total", "redis_cluster_topology_disagreeing_nodes"
REPLICAS = "redis_cluster_topology_shard_replicas"
PASSWORD = "correct-horse-battery"
LOOK: dict[str, Any] = {"interval": "300ms"}


@pytest.fixture(scope="module")
def lasting() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def cluster(lasting: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> RealCluster:
    """Three masters with a replica each, for all tests; each leaves it in order."""
    return RealCluster(tmp_path_factory.mktemp("cluster"), "valkey", lasting)


def config(seed: RealServer, **options: Any) -> dict[str, Any]:
    target = {"name": "cart", "url": seed.url, "labels": {"team": "web"}, "cluster": {**LOOK, **options}}
    return {"targets": [target]}


@pytest.fixture(scope="module")
def daemon(cluster: RealCluster, lasting: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """One daemon that follows the cluster through all of it, from its first node on."""
    return lasting.enter_context(Daemon(tmp_path_factory.mktemp("daemon"), config=config(cluster.nodes[0])))


def targets(page: Page) -> set[str]:
    return {dict(labels)["target"] for labels in page.matching("redis_up")}


def named(cluster: RealCluster, host: str = "127.0.0.1") -> set[str]:
    return {f"cart/{host}:{node.port}" for node in cluster.nodes}


def of(node: RealServer) -> str:
    return f"cart/{node.address}"


def is_well(cluster: RealCluster, page: Page, host: str = "127.0.0.1") -> bool:
    """Every node is watched and up, and the whole of the cluster is in order."""
    ups = page.matching("redis_up")
    return (
        targets(page) == named(cluster, host)
        and set(ups.values()) == {1.0}
        and page.sum(NODES) == page.sum(NODES, state="ok") == len(cluster.nodes)
        and page.value(SLOTS, state="covered") == 16384
        and page.value(DISAGREE) == 0
    )


def change(before: Page, after: Page, kind: str) -> float:
    return (after.value(CHANGES, change=kind) or 0) - (before.value(CHANGES, change=kind) or 0)


def changed(before: Page, kind: str, count: int) -> Callable[[Page], bool]:
    """Whether so many changes were counted since, and all nodes know of them."""
    return lambda page: change(before, page, kind) == count and page.value(DISAGREE) == 0


def refreshes(page: Page) -> float:
    return page.value("redis_exporter_discovery_refreshes_total", kind="cluster") or 0


def asked_again(since: Page, times: int = 3) -> Callable[[Page], bool]:
    return lambda page: refreshes(page) >= refreshes(since) + times


def test_keys_are_counted_on_primaries_alone_unless_roles_says_otherwise(cluster: RealCluster, tmp_path: Path) -> None:
    """A replica has the keys of its primary: their sum must be that of the cluster."""
    for number in range(12):
        for node in cluster.nodes:
            with suppress(ResponseError):  # MOVED: another node has the slot
                node.run("SET", f"user:{number}", "x")
                break
    options = {"key_counts": {"patterns": ["user:*"]}, "info": {}}
    counted: dict[str, float] = {}
    for roles, sum_of_all in (("auto", 12.0), ("all", 24.0)):
        chosen = {**options, "key_counts": {"patterns": ["user:*"], "roles": roles}}
        with Daemon(tmp_path / roles, config={**config(cluster.nodes[0]), "collectors": chosen}) as daemon:
            page = daemon.wait_for(lambda page, wanted=sum_of_all: page.sum("redis_keys_count") == wanted)  # type: ignore[misc]
            counted[roles] = page.sum("redis_keys_count")
    assert counted == {"auto": 12.0, "all": 24.0}
    for node in cluster.nodes[:3]:
        node.run("FLUSHALL")


def test_from_one_seed_every_node_is_watched(cluster: RealCluster, daemon: Daemon) -> None:
    page = daemon.wait_for(lambda page: is_well(cluster, page))
    assert page.value(NODES, role="master", state="ok") == 3
    assert page.value(NODES, role="replica", state="ok") == 3
    assert page.sum(SLOTS) == 16384
    assert {dict(labels)["shard"]: value for labels, value in page.matching(REPLICAS).items()} == {
        "0": 1,
        "5461": 1,
        "10922": 1,
    }
    for node in cluster.nodes:
        info = {"target": of(node), "address": node.address, "cluster": "cart", "team": "web"}
        assert page.value("redis_target_info", **info) == 1
    assert page.value("redis_exporter_discovery_targets", kind="cluster", source="cart") == 6


def test_a_node_that_is_added_and_forgotten_comes_and_goes(cluster: RealCluster, daemon: Daemon) -> None:
    before = daemon.wait_for(lambda page: is_well(cluster, page))
    new = cluster.start_node()
    cluster.introduce(new)
    there = daemon.wait_for(lambda page: is_well(cluster, page))
    assert of(new) in targets(there)
    assert change(before, there, "node_added") == 1
    cluster.nodes.remove(new)
    identity = cluster.id(new)
    new.run("CLUSTER", "RESET", "HARD")
    cluster.on_all("CLUSTER", "FORGET", identity)
    after = daemon.wait_for(lambda page: is_well(cluster, page))
    assert change(before, after, "node_removed") == 1
    assert of(new) not in after.text
    assert change(before, after, "slots") == change(before, after, "role") == 0
    new.kill()


def test_a_slot_that_is_resharded_is_counted(cluster: RealCluster, daemon: Daemon) -> None:
    one, two = cluster.nodes[:2]
    before = daemon.wait_for(lambda page: is_well(cluster, page))
    for moves, (owner, other) in enumerate(((two, one), (one, two)), 1):
        owner.run("CLUSTER", "SETSLOT", 100, "IMPORTING", cluster.id(other))
        other.run("CLUSTER", "SETSLOT", 100, "MIGRATING", cluster.id(owner))
        for node in (owner, other):
            node.run("CLUSTER", "SETSLOT", 100, "NODE", cluster.id(owner))
        after = daemon.wait_for(changed(before, "slots", moves))
        assert after.value(SLOTS, state="covered") == 16384
        cluster.settle()
    assert change(before, after, "role") == change(before, after, "node_added") == 0


def test_a_failover_by_hand_changes_two_roles_and_interrupts_nothing(cluster: RealCluster, daemon: Daemon) -> None:
    master, replica = cluster.nodes[1], cluster.nodes[4]
    before = daemon.wait_for(lambda page: is_well(cluster, page))
    for failovers, new in enumerate((replica, master), 1):
        new.run("CLUSTER", "FAILOVER")
        after = daemon.wait_for(changed(before, "role", 2 * failovers))
        assert change(before, after, "slots") == 0, "they stay in their shard"
        assert change(before, after, "node_added") == change(before, after, "node_removed") == 0
        cluster.settle()
    assert change(before, after, "address") == 0
    daemon.assert_every_slot_counted(before, of(master))


def test_a_shard_that_dies_is_failing_and_stays_watched(cluster: RealCluster, daemon: Daemon) -> None:
    dead = cluster.nodes[2], cluster.nodes[5]
    before = daemon.wait_for(lambda page: is_well(cluster, page))
    with cluster.without(*dead):
        page = daemon.wait_for(lambda page: page.sum(NODES, state="fail") == 2)
        assert page.value(SLOTS, state="failing") == 5462
        assert page.sum(SLOTS) == 16384
        assert page.value(REPLICAS, shard="10922") == 0
        assert page.value(DISAGREE) == 0, "who does not answer does not disagree"
        assert targets(page) == named(cluster)
        assert {name for name in targets(page) if page.up(name) == 0} == {of(node) for node in dead}
    daemon.wait_for(lambda page: is_well(cluster, page))
    daemon.assert_every_slot_counted(before, of(dead[0]))


def test_the_seed_may_die_and_the_configuration_be_reloaded(cluster: RealCluster, daemon: Daemon) -> None:
    """What was found is not forgotten, whether the cluster's settings are the same or not; a replica takes over."""
    seed, heir = cluster.nodes[0], cluster.nodes[3]
    before = daemon.wait_for(lambda page: is_well(cluster, page))
    with cluster.without(seed):
        # It has not heard yet that it is master no more.
        page = daemon.wait_for(
            lambda page: [page.value(NODES, role="master", state=state) for state in ("ok", "fail")] == [3, 1]
        )
        assert change(before, page, "role") == 1
        for options in ({}, {"interval": "250ms"}):
            daemon.configure(config(seed, **options))
            status, _, text = daemon.get("/-/reload", method="POST")
            assert status == 200, text
            page = daemon.wait_for(asked_again(daemon.page()))
            assert page.value(NODES, role="master", state="ok") == 3
            assert targets(page) == named(cluster)
            assert page.up(of(seed)) == 0
        daemon.assert_every_slot_counted(before, of(heir))
    daemon.wait_for(lambda page: is_well(cluster, page))
    seed.run("CLUSTER", "FAILOVER")
    until(lambda: cluster.seen_by(heir)[heir.address].role == "replica", "the seed is master again")
    cluster.settle()


def test_the_user_of_the_docs_may_do_what_is_needed_and_no_more(
    cluster: RealCluster, start_daemon: Any, secured: dict[str, Any]
) -> None:
    """The line of the default set and what is added for clusters: nothing is denied, and nothing is superfluous."""
    daemon = start_daemon(config=secured)
    daemon.wait_for(asked_again(daemon.wait_for(lambda page: is_well(cluster, page))))
    assert denials(cluster) == []
    cluster.on_all("ACL", "SETUSER", acl.USER, "-cluster|shards")
    secured["targets"][0]["cluster"] = {"interval": "200ms"}
    daemon.configure(secured)
    daemon.reload()
    daemon.wait_for(lambda _page: "preferred addresses not known" in daemon.log)
    daemon.wait_for(asked_again(daemon.wait_for(lambda page: is_well(cluster, page))))
    assert denials(cluster) == ["cluster|shards"], "it is asked of one, and once"
    cluster.on_all("ACL", "SETUSER", acl.USER, "-cluster|nodes")
    page = daemon.wait_for(lambda page: page.sum("redis_exporter_discovery_failures_total") > 0)
    assert targets(page) == named(cluster), "what was known stays"
    assert "cluster|nodes" in daemon.log
    assert PASSWORD not in daemon.log + page.text


def test_nodes_are_reached_at_the_names_that_they_announce_where_that_is_allowed(
    cluster: RealCluster, start_daemon: Any, secured: dict[str, Any]
) -> None:
    """The foreign place is the node's own port under another name here, so that a connection to it can be seen."""
    seed = cluster.nodes[2]
    with announcing(cluster, "localhost"):
        seed.run("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        daemon = start_daemon(config=config(seed))
        daemon.wait_for(lambda page: is_well(cluster, page, "localhost"))
        daemon.configure(config(seed, prefer="ip"))
        daemon.reload()
        # Nothing stays of the names that are gone.
        daemon.wait_for(lambda page: is_well(cluster, page) and 'target="cart/localhost:' not in page.text)
        daemon.configure(secured | {"discovery": {"allow": ["10.0.0.0/8"]}})
        daemon.reload()
        page = daemon.wait_for(lambda page: page.sum("redis_exporter_discovery_refused_total", why="not_allowed") > 12)
        assert targets(page) == set()
        assert page.value(SLOTS, state="covered") == 16384, "the seed, which the configuration names, tells of all"
        users = [{one["user"] for one in node.admin.client_list()} for node in cluster.nodes]
        assert [acl.USER in found for found in users] == [node is cluster.nodes[0] for node in cluster.nodes]


def test_a_node_that_was_reset_disagrees_and_takes_nothing_along(cluster: RealCluster, daemon: Daemon) -> None:
    """It sees itself alone, until somebody introduces it again; the others go on seeing it."""
    lost, master = cluster.nodes[5], cluster.nodes[2]
    daemon.wait_for(lambda page: is_well(cluster, page))
    lost.run("CLUSTER", "RESET", "SOFT")
    page = daemon.wait_for(lambda page: page.value(DISAGREE) == 1)
    page = daemon.wait_for(asked_again(page))
    assert targets(page) == named(cluster)
    assert page.value(SLOTS, state="covered") == 16384
    assert page.value(DISAGREE) == 1
    noted = [line for line in daemon.log.splitlines() if "nodes see another topology than most" in line]
    assert any(lost.address in line for line in noted)
    cluster.introduce(lost)
    until(lambda: len(cluster.seen_by(lost)) == len(cluster.nodes), "it knows all again")
    lost.run("CLUSTER", "REPLICATE", cluster.id(master))
    cluster.settle()
    daemon.wait_for(lambda page: is_well(cluster, page))


def test_a_cluster_that_wants_tls_is_followed_at_its_tls_ports(
    start_daemon: Any, stack: ExitStack, tmp_path: Path
) -> None:
    """Each node has a plain port as well: who comes over TLS is told of TLS ports, and is to stay there."""
    files = certificates(tmp_path)
    plain: list[int] = []

    def one_more() -> str:
        plain.append(free_port())
        return str(plain[-1])

    cluster = RealCluster(
        tmp_path, "redis", stack, replicas=0, tls=lambda: files, port=one_more, tls_cluster="yes", masters=3
    )
    over_tls = config(cluster.nodes[0])
    over_tls["targets"][0]["tls"] = {"ca_file": str(files[2])}
    daemon = start_daemon(config=over_tls)
    page = daemon.wait_for(lambda page: is_well(cluster, page))
    assert page.sum("redis_tls_connections_accepted_total") >= 0
    over_plain = config(cluster.nodes[0])
    over_plain["targets"][0]["url"] = f"redis://127.0.0.1:{plain[0]}"
    daemon.configure(over_plain)
    daemon.reload()
    daemon.wait_for(lambda page: targets(page) == {f"cart/127.0.0.1:{port}" for port in plain})


@pytest.fixture
def secured(cluster: RealCluster) -> Iterator[dict[str, Any]]:
    """A configuration that logs in as a user who may do what docs/acl.md says and nothing else."""
    default = [one for one in collectors.load().values() if one.default]
    lines = acl.line(default, places=["Valkey 8.1 or later"], password=PASSWORD), acl.of_source("cluster")
    for node in cluster.nodes:
        for line in lines:
            node.run(*line.split())
        node.run("ACL", "SETUSER", acl.USER, "+client|setinfo")  # which only names the library, and may be missing
        node.run("ACL", "LOG", "RESET")
    found = config(cluster.nodes[0])
    found["targets"][0] |= {"username": acl.USER, "password": PASSWORD}
    yield found
    cluster.on_all("ACL", "DELUSER", acl.USER)
    cluster.on_all("ACL", "LOG", "RESET")


@contextmanager
def announcing(cluster: RealCluster, name: str) -> Iterator[None]:
    """Let the nodes announce a name, from when all know it, and not any more afterwards."""

    def known() -> bool:
        return {one.hostname for node in cluster.nodes for one in cluster.seen_by(node).values()} == {name}

    cluster.on_all("CONFIG", "SET", "cluster-announce-hostname", name)
    until(known, "all know the name")
    yield
    cluster.on_all("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")
    cluster.on_all("CONFIG", "SET", "cluster-announce-hostname", "")


def denials(cluster: RealCluster) -> list[str]:
    """Return what was denied on all nodes since the user was made."""
    entries = [entry for node in cluster.nodes for entry in node.run("ACL", "LOG")]
    fields = [dict(zip(entry[::2], entry[1::2], strict=True)) for entry in entries]
    return sorted(field[b"object"].decode() for field in fields)


def certificates(folder: Path) -> tuple[Path, Path, Path]:
    ca = trustme.CA()
    paths = (folder / "server.pem", folder / "server.key", folder / "ca.pem")
    issued = ca.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(paths[0])
    issued.private_key_pem.write_to_path(paths[1])
    ca.cert_pem.write_to_path(paths[2])
    return paths
