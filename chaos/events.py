"""What each kind of event does. A generator begins it, yields, and undoes it when it goes on."""

import contextlib
import socket
import time
from collections.abc import Callable, Generator

from chaos import resp
from chaos.plan import FOUND, Step
from chaos.servers import Server
from chaos.sets import SLOTS
from chaos.world import POOLS, RULES, USER, World

Event = Callable[[World, Step], Generator[None, None, None]]
KINDS: dict[str, Event] = {}

#: Clients that ask for the page and do not read it.
SLOW_READERS = 20
#: Descriptors that the daemon has left when it has few.
SPARE_DESCRIPTORS = 3


class NotPossibleError(Exception):
    """The event cannot be done: its servers are not there, or the machine does not allow it."""


def event(kind: str) -> Callable[[Event], Event]:
    """Enter a function as what this kind of event does."""

    def enter(function: Event) -> Event:
        KINDS[kind] = function
        return function

    return enter


@event("kill")
def kill(world: World, step: Step) -> Generator[None, None, None]:
    """Kill -9, later start again."""
    server = world.server_of(step.on)
    world.changed(*world.targets_at(server))
    server.kill()
    yield
    world.changed(*world.targets_at(server))
    _start(world, server)


@event("freeze")
def freeze(world: World, step: Step) -> Generator[None, None, None]:
    """SIGSTOP, later SIGCONT."""
    server = world.server_of(step.on)
    world.changed(*world.targets_at(server))
    server.freeze()
    yield
    world.changed(*world.targets_at(server))
    server.thaw()


@event("restart")
def restart(world: World, step: Step) -> Generator[None, None, None]:
    """Kill -9 and start at once: the same address, another run_id."""
    server = world.server_of(step.on)
    world.changed(step.on)
    server.kill()
    _start(world, server)
    world.changed(step.on)
    yield


def _start(world: World, server: Server) -> None:
    server.start()
    if server is world.servers["acl"]:
        server.run("ACL", "SETUSER", USER, *RULES, f">{world.logins['acl'].password}")


@event("failover")
def failover(world: World, step: Step) -> Generator[None, None, None]:
    """Let another server become master: by command, or because the master died or hangs."""
    everybody = world.targets_of(step.on)
    world.changed(*everybody)
    masters = [world.queue.master()] if step.on == "queue" else world.cart.masters()
    master = masters[step.pick % len(masters)]
    if step.how != "command":
        # That the master is lost is one change, that another server takes over is the next.
        world.changed(*everybody)
        master.kill() if step.how == "kill" else master.freeze()
    elif step.on == "queue":
        _on_some_sentinel(world, "SENTINEL", "FAILOVER", world.queue.name)
    else:
        replicas = world.cart.replicas()
        _or_not_now(lambda: replicas[step.pick % len(replicas)].run("CLUSTER", "FAILOVER"))
    yield
    if step.how != "command":
        world.changed(*everybody)
    master.start() if master.state == "dead" else master.thaw()


def _on_some_sentinel(world: World, *words: str) -> None:
    for sentinel in world.queue.sentinels:
        with contextlib.suppress(OSError):
            _or_not_now(lambda sentinel=sentinel: sentinel.ask(*words))  # type: ignore[misc]
            return


def _or_not_now(what: Callable[[], object]) -> None:
    try:
        what()
    except (resp.ServerError, IndexError, ZeroDivisionError) as error:
        raise NotPossibleError(str(error)) from None


@event("replica")
def replica(world: World, step: Step) -> Generator[None, None, None]:
    """Lose a replica of a set."""
    everybody = world.targets_of(step.on)
    found = world.queue.replicas() if step.on == "queue" else world.cart.replicas()
    if not found:
        raise NotPossibleError("there is no replica")
    server = found[step.pick % len(found)]
    world.changed(*everybody)
    server.freeze() if step.how == "freeze" else server.kill()
    if step.how == "restart":
        server.start()
    yield
    world.changed(*everybody)
    server.thaw() if step.how == "freeze" else server.start()


