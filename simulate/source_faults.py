"""Faults of the sources of targets, of the configuration, and of the machine of the daemon."""

import random

from simulate.fault import Fault, nothing
from simulate.scraper import PageRequest
from simulate.world import FOUND, LISTED, MOVER, NAMED, SOLO, World


def broken_file(world: World, rng: random.Random) -> Fault | None:
    """Write half a file of targets, an empty one, or a wrong one."""
    world.record_change()
    path = world.folder / "found" / rng.choice(("a.json", "b.yaml"))
    world.write(path, rng.choice(("", "[{", "{}", path.read_text()[:7])))
    return Fault(path.name, world.write_found)


def found_targets(world: World, rng: random.Random) -> Fault | None:
    """Remove a target from the files, and add it later at another address."""
    if len(world.found) < len(FOUND):
        return None
    name = rng.choice(world.found)
    world.record_change(name)
    world.removed.add(name)
    world.found.remove(name)
    world.write_found()

    def end() -> None:
        used = set(world.places.values())
        pool = [server for key, server in world.servers.items() if key.startswith("found-pool") and server not in used]
        world.places[name] = rng.choice(pool)
        world.found.append(name)
        world.record_change(name)
        world.write_found()
        world.permit()

    return Fault(name, end)


def moved_targets(world: World, rng: random.Random) -> Fault | None:
    """Move a target to another address: in the files, over HTTP, in DNS, or in the configuration."""
    name = rng.choice((*world.found, *world.listed, MOVER, NAMED))
    prefix = f"{name.rpartition('-')[0] or name}-{'pool' if name in (*FOUND, *LISTED) else ''}"
    used = set(world.places.values())
    pool = [server for key, server in world.servers.items() if key.startswith(prefix) and server not in used]
    if not pool:
        return None
    world.record_change(name, name)
    old, world.places[name] = world.places[name], rng.choice(pool)
    world.update()
    if name == NAMED:
        old.drop_connections()  # otherwise the daemon would stay connected to the old server
    if name == MOVER:
        world.reload()
    return Fault(name, nothing)


def inventory(world: World, rng: random.Random) -> Fault | None:
    """Break the list over HTTP: refused, failed, garbage, huge, or without an end."""
    world.record_change()
    how = rng.choice(("refused", "500", "garbage", "huge", "hang"))
    if how == "hang":
        return _hung_threads(world, "http")
    if how == "500":
        world.inventory.status = 500
    world.inventory.body = {
        "refused": None,
        "500": b"oops",
        "garbage": b'[{"targets": 7}]',
        "huge": b"[" + b" " * 10_100_000 + b"]",
    }[how]

    def end() -> None:
        world.inventory.status = 200
        world.inventory.set_targets({name: world.places[name].address for name in world.listed})

    return Fault(how, end)


def listed_targets(world: World, rng: random.Random) -> Fault | None:
    """Remove one target or all from the list over HTTP, and add them later."""
    if len(world.listed) < len(LISTED):
        return None
    names = list(world.listed) if rng.random() < 0.3 else [rng.choice(world.listed)]
    world.record_change(*names)
    world.removed.update(names)
    world.listed = [name for name in world.listed if name not in names]
    world.update()

    def end() -> None:
        world.listed = list(LISTED)
        world.record_change(*names)
        world.update()

    return Fault(" ".join(names), end)


def names(world: World, rng: random.Random) -> Fault | None:
    """Let DNS forget a name, or hang."""
    world.record_change(NAMED)
    if rng.random() < 0.5:
        return _hung_threads(world, "dns")
    world.names.is_broken = True

    def end() -> None:
        world.names.is_broken = False

    return Fault("unknown", end)


def files_hang(world: World, rng: random.Random) -> Fault | None:  # noqa: ARG001  # the signature of a fault
    """Let the file system of the targets hang."""
    world.record_change()
    return _hung_threads(world, "targets")


def _hung_threads(world: World, kind: str) -> Fault | None:
    if kind in world.thread_seconds:
        return None
    world.thread_seconds[kind] = None

    def end() -> None:
        del world.thread_seconds[kind]
        world.machine.release(kind)

    return Fault(f"{kind} hangs", end)


def reload(world: World, rng: random.Random) -> Fault | None:
    """Change a label, a setting or the targets of the configuration, and change it back later."""
    how = rng.choice(("label", "setting", "target"))
    if how == "target" and len(world.solo) == len(SOLO):
        name = rng.choice(world.solo)
        world.record_change(name)
        world.removed.add(name)
        world.solo.remove(name)
    elif how == "label":
        name = MOVER
        world.record_change(MOVER)
        world.labels = {"team": f"team-{rng.randrange(100)}"}
    else:
        name = MOVER
        world.record_change(MOVER)
        world.probe_settings = {"probe": {"timeout": rng.choice((0.5, 1.0))}}
    world.update()
    world.reload()

    def end() -> None:
        world.solo = list(SOLO)
        world.record_change(name)
        world.update()
        world.reload()

    return Fault(f"{how} {name}", end)


def bad_reload(world: World, rng: random.Random) -> Fault | None:
    """Write a configuration that cannot be used. The daemon keeps the one it has."""
    world.record_change()
    world.write(world.config, rng.choice(("targets: [", "nonsense: 1", '{"targets": [{"name": "x"}]}')))
    world.reload()

    def end() -> None:
        world.update()
        world.reload()

    return Fault("configuration", end)


def clock_step(world: World, rng: random.Random) -> Fault | None:
    """Set the wall clock, and set it back later."""
    world.record_change()
    seconds = rng.choice((3600.0, -3600.0, 0.7, -2.0, 86_400.0, -0.05))
    clock = world.machine.clock
    clock.step_wall(seconds)
    return Fault(f"{seconds:+g} s", lambda: clock.step_wall(-seconds))


def stall(world: World, rng: random.Random) -> Fault | None:
    """Stop the daemon for some seconds, as a busy machine does."""
    seconds = round(rng.uniform(0.1, 4.0), 2)
    world.record_change(*world.expected_targets())
    world.may_skip = True
    world.machine.loop.stall(seconds)
    return Fault(f"{seconds} s", nothing)


def scrapers(world: World, rng: random.Random) -> Fault | None:
    """Request pages with clients that never read, read slowly, or leave early."""
    world.record_change()
    for number in range(rng.randint(1, 30)):
        speed = rng.choice((0.0, 2000.0, 50_000.0, None))
        timeout = rng.choice((0.05, 1.0, 30.0, 90.0))
        path = rng.choice(("/metrics", "/metrics", "/health", "/targets", "/nothing", "/-/ready", "/config"))
        PageRequest(world.network, f"10.3.0.{number}", path, lambda *_: None, timeout=timeout, bytes_per_second=speed)
    return Fault("pages", nothing)


def descriptors(world: World, rng: random.Random) -> Fault | None:
    """Leave the daemon nearly no file descriptor, so that it connects to no target."""
    world.record_change(*world.expected_targets())
    world.may_skip = True
    world.machine.max_descriptors = 40 + rng.randrange(30)

    def end() -> None:
        world.machine.max_descriptors = 4096

    return Fault(str(world.machine.max_descriptors), end)
