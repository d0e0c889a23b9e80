"""Faults of servers, of their hosts and of their sets."""

import random

from simulate.cluster import ClusterServer
from simulate.fault import Fault, nothing
from simulate.server import SimulatedServer
from simulate.world import AUTH, CART, QUEUE, World


def _any_server(world: World, rng: random.Random) -> SimulatedServer | None:
    servers = [server for server in world.expected_targets().values() if server is not None]
    servers += [*world.queue.servers, *world.queue.sentinels]
    free = [server for server in dict.fromkeys(servers) if server.state == "running" and not server.host.is_cut]
    free = [server for server in free if not server.is_loading and not server.slow_seconds]
    return rng.choice(free) if free else None


def _record(world: World, server: SimulatedServer) -> None:
    world.record_change(*world.targets_of(server), *_whole_set(world, server))


def _whole_set(world: World, server: SimulatedServer) -> list[str]:
    """Return the targets whose role may change with this server."""
    if isinstance(server, ClusterServer):
        return [f"{CART}/{node.address}" for node in world.cart.nodes]
    return []


def refuse(world: World, rng: random.Random) -> Fault | None:
    """Kill a process, and start it again later."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    server.kill()
    return Fault(server.address, server.start)


def hang(world: World, rng: random.Random) -> Fault | None:
    """Stop a process, and let it go on later."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    server.hang()
    return Fault(server.address, server.resume)


def restart(world: World, rng: random.Random) -> Fault | None:
    """Kill a process, and start it at once."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    server.kill()
    server.start()
    return Fault(server.address, nothing)


def crash_host(world: World, rng: random.Random) -> Fault | None:
    """Let a machine crash and start again. Its clients have half-open connections."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    server.crash_host()
    return Fault(server.address, nothing)


def cut(world: World, rng: random.Random) -> Fault | None:
    """Lose all packets from and to a host."""
    server = _any_server(world, rng)
    if server is None:
        return None
    others = [one for one in (*world.queue.servers, *world.queue.sentinels) if one.host is server.host]
    for one in (server, *others):
        _record(world, one)
    world.network.cut(server.host)
    return Fault(server.address, lambda: world.network.heal(server.host))


def slow(world: World, rng: random.Random) -> Fault | None:
    """Let a server take long for each reply."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    _record(world, server)
    server.slow_seconds = rng.choice((0.02, 0.2, 0.9, 3.0))

    def end() -> None:
        server.slow_seconds = 0.0

    return Fault(f"{server.address} {server.slow_seconds:g} s", end)


def reset(world: World, rng: random.Random) -> Fault | None:
    """Let a server close all connections."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    server.drop_connections()
    return Fault(server.address, nothing)


def cut_replies(world: World, rng: random.Random) -> Fault | None:
    """Cut off the next replies in the middle."""
    server = _any_server(world, rng)
    if server is None:
        return None
    server.cut_replies = rng.randint(1, 8)
    for _ in range(server.cut_replies):
        _record(world, server)

    def end() -> None:
        server.cut_replies = 0

    return Fault(f"{server.address} {server.cut_replies} replies", end)


def loading(world: World, rng: random.Random) -> Fault | None:
    """Restart a server, which loads its dataset for a while."""
    server = _any_server(world, rng)
    if server is None:
        return None
    _record(world, server)
    _record(world, server)
    server.kill()
    server.start()
    server.is_loading = True

    def end() -> None:
        server.is_loading = False

    return Fault(server.address, end)


def password(world: World, rng: random.Random) -> Fault | None:
    """Change the password on the server, and later in the file."""
    server = world.servers[AUTH]
    world.record_change(AUTH, AUTH)
    server.password = f"password-{rng.randrange(10**6)}"
    server.drop_connections()

    def end() -> None:
        world.password = server.password
        world.write(world.folder / "password", world.password)

    return Fault(AUTH, end)


def failover(world: World, rng: random.Random) -> Fault | None:  # noqa: ARG001  # the signature of a fault
    """Let the Sentinels promote a replica."""
    world.record_change(*[f"{QUEUE}/{member}" for member in ("master", "replica-1", "replica-2")])
    return Fault(QUEUE, nothing) if world.queue.failover() else None


def cluster_failover(world: World, rng: random.Random) -> Fault | None:
    """Promote a replica of the cluster."""
    world.record_change(*[f"{CART}/{node.address}" for node in world.cart.nodes])
    return Fault(CART, nothing) if world.cart.fail_over(rng.choice(world.cart.masters())) else None


def migrate_slots(world: World, rng: random.Random) -> Fault | None:
    """Move slots from one master of the cluster to another."""
    world.record_change()
    world.cart.move_slots(rng.randint(1, 500))
    return Fault(CART, nothing)


def remove_node(world: World, rng: random.Random) -> Fault | None:
    """Remove a replica from the cluster, and let one join later."""
    replicas = [node for node in world.cart.nodes if node.master is not None and node.state == "running"]
    replicas = [node for node in replicas if not node.host.is_cut and node.address not in world.cart_seeds]
    if not replicas:
        return None
    node = rng.choice(replicas)
    name = f"{CART}/{node.address}"
    world.record_change(name)
    world.removed.add(name)
    world.cart.remove(node)

    def end() -> None:
        world.record_change(name)
        world.cart.add_replica(node.host.address)
        world.permit()

    return Fault(name, end)