@event("sentinel")
def sentinel(world: World, step: Step) -> Generator[None, None, None]:
    """Lose one Sentinel of three."""
    one = world.queue.sentinels[step.pick % 3]
    world.changed(*world.targets_of("queue"))
    one.kill() if step.how == "kill" else one.freeze()
    yield
    world.changed(*world.targets_of("queue"))
    one.thaw() if step.how == "freeze" else one.start()


@event("reshard")
def reshard(world: World, step: Step) -> Generator[None, None, None]:
    """Move some slots from one master to another, and back."""
    masters = world.cart.masters()
    if len(masters) < 2:
        raise NotPossibleError("there is one master only")
    world.changed(*world.targets_of("cart"))
    one, other = masters[step.pick % len(masters)], masters[(step.pick + 1) % len(masters)]
    own = next(row for row in world.cart.seen_by(one).values() if "myself" in row[2])
    first = int(own[8].split("-")[0]) if len(own) > 8 else SLOTS
    slots = range(first, min(first + 5, SLOTS))
    _or_not_now(lambda: _give(one, other, slots))
    yield
    world.changed(*world.targets_of("cart"))
    with contextlib.suppress(NotPossibleError):
        _or_not_now(lambda: _give(other, one, slots))


def _give(giver: Server, taker: Server, slots: range) -> None:
    here, there = giver.run("CLUSTER", "MYID"), taker.run("CLUSTER", "MYID")
    for slot in slots:
        taker.run("CLUSTER", "SETSLOT", slot, "IMPORTING", here)
        giver.run("CLUSTER", "SETSLOT", slot, "MIGRATING", there)
        for node in (taker, giver):
            node.run("CLUSTER", "SETSLOT", slot, "NODE", there)


@event("move")
def move(world: World, step: Step) -> Generator[None, None, None]:
    """Another server is now what a target stands for, and later yet another one."""
    _move(world, step)
    yield
    _move(world, step)


@event("leave")
def leave(world: World, step: Step) -> Generator[None, None, None]:
    """Let the server of a target hang or die, and then move the target away from it."""
    server = world.server_of(step.on)
    world.changed(*world.targets_at(server))
    server.freeze() if step.how == "freeze" else server.kill()
    time.sleep(step.pick % 30 / 10)
    try:
        _move(world, step)
        yield
    finally:
        # Another target may have moved to it meanwhile.
        world.changed(*world.targets_at(server))
        server.thaw() if step.how == "freeze" else server.start()


def _move(world: World, step: Step) -> None:
    name = f"found-{step.pick % 3}" if step.on == "found" else step.on
    busy = list(world.places.values())
    free = [world.servers[one] for one in POOLS[name] if world.servers[one] not in busy]
    world.changed(name)
    world.places[name] = free[step.pick % len(free)]
    if name in FOUND:
        for file, names in world.files.items():
            if name in names:
                world.write_file(file)
    else:
        world.write_config()
        world.reload()


@event("password")
def password(world: World, step: Step) -> Generator[None, None, None]:
    """Change the password of the server and that in the file, with some time between."""
    server = world.servers["auth"]
    world.changed("auth")
    fresh = f"password-{step.pick}-{step.at}"
    first, second = _set_password, world.write_password
    if step.how == "file first":
        second("auth", fresh)
    else:
        first(server, fresh)
    yield
    world.changed("auth")
    if step.how == "file first":
        first(server, fresh)
    else:
        second("auth", fresh)


def _set_password(server: Server, fresh: str) -> None:
    server.run("CONFIG", "SET", "requirepass", fresh)
    server.password = server.directives["requirepass"] = fresh
    server.hang_up()


@event("acl")
def acl(world: World, step: Step) -> Generator[None, None, None]:
    """Take something from the user, and give it back."""
    server = world.servers["acl"]
    world.changed("acl")
    old = world.logins["acl"].password
    rules = {"off": ["off"], "commands": ["-@all", "+ping"], "password": ["resetpass", ">another-password"]}[step.how]
    server.run("ACL", "SETUSER", USER, *rules)
    server.hang_up()
    yield
    world.changed("acl")
    server.run("ACL", "SETUSER", USER, "reset", *RULES, f">{old}")


