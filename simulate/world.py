"""The fleet: servers, sources of targets, the configuration of the daemon, and what must be true of its page now."""

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from simulate.cluster import SimulatedCluster
from simulate.inventory import HttpInventory, Names
from simulate.network import Address, Network
from simulate.replies import SOFTWARE
from simulate.sentinels import NAME, SentinelSet
from simulate.server import SimulatedServer
from simulate.standard_library import Machine
from simulate.tokens import TokenServer

SOLO = tuple(f"solo-{number}" for number in range(6))
FILES = {"a.json": ("found-0", "found-1"), "b.yaml": ("found-2",)}
FOUND = tuple(name for names in FILES.values() for name in names)
LISTED = ("listed-0", "listed-1")
QUEUE, CART, MOVER, AUTH, NAMED, LEASE = "queue", "cart", "mover", "auth", "named", "lease"
HOST_NAME = "cache.sim"
INVENTORY: Address = ("10.1.9.1", 8080)
PASSWORD = "first-password"
#: Collectors of most targets. The first targets have the default set, which costs several times as much.
LEAN = ["info", "errorstats", "slowlog"]
FULL = ("solo-0", "found-0")
#: Seconds of the daemon's defaults.
PROBE_INTERVAL, POLL_INTERVAL, MAX_AGE = 1.0, 15.0, 45.0
#: Seconds that a call in a thread takes.
THREAD_SECONDS = (0.0005, 0.005)


