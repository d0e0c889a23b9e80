"""What each kind of event does. Each is a generator that begins the event, yields, and undoes it."""

import contextlib
import socket
import time
from collections.abc import Callable, Generator

from chaos import resp
from chaos.plan import FOUND, Step
from chaos.servers import Server
from chaos.sets import SLOTS
from chaos.world import ACL_RULES, POOLS, USER, World

Event = Callable[[World, Step], Generator[None, None, None]]
EVENTS: dict[str, Event] = {}

#: Clients that request the page and do not read it.
SLOW_READERS = 20
#: Free descriptors that the event ``descriptors`` leaves to the daemon.
SPARE_DESCRIPTORS = 3


class NotPossibleError(Exception):
    """The event is impossible now, because a server is missing or the machine does not allow it."""


def event(kind: str) -> Callable[[Event], Event]:
    """Register a function for this kind of event."""

    def register(function: Event) -> Event:
        EVENTS[kind] = function
        return function

    return register


@event("kill")
def kill(world: World, step: Step) -> Generator[None, None, None]:
    """Kill a server with SIGKILL, and start it later."""
    server = world.server_of(step.subject)
    world.record_change(*world.targets_at(server))
    server.kill()
    yield
    world.record_change(*world.targets_at(server))
    _start(world, server)


@event("freeze")
def freeze(world: World, step: Step) -> Generator[None, None, None]:
    """Stop a server with SIGSTOP, and let it continue later."""
    server = world.server_of(step.subject)
    world.record_change(*world.targets_at(server))
    server.freeze()
    yield
    world.record_change(*world.targets_at(server))
    server.thaw()


@event("restart")
def restart(world: World, step: Step) -> Generator[None, None, None]:
    """Kill a server and start it immediately. The address stays, and the run_id changes."""
    server = world.server_of(step.subject)
    world.record_change(step.subject)
    server.kill()
    _start(world, server)
    world.record_change(step.subject)
    yield


def _start(world: World, server: Server) -> None:
    server.start()
    if server is world.servers["acl"]:
        server.run("ACL", "SETUSER", USER, *ACL_RULES, f">{world.logins['acl'].password}")


@event("failover")
def failover(world: World, step: Step) -> Generator[None, None, None]:
    """Let another server become master, by a command or because the master is killed or hangs."""
    targets = world.targets_of(step.subject)
    world.record_change(*targets)
    masters = [world.queue.master()] if step.subject == "queue" else world.cart.masters()
    master = masters[step.pick % len(masters)]
    if step.variant != "command":
        # The loss of the master is one change, the promotion of another server is a second one.
        world.record_change(*targets)
        master.kill() if step.variant == "kill" else master.freeze()
    elif step.subject == "queue":
        _run_on_any_sentinel(world, "SENTINEL", "FAILOVER", world.queue.name)
    else:
        replicas = world.cart.replicas()
        _run_if_possible(lambda: replicas[step.pick % len(replicas)].run("CLUSTER", "FAILOVER"))
    yield
    if step.variant != "command":
        world.record_change(*targets)
    master.start() if master.state == "dead" else master.thaw()


def _run_on_any_sentinel(world: World, *command: str) -> None:
    for sentinel in world.queue.sentinels:
        with contextlib.suppress(OSError):
            _run_if_possible(lambda sentinel=sentinel: sentinel.execute(*command))  # type: ignore[misc]
            return


def _run_if_possible(action: Callable[[], object]) -> None:
    try:
        action()
    except (resp.ServerError, IndexError, ZeroDivisionError) as error:
        raise NotPossibleError(str(error)) from None


@event("replica")
def replica(world: World, step: Step) -> Generator[None, None, None]:
    """Kill, stop or restart a replica of a set."""
    targets = world.targets_of(step.subject)
    replicas = world.queue.replicas() if step.subject == "queue" else world.cart.replicas()
    if not replicas:
        raise NotPossibleError("no replica runs")
    server = replicas[step.pick % len(replicas)]
    world.record_change(*targets)
    server.freeze() if step.variant == "freeze" else server.kill()
    if step.variant == "restart":
        server.start()
    yield
    world.record_change(*targets)
    server.thaw() if step.variant == "freeze" else server.start()