@event("certificate")
def certificate(world: World, step: Step) -> Generator[None, None, None]:
    """Rotate the certificate of the server; clients trust the authority before it is used."""
    servers = [world.servers[name] for name in POOLS["tls"]]
    authority = world.authority
    world.changed("tls")
    authority.rotate(new_authority=step.how == "new authority")
    world.reload()
    time.sleep(0.5)
    files = ("tls-cert-file", str(authority.cert_file), "tls-key-file", str(authority.key_file))
    for server in servers:
        if server.state == "running":
            server.run("CONFIG", "SET", *files)
            server.hang_up()
    yield
    world.changed("tls")
    for server in servers:
        if server.state == "running":
            # One that hung meanwhile reads the files now; one that was dead did so when it started.
            server.run("CONFIG", "SET", *files)
            server.hang_up()


@event("files")
def files(world: World, step: Step) -> Generator[None, None, None]:
    """Edit a discovery file: remove or add a target, write half of it, or give it another name."""
    name = sorted(world.files)[step.pick % len(world.files)]
    names = list(world.files[name])
    if step.how == "half":
        # What was known stays: nothing may change.
        world.write_file(name, half=True)
        yield
        world.write_file(name)
        return
    if step.how == "rename":
        fresh = f"{name[0]}-{step.pick}.yaml"
        world.changed(*names)
        world.files[fresh] = world.files.pop(name)
        world.removals.update(names)
        world.write_file(fresh)
        (world.folder / "found" / name).unlink()
        yield
        return
    gone = names[step.pick % len(names)] if names else ""
    world.changed(gone)
    world.removals[gone] += 1
    world.files[name] = [one for one in names if one != gone]
    world.write_file(name)
    yield
    if step.how == "add" or gone:
        world.changed(gone)
        world.files[name] = names
        world.write_file(name)


@event("storm")
def storm(world: World, step: Step) -> Generator[None, None, None]:
    """Change the configuration and send SIGHUP, twenty times; what was written last must be in force."""
    for number in range(20):
        if step.how == "labels":
            world.labels = {"team": f"team-{number}"}
            world.changed("mover")
        elif step.how == "settings":
            world.settings_of_mover = {"poll": {"interval": 2.0 + number % 2}}
            world.changed("mover")
        world.write_config()
        world.reload()
        time.sleep(0.02)
    yield
    world.changed("mover")
    world.settings_of_mover = {}
    world.labels = {"team": f"team-{step.pick}"}
    world.write_config()
    world.reload()


@event("slow readers")
def slow_readers(world: World, _step: Step) -> Generator[None, None, None]:
    """Ask for the page many times, and read nothing."""
    world.changed()
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
    """Let the daemon have hardly more descriptors than it holds."""
    world.changed()
    world.may_skip = True
    daemon = world.daemon
    was = daemon.limit_descriptors(daemon.usage().descriptors + SPARE_DESCRIPTORS)
    yield
    if daemon.is_alive():
        daemon.limit_descriptors(was)


@event("blocked log")
def blocked_log(world: World, _step: Step) -> Generator[None, None, None]:
    """Stop reading the daemon's log, and give it more to say than its pipe holds (see ``daemon.PIPE``)."""
    world.changed()
    daemon = world.daemon
    daemon.read_log(on=False)
    for number in range(60):
        world.labels = {"team": f"team-{number}"}
        world.changed("mover")
        world.write_config()
        world.reload()
        time.sleep(0.03)
    yield
    daemon.read_log(on=True)


@event("clock")
def clock(world: World, step: Step) -> Generator[None, None, None]:
    """Step the daemon's wall clock, and step it back."""
    if world.clock is None:
        raise NotPossibleError("there is no clock to step")
    world.changed()
    world.clock.write_text(f"{step.how}\n")
    yield
    world.clock.write_text("+0\n")


@event("cut")
def cut(world: World, step: Step) -> Generator[None, None, None]:
    """Cut the network of one server."""
    if world.namespace is None:
        raise NotPossibleError(world.without[step.on])
    world.changed(step.on)
    world.namespace.cut(step.how)
    yield
    world.changed(step.on)
    world.namespace.mend()