class World:
    """All servers of one episode, and the files of the daemon."""

    def __init__(self, machine: Machine, network: Network, rng: random.Random, folder: Path) -> None:
        self.machine, self.network, self.random, self.folder = machine, network, rng, folder
        self.servers: dict[str, SimulatedServer] = {}
        for number, name in enumerate((*SOLO, "mover-0", "mover-1", AUTH, "named-0", "named-1")):
            self._add_server(name, f"10.1.0.{number + 1}")
        for number in range(5):
            self._add_server(f"found-pool-{number}", f"10.1.4.{number + 1}")
        for number in range(4):
            self._add_server(f"listed-pool-{number}", f"10.1.5.{number + 1}")
        self.servers[AUTH].password = self.password = PASSWORD
        self.lease = TokenServer(network, rng, network.add_host("10.1.8.1"), 6379, rng.choice(SOFTWARE))
        self.servers[LEASE] = self.lease
        machine.programs[sys.executable] = self.lease.print_token
        self.queue = SentinelSet(network, rng, [f"10.1.6.{number}" for number in (1, 2, 3)], rng.choice(SOFTWARE))
        self.cart = SimulatedCluster(
            network, rng, [f"10.1.7.{number + 1}" for number in range(6)], rng.choice(SOFTWARE)
        )
        self.cart_seeds = [node.address for node in self.cart.nodes[:3]]
        self.names = Names()
        self.inventory = HttpInventory(INVENTORY)
        #: where each target that can move is now
        self.places: dict[str, SimulatedServer] = {
            MOVER: self.servers["mover-0"],
            NAMED: self.servers["named-0"],
            **{name: self.servers[f"found-pool-{number}"] for number, name in enumerate(FOUND)},
            **{name: self.servers[f"listed-pool-{number}"] for number, name in enumerate(LISTED)},
        }
        self.found, self.listed = list(FOUND), list(LISTED)
        self.solo = list(SOLO)
        self.labels: dict[str, str] = {}
        self.probe_settings: dict[str, Any] = {}
        #: changes of each target since the last check; events and reloads since then
        self.changes: Counter[str] = Counter()
        self.event_count = self.reloads = 0
        #: targets that were removed since the last check, so that their counters start again
        self.removed: set[str] = set()
        self.may_skip = False
        #: seconds that calls in threads of a kind take, or None while they hang
        self.thread_seconds: dict[str, float | None] = {}
        self._permitted: set[Address] = set()
        self.undeclared: list[Address] = []
        machine.thread_delay = self._thread_delay
        machine.look_up = self.names.look_up
        machine.connect_blocking = self.inventory.connect
        network.on_connect = self._check_connect
        (folder / "found").mkdir(exist_ok=True)
        self.config = folder / "redis-pulse.yaml"
        self.update()

    def _add_server(self, name: str, address: str) -> None:
        software = self.random.choice(SOFTWARE)
        self.servers[name] = SimulatedServer(self.network, self.random, self.network.add_host(address), 6379, software)

    def _thread_delay(self, kind: str, _key: Any) -> float | None:
        return (
            self.thread_seconds.get(kind, 0.0) if kind in self.thread_seconds else self.random.uniform(*THREAD_SECONDS)
        )

    # What the daemon reads

    def update(self) -> None:
        """Write everything that the daemon reads, for the current state. It takes effect when the daemon reads it."""
        self.write(self.config, json.dumps(self.configuration(), indent=1))
        self.write(self.folder / "password", self.password)
        self.write_found()
        self.inventory.set_targets({name: self.places[name].address for name in self.listed})
        self.names.addresses[HOST_NAME] = [self.places[NAMED].host.address]
        self.permit()

    def write_found(self) -> None:
        """Write the files of targets."""
        for file, names in FILES.items():
            groups = [
                {"targets": [self.places[name].address], "labels": {"__name": name}}
                for name in names
                if name in self.found
            ]
            self.write(self.folder / "found" / file, json.dumps(groups))

    def write(self, path: Path, text: str) -> None:
        """Write a file. Its time of change is virtual, so that two versions never have the same one."""
        path.write_text(text)
        now = self.machine.clock.wall_ns()
        os.utime(path, ns=(now, now))

    def configuration(self) -> dict[str, Any]:
        """Return the configuration for the current state."""
        targets: list[dict[str, Any]] = [
            {"name": name, "url": f"redis://{self.servers[name].address}"} for name in self.solo
        ]
        targets += [
            {
                "name": MOVER,
                "url": f"redis://{self.places[MOVER].address}",
                "labels": self.labels,
                **self.probe_settings,
            },
            {
                "name": AUTH,
                "url": f"redis://{self.servers[AUTH].address}",
                "password_file": str(self.folder / "password"),
            },
            {
                "name": LEASE,
                "url": f"redis://{self.lease.address}",
                "credentials": {"command": [sys.executable, "token"]},
            },
            {"name": NAMED, "url": f"redis://{HOST_NAME}:6379"},
            {
                "name": QUEUE,
                "sentinel": {"hosts": [one.address for one in self.queue.sentinels], "master": NAME},
            },
            {"name": CART, "url": f"redis://{self.cart_seeds[0]}", "cluster": {"seeds": self.cart_seeds[1:]}},
        ]
        for target in targets:
            if target["name"] not in FULL:
                target["collectors"] = [*LEAN, *(["cluster"] if target["name"] == CART else [])]
        return {
            # Snapshots would be half of all work. Their causes are judged by ``make stalls``.
            "stalls": {"snapshot_interval": "10s"},
            # The priority of the real process is not part of the simulation.
            "probe": {"priority": "off"},
            "modules": {"lean": {"collectors": LEAN}},
            "discovery": {
                "files": [
                    {"path": str(self.folder / "found" / "*.json")},
                    {"path": str(self.folder / "found" / "*.yaml"), "module": "lean"},
                ],
                "http": [{"url": f"http://{INVENTORY[0]}:{INVENTORY[1]}/targets", "module": "lean"}],
            },
            "targets": targets,
        }

    def reload(self) -> None:
        """Let the daemon read its configuration again."""
        self.reloads += 1
        self.machine.loop.send_signal(signal.SIGHUP)

    # Current state

    def record_change(self, *targets: str) -> None:
        """Record an event. The daemon may log it for each of these targets."""
        self.event_count += 1
        self.changes.update(targets)

    def expected_targets(self) -> dict[str, SimulatedServer | None]:
        """Return every target that must be watched, with its server. None: any server of its set."""
        targets: dict[str, SimulatedServer | None] = {name: self.servers[name] for name in (*self.solo, AUTH, LEASE)}
        targets |= {name: self.places[name] for name in (MOVER, NAMED, *self.found, *self.listed)}
        targets |= {f"{CART}/{node.address}": node for node in self.cart.nodes}
        targets |= {f"{QUEUE}/master": self.queue.master, f"{QUEUE}/replica-1": None, f"{QUEUE}/replica-2": None}
        return targets

    def expected_addresses(self) -> dict[str, str | None]:
        """Return the address on the page of every target. None: any address."""
        return {
            name: f"{HOST_NAME}:6379" if name == NAMED else server.address if server is not None else None
            for name, server in self.expected_targets().items()
        }

    def servers_by_address(self) -> dict[str, SimulatedServer]:
        """Return every server that can be a target, by the address that the page shows."""
        servers: Iterable[SimulatedServer] = (*self.servers.values(), *self.queue.servers, *self.cart.nodes)
        return {server.address: server for server in servers} | {f"{HOST_NAME}:6379": self.places[NAMED]}

    def targets_of(self, server: SimulatedServer) -> list[str]:
        """Return the targets that may be at this server now."""
        if server in self.queue.servers or server in self.queue.sentinels:
            return [f"{QUEUE}/{member}" for member in ("master", "replica-1", "replica-2")]
        return [name for name, one in self.expected_targets().items() if one is server]

    def client_status(self, server: SimulatedServer) -> str:
        """Return ``up`` if a plain client with the daemon's password gets PONG, otherwise why not."""
        if server.password and server.password != self.password:
            return "WRONGPASS"
        return "up" if server.is_up() else f"{server.state}{', cut' if server.host.is_cut else ''}"

    # Which connects are allowed

    def permit(self, *, forget: bool = False) -> None:
        """Allow connects to all servers that are declared now. ``forget`` those that were declared before."""
        if forget:
            self._permitted.clear()
        servers = [*self.expected_targets().values(), *self.queue.servers, *self.queue.sentinels]
        self._permitted |= {(server.host.address, server.port) for server in servers if server is not None}
        for seed in self.cart_seeds:
            host, _, port = seed.rpartition(":")
            self._permitted.add((host, int(port)))

    def _check_connect(self, address: Address) -> None:
        if address not in self._permitted:
            self.undeclared.append(address)