@event("sentinel")
def sentinel(world: World, step: Step) -> Generator[None, None, None]:
    """Kill or stop one Sentinel of three."""
    process = world.queue.sentinels[step.pick % 3]
    world.record_change(*world.targets_of("queue"))
    process.kill() if step.variant == "kill" else process.freeze()
    yield
    world.record_change(*world.targets_of("queue"))
    process.thaw() if step.variant == "freeze" else process.start()


@event("reshard")
def reshard(world: World, step: Step) -> Generator[None, None, None]:
    """Move some slots from one master to another, and back."""
    masters = world.cart.masters()
    if len(masters) < 2:
        raise NotPossibleError("only one master runs")
    world.record_change(*world.targets_of("cart"))
    source, destination = masters[step.pick % len(masters)], masters[(step.pick + 1) % len(masters)]
    source_row = next(row for row in world.cart.nodes_seen_by(source).values() if "myself" in row[2])
    first = int(source_row[8].split("-")[0]) if len(source_row) > 8 else SLOTS
    slots = range(first, min(first + 5, SLOTS))
    _run_if_possible(lambda: _move_slots(source, destination, slots))
    yield
    world.record_change(*world.targets_of("cart"))
    with contextlib.suppress(NotPossibleError):
        _run_if_possible(lambda: _move_slots(destination, source, slots))


def _move_slots(source: Server, destination: Server, slots: range) -> None:
    source_id, destination_id = source.run("CLUSTER", "MYID"), destination.run("CLUSTER", "MYID")
    for slot in slots:
        destination.run("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", destination_id)
        for node in (destination, source):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", destination_id)


@event("move")
def move(world: World, step: Step) -> Generator[None, None, None]:
    """Move a target to another server, and later to a third one or back."""
    _move(world, step)
    yield
    _move(world, step)


@event("leave")
def leave(world: World, step: Step) -> Generator[None, None, None]:
    """Stop or kill the server of a target, and then move the target away from it."""
    server = world.server_of(step.subject)
    world.record_change(*world.targets_at(server))
    server.freeze() if step.variant == "freeze" else server.kill()
    time.sleep(step.pick % 30 / 10)
    try:
        _move(world, step)
        yield
    finally:
        # Another target may have moved to this server in the meantime.
        world.record_change(*world.targets_at(server))
        server.thaw() if step.variant == "freeze" else server.start()


def _move(world: World, step: Step) -> None:
    name = f"found-{step.pick % 3}" if step.subject == "found" else step.subject
    used = list(world.server_by_target.values())
    free = [world.servers[spare] for spare in POOLS[name] if world.servers[spare] not in used]
    world.record_change(name)
    world.server_by_target[name] = free[step.pick % len(free)]
    if name in FOUND:
        for file, names in world.files.items():
            if name in names:
                world.write_file(file)
    else:
        world.write_config()
        world.reload()


@event("password")
def password(world: World, step: Step) -> Generator[None, None, None]:
    """Change the password of the server and of the file, with some time between."""
    server = world.servers["auth"]
    world.record_change("auth")
    new_password = f"password-{step.pick}-{step.at}"
    if step.variant == "file first":
        world.write_password("auth", new_password)
    else:
        _set_password(server, new_password)
    yield
    world.record_change("auth")
    if step.variant == "file first":
        _set_password(server, new_password)
    else:
        world.write_password("auth", new_password)


def _set_password(server: Server, new_password: str) -> None:
    server.run("CONFIG", "SET", "requirepass", new_password)
    server.password = server.directives["requirepass"] = new_password
    server.disconnect_clients()


@event("acl")
def acl(world: World, step: Step) -> Generator[None, None, None]:
    """Disable the user, its commands or its password, and restore it later."""
    server = world.servers["acl"]
    world.record_change("acl")
    old_password = world.logins["acl"].password
    rules = {"off": ["off"], "commands": ["-@all", "+ping"], "password": ["resetpass", ">another-password"]}
    server.run("ACL", "SETUSER", USER, *rules[step.variant])
    server.disconnect_clients()
    yield
    world.record_change("acl")
    server.run("ACL", "SETUSER", USER, "reset", *ACL_RULES, f">{old_password}")


