"""A daemon follows real clusters from one seed: nodes are added, removed, fail, and take over."""

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

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NODES, SLOTS = "redis_cluster_topology_nodes", "redis_cluster_topology_slots"
CHANGES, DISAGREE = "redis_cluster_topology_changes_total", "redis_cluster_topology_disagreeing_nodes"
REPLICAS = "redis_cluster_topology_shard_replicas"
PASSWORD = "correct-horse-battery"
FAST: dict[str, Any] = {"interval": "300ms"}


@pytest.fixture(scope="module")
def module_stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def cluster(module_stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> RealCluster:
    """Three masters with one replica each, for all tests; each test leaves the cluster healthy."""
    return RealCluster(tmp_path_factory.mktemp("cluster"), "valkey", module_stack)


def config(seed: RealServer, **options: Any) -> dict[str, Any]:
    target = {"name": "cart", "url": seed.url, "labels": {"team": "web"}, "cluster": {**FAST, **options}}
    return {"targets": [target]}


@pytest.fixture(scope="module")
def daemon(cluster: RealCluster, module_stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """One daemon for all tests, which follows the cluster from its first node."""
    return module_stack.enter_context(Daemon(tmp_path_factory.mktemp("daemon"), config=config(cluster.nodes[0])))


def targets(page: Page) -> set[str]:
    return {dict(labels)["target"] for labels in page.matching("redis_up")}


def names_of_all(cluster: RealCluster, host: str = "127.0.0.1") -> set[str]:
    return {f"cart/{host}:{node.port}" for node in cluster.nodes}


def target_name(node: RealServer) -> str:
    return f"cart/{node.address}"


def is_healthy(cluster: RealCluster, page: Page, host: str = "127.0.0.1") -> bool:
    """Return whether all nodes are targets and up, and the cluster is healthy."""
    ups = page.matching("redis_up")
    return (
        targets(page) == names_of_all(cluster, host)
        and set(ups.values()) == {1.0}
        and page.sum(NODES) == page.sum(NODES, state="ok") == len(cluster.nodes)
        and page.value(SLOTS, state="covered") == 16384
        and page.value(DISAGREE) == 0
    )


def changes(before: Page, after: Page, kind: str) -> float:
    return (after.value(CHANGES, change=kind) or 0) - (before.value(CHANGES, change=kind) or 0)


def has_changed(before: Page, kind: str, count: int) -> Callable[[Page], bool]:
    """Return a condition: ``count`` changes have been counted since ``before``, and all nodes agree."""
    return lambda page: changes(before, page, kind) == count and page.value(DISAGREE) == 0


def refreshes(page: Page) -> float:
    return page.value("redis_exporter_discovery_refreshes_total", kind="cluster") or 0


def has_refreshed(since: Page, times: int = 3) -> Callable[[Page], bool]:
    """Return a condition: the source has had ``times`` refreshes since then."""
    return lambda page: refreshes(page) >= refreshes(since) + times


def test_keys_are_counted_on_primaries_unless_roles_is_all(cluster: RealCluster, tmp_path: Path) -> None:
    """A replica has the keys of its primary. The sum must be the number of keys in the cluster."""
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


def test_one_seed_leads_to_all_nodes(cluster: RealCluster, daemon: Daemon) -> None:
    page = daemon.wait_for(lambda page: is_healthy(cluster, page))
    assert page.value(NODES, role="master", state="ok") == 3
    assert page.value(NODES, role="replica", state="ok") == 3
    assert page.sum(SLOTS) == 16384
    assert {dict(labels)["shard"]: value for labels, value in page.matching(REPLICAS).items()} == {
        "0": 1,
        "5461": 1,
        "10922": 1,
    }
    for node in cluster.nodes:
        info = {"target": target_name(node), "address": node.address, "cluster": "cart", "team": "web"}
        assert page.value("redis_target_info", **info) == 1
    assert page.value("redis_exporter_discovery_targets", kind="cluster", source="cart") == 6


def test_added_and_forgotten_node_is_added_and_removed(cluster: RealCluster, daemon: Daemon) -> None:
    before = daemon.wait_for(lambda page: is_healthy(cluster, page))
    new = cluster.start_node()
    cluster.introduce(new)
    with_new = daemon.wait_for(lambda page: is_healthy(cluster, page))
    assert target_name(new) in targets(with_new)
    assert changes(before, with_new, "node_added") == 1
    cluster.nodes.remove(new)
    node_id = cluster.id(new)
    new.run("CLUSTER", "RESET", "HARD")
    cluster.on_all("CLUSTER", "FORGET", node_id)
    # A page may be built while the target goes, and still contain a part of it.
    after = daemon.wait_for(lambda page: is_healthy(cluster, page) and target_name(new) not in page.text)
    assert changes(before, after, "node_removed") == 1
    assert changes(before, after, "slots") == changes(before, after, "role") == 0
    new.kill()


def test_resharded_slot_is_counted(cluster: RealCluster, daemon: Daemon) -> None:
    one, two = cluster.nodes[:2]
    before = daemon.wait_for(lambda page: is_healthy(cluster, page))
    for moves, (owner, other) in enumerate(((two, one), (one, two)), 1):
        owner.run("CLUSTER", "SETSLOT", 100, "IMPORTING", cluster.id(other))
        other.run("CLUSTER", "SETSLOT", 100, "MIGRATING", cluster.id(owner))
        for node in (owner, other):
            node.run("CLUSTER", "SETSLOT", 100, "NODE", cluster.id(owner))
        after = daemon.wait_for(has_changed(before, "slots", moves))
        assert after.value(SLOTS, state="covered") == 16384
        cluster.settle()
    assert changes(before, after, "role") == changes(before, after, "node_added") == 0


def test_manual_failover_changes_two_roles_and_interrupts_no_probe(cluster: RealCluster, daemon: Daemon) -> None:
    master, replica = cluster.nodes[1], cluster.nodes[4]
    before = daemon.wait_for(lambda page: is_healthy(cluster, page))
    for failovers, new in enumerate((replica, master), 1):
        new.run("CLUSTER", "FAILOVER")
        after = daemon.wait_for(has_changed(before, "role", 2 * failovers))
        assert changes(before, after, "slots") == 0, "the slots stay in their shard"
        assert changes(before, after, "node_added") == changes(before, after, "node_removed") == 0
        cluster.settle()
    assert changes(before, after, "address") == 0
    daemon.assert_every_ping_counted(before, target_name(master))


def test_dead_shard_is_failing_and_stays_watched(cluster: RealCluster, daemon: Daemon) -> None:
    dead = cluster.nodes[2], cluster.nodes[5]
    before = daemon.wait_for(lambda page: is_healthy(cluster, page))
    with cluster.without(*dead):
        page = daemon.wait_for(lambda page: page.sum(NODES, state="fail") == 2)
        assert page.value(SLOTS, state="failing") == 5462
        assert page.sum(SLOTS) == 16384
        assert page.value(REPLICAS, shard="10922") == 0
        assert page.value(DISAGREE) == 0, "a node without a reply does not disagree"
        assert targets(page) == names_of_all(cluster)
        assert {name for name in targets(page) if page.up(name) == 0} == {target_name(node) for node in dead}
    daemon.wait_for(lambda page: is_healthy(cluster, page))
    daemon.assert_every_ping_counted(before, target_name(dead[0]))


def test_reload_while_the_seed_is_dead_keeps_all_targets(cluster: RealCluster, daemon: Daemon) -> None:
    """The targets stay, whether the settings of the cluster change or not. A replica takes over from the seed."""
    seed, successor = cluster.nodes[0], cluster.nodes[3]
    before = daemon.wait_for(lambda page: is_healthy(cluster, page))
    with cluster.without(seed):
        # The nodes still see the dead seed as a master.
        page = daemon.wait_for(
            lambda page: [page.value(NODES, role="master", state=state) for state in ("ok", "fail")] == [3, 1]
        )
        assert changes(before, page, "role") == 1
        for options in ({}, {"interval": "250ms"}):
            daemon.configure(config(seed, **options))
            status, _, text = daemon.get("/-/reload", method="POST")
            assert status == 200, text
            page = daemon.wait_for(has_refreshed(daemon.page()))
            assert page.value(NODES, role="master", state="ok") == 3
            assert targets(page) == names_of_all(cluster)
            assert page.up(target_name(seed)) == 0
        daemon.assert_every_ping_counted(before, target_name(successor))
    daemon.wait_for(lambda page: is_healthy(cluster, page))
    seed.run("CLUSTER", "FAILOVER")
    until(lambda: cluster.seen_by(successor)[successor.address].role == "replica", "the seed is master again")
    cluster.settle()


def test_documented_acl_of_the_user_is_sufficient_and_minimal(
    cluster: RealCluster, start_daemon: Any, secured: dict[str, Any]
) -> None:
    """The user has the permissions for the default collectors and for clusters, and no others."""
    daemon = start_daemon(config=secured)
    daemon.wait_for(has_refreshed(daemon.wait_for(lambda page: is_healthy(cluster, page))))
    assert denials(cluster) == []
    cluster.on_all("ACL", "SETUSER", acl.USER, "-cluster|shards")
    secured["targets"][0]["cluster"] = {"interval": "200ms"}
    daemon.configure(secured)
    daemon.reload()
    daemon.wait_for(lambda _page: "preferred addresses not known" in daemon.log)
    daemon.wait_for(has_refreshed(daemon.wait_for(lambda page: is_healthy(cluster, page))))
    assert denials(cluster) == ["cluster|shards"], "one node is queried, and once"
    cluster.on_all("ACL", "SETUSER", acl.USER, "-cluster|nodes")
    page = daemon.wait_for(lambda page: page.sum("redis_exporter_discovery_failures_total") > 0)
    assert targets(page) == names_of_all(cluster), "the known targets stay"
    assert "cluster|nodes" in daemon.log
    assert PASSWORD not in daemon.log + page.text


def test_announced_host_names_are_used_if_allowed(
    cluster: RealCluster, start_daemon: Any, secured: dict[str, Any]
) -> None:
    """The host that is not allowed is the node itself under another name. A connection to it would be visible."""
    seed = cluster.nodes[2]
    with announcing(cluster, "localhost"):
        seed.run("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        daemon = start_daemon(config=config(seed))
        daemon.wait_for(lambda page: is_healthy(cluster, page, "localhost"))
        daemon.configure(config(seed, prefer="ip"))
        daemon.reload()
        # No series of the old names is left.
        daemon.wait_for(lambda page: is_healthy(cluster, page) and 'target="cart/localhost:' not in page.text)
        daemon.configure(secured | {"discovery": {"allow": ["10.0.0.0/8"]}})
        daemon.reload()
        page = daemon.wait_for(
            lambda page: page.sum("redis_exporter_discovery_refused_total", reason="not_allowed") > 12
        )
        assert targets(page) == set()
        assert page.value(SLOTS, state="covered") == 16384, "the seed is in the configuration, and reports all nodes"
        users = [{connection["user"] for connection in node.admin.client_list()} for node in cluster.nodes]
        assert [acl.USER in names for names in users] == [node is cluster.nodes[0] for node in cluster.nodes]


def test_reset_node_disagrees_and_removes_no_target(cluster: RealCluster, daemon: Daemon) -> None:
    """The node sees itself alone until it joins again. The other nodes still see it."""
    lost, master = cluster.nodes[5], cluster.nodes[2]
    daemon.wait_for(lambda page: is_healthy(cluster, page))
    lost.run("CLUSTER", "RESET", "SOFT")
    page = daemon.wait_for(lambda page: page.value(DISAGREE) == 1)
    page = daemon.wait_for(has_refreshed(page))
    assert targets(page) == names_of_all(cluster)
    assert page.value(SLOTS, state="covered") == 16384
    assert page.value(DISAGREE) == 1
    events = [line for line in daemon.log.splitlines() if "nodes see another topology than most" in line]
    assert any(lost.address in line for line in events)
    cluster.introduce(lost)
    until(lambda: len(cluster.seen_by(lost)) == len(cluster.nodes), "the node knows all nodes again")
    lost.run("CLUSTER", "REPLICATE", cluster.id(master))
    cluster.settle()
    daemon.wait_for(lambda page: is_healthy(cluster, page))


def test_cluster_with_tls_is_followed_at_its_tls_ports(start_daemon: Any, stack: ExitStack, tmp_path: Path) -> None:
    """Each node has a plain port too. A client with TLS receives TLS ports, and must stay there."""
    files = certificates(tmp_path)
    plain_ports: list[int] = []

    def plain_port() -> str:
        plain_ports.append(free_port())
        return str(plain_ports[-1])

    cluster = RealCluster(
        tmp_path, "redis", stack, replicas=0, tls=lambda: files, port=plain_port, tls_cluster="yes", masters=3
    )
    over_tls = config(cluster.nodes[0])
    over_tls["targets"][0]["tls"] = {"ca_file": str(files[2])}
    daemon = start_daemon(config=over_tls)
    page = daemon.wait_for(lambda page: is_healthy(cluster, page))
    assert page.sum("redis_tls_connections_accepted_total") >= 0
    over_plain = config(cluster.nodes[0])
    over_plain["targets"][0]["url"] = f"redis://127.0.0.1:{plain_ports[0]}"
    daemon.configure(over_plain)
    daemon.reload()
    daemon.wait_for(lambda page: targets(page) == {f"cart/127.0.0.1:{port}" for port in plain_ports})


@pytest.fixture
def secured(cluster: RealCluster) -> Iterator[dict[str, Any]]:
    """A configuration with a user that has only the permissions in docs/acl.md."""
    default = [one for one in collectors.load().values() if one.default]
    lines = (
        acl.line(default, groups=["Valkey 8.1 or later", "Valkey 9.0 or later"], password=PASSWORD),
        acl.source_addition("cluster"),
    )
    for node in cluster.nodes:
        for line in lines:
            node.run(*line.split())
        node.run("ACL", "SETUSER", acl.USER, "+client|setinfo")  # optional: it only reports the name of the library
        node.run("ACL", "LOG", "RESET")
    settings = config(cluster.nodes[0])
    settings["targets"][0] |= {"username": acl.USER, "password": PASSWORD}
    yield settings
    cluster.on_all("ACL", "DELUSER", acl.USER)
    cluster.on_all("ACL", "LOG", "RESET")


@contextmanager
def announcing(cluster: RealCluster, name: str) -> Iterator[None]:
    """Make all nodes announce ``name``; wait until all nodes know it, and reset it at the end."""

    def is_known() -> bool:
        return {one.hostname for node in cluster.nodes for one in cluster.seen_by(node).values()} == {name}

    cluster.on_all("CONFIG", "SET", "cluster-announce-hostname", name)
    until(is_known, "all nodes know the name")
    yield
    cluster.on_all("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")
    cluster.on_all("CONFIG", "SET", "cluster-announce-hostname", "")


def denials(cluster: RealCluster) -> list[str]:
    """Return what the nodes have denied since the user was created."""
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