@event("certificate")
def certificate(world: World, step: Step) -> Generator[None, None, None]:
    """Rotate the certificate of a server. Clients trust a new authority before the server uses it."""
    servers = [world.servers[name] for name in POOLS["tls"]]
    authority = world.authority
    world.record_change("tls")
    authority.rotate(new_authority=step.variant == "new authority")
    world.reload()
    time.sleep(0.5)
    files = ("tls-cert-file", str(authority.cert_file), "tls-key-file", str(authority.key_file))
    for server in servers:
        if server.state == "running":
            server.run("CONFIG", "SET", *files)
            server.disconnect_clients()
    yield
    world.record_change("tls")
    for server in servers:
        if server.state == "running":
            # A server that hung until now must read the new files. A restarted one did that at its start.
            server.run("CONFIG", "SET", *files)
            server.disconnect_clients()


@event("files")
def files(world: World, step: Step) -> Generator[None, None, None]:
    """Edit a discovery file: remove a target for a while, write half of the file, or rename it."""
    name = sorted(world.files)[step.pick % len(world.files)]
    names = list(world.files[name])
    if step.variant == "half":
        # The daemon must keep the known targets, so no change is recorded.
        world.write_file(name, half=True)
        yield
        world.write_file(name)
        return
    if step.variant == "rename":
        new_name = f"{name[0]}-{step.pick}.yaml"
        world.record_change(*names)
        world.files[new_name] = world.files.pop(name)
        world.removals.update(names)
        world.write_file(new_name)
        (world.folder / "found" / name).unlink()
        yield
        return
    removed = names[step.pick % len(names)] if names else ""
    world.record_change(removed)
    world.removals[removed] += 1
    world.files[name] = [target for target in names if target != removed]
    world.write_file(name)
    yield
    if step.variant == "add" or removed:
        world.record_change(removed)
        world.files[name] = names
        world.write_file(name)


@event("storm")
def storm(world: World, step: Step) -> Generator[None, None, None]:
    """Change the configuration and send SIGHUP twenty times. The last configuration must be active."""
    for number in range(20):
        if step.variant == "labels":
            world.labels = {"team": f"team-{number}"}
            world.record_change("mover")
        elif step.variant == "settings":
            world.mover_settings = {"poll": {"interval": 2.0 + number % 2}}
            world.record_change("mover")
        world.write_config()
        world.reload()
        time.sleep(0.02)
    yield
    world.record_change("mover")
    world.mover_settings = {}
    world.labels = {"team": f"team-{step.pick}"}
    world.write_config()
    world.reload()


@event("slow readers")
def slow_readers(world: World, _step: Step) -> Generator[None, None, None]:
    """Request the page many times, and read no response."""
    world.record_change()
    clients = []
    for _ in range(SLOW_READERS):
        with contextlib.suppress(OSError):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.settimeout(2)
            client.connect(("127.0.0.1", world.daemon.port))
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: it\r\n\r\n" * 3)
            clients.append(client)
    yield
    for client in clients:
        client.close()


@event("descriptors")
def descriptors(world: World, _step: Step) -> Generator[None, None, None]:
    """Lower the limit of descriptors to little more than the daemon uses."""
    world.record_change()
    world.may_skip = True
    daemon = world.daemon
    before = daemon.limit_descriptors(daemon.usage().descriptors + SPARE_DESCRIPTORS)
    yield
    if daemon.is_alive():
        daemon.limit_descriptors(before)


@event("blocked log")
def blocked_log(world: World, _step: Step) -> Generator[None, None, None]:
    """Stop reading the daemon's log, and let it log more than its pipe holds (see ``daemon.PIPE_BYTES``)."""
    world.record_change()
    daemon = world.daemon
    daemon.read_log(on=False)
    for number in range(60):
        world.labels = {"team": f"team-{number}"}
        world.record_change("mover")
        world.write_config()
        world.reload()
        time.sleep(0.03)
    yield
    daemon.read_log(on=True)


@event("clock")
def clock(world: World, step: Step) -> Generator[None, None, None]:
    """Step the daemon's wall clock, and step it back."""
    if world.clock is None:
        raise NotPossibleError("libfaketime is not used")
    world.record_change()
    world.clock.write_text(f"{step.variant}\n")
    yield
    world.clock.write_text("+0\n")


@event("cut")
def cut(world: World, step: Step) -> Generator[None, None, None]:
    """Cut the network of one server."""
    if world.namespace is None:
        raise NotPossibleError(world.unavailable[step.subject])
    world.record_change(step.subject)
    world.namespace.cut(step.variant)
    yield
    world.record_change(step.subject)
    world.namespace.repair()
