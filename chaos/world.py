"""The servers, the daemon, and what is true now: which targets there are, where, and how often something changed."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from chaos import network
from chaos.certificates import Authority
from chaos.daemon import FAKETIME, Daemon
from chaos.network import Namespace
from chaos.plan import FAR, FOUND, Settings
from chaos.resp import Login
from chaos.servers import Server
from chaos.sets import Cluster, SentinelSet

QUEUE, CART = "queue", "cart"
#: Seconds between two pings of a target.
INTERVAL = 1.0
#: Seconds between two polls, and how old samples may be that are served.
POLL, MAX_AGE = 2.0, 6.0
#: The servers that a target can move between.
FILES_POOL = ("spare-2", "spare-3", "spare-4", "spare-5")
POOLS = {"mover": ("spare-0", "spare-1"), "tls": ("tls-0", "tls-1"), **dict.fromkeys(FOUND, FILES_POOL)}
SPARES = {name for pool in POOLS.values() for name in pool}
USER, PASSWORD = "exporter", "first-password"
RULES = ("on", "~*", "&*", "+@all")


class World:
    """One round's servers and daemon."""

    def __init__(self, folder: Path, settings: Settings, checkout: Path) -> None:
        self.folder, self.settings = folder, settings
        self.servers: dict[str, Server] = {}
        self.logins: dict[str, Login] = {}
        self.without: dict[str, str] = {}
        self.namespace: Namespace | None = None
        self._make_servers()
        authority = Authority(folder / "authority-of-queue") if settings.queue_tls else None
        self.queue = SentinelSet(folder / QUEUE, settings.queue, "jobs", authority)
        self.cart = Cluster(folder / CART, settings.cart)
        #: the server of each target that can be moved
        self.places = {"mover": self.servers["spare-0"], "tls": self.servers["tls-0"]}
        self.places |= {name: self.servers[f"spare-{number + 2}"] for number, name in enumerate(FOUND)}
        #: which of them stand in which discovery file
        self.files: dict[str, list[str]] = {"a.yaml": ["found-0", "found-1"], "b.yaml": ["found-2"]}
        #: labels and settings of the target ``mover``
        self.labels: dict[str, str] = {}
        self.settings_of_mover: dict[str, Any] = {}
        #: changes of each target since the last check, the reloads since then, and events that concern no target
        self.changes: Counter[str] = Counter()
        self.reloads = 0
        self.others = 0
        #: whether pings may be skipped: the daemon lacked what it needs to send them
        self.may_skip = False
        #: how often each target began anew because we removed it
        self.removals: Counter[str] = Counter()
        #: the file that tells libfaketime how far the daemon's clock is off
        self.clock: Path | None = None
        if settings.faketime and FAKETIME is not None:
            self.clock = folder / "clock"
            self.clock.write_text("+0\n")
        elif settings.faketime:
            self.without["clock"] = "libfaketime is not installed (apt-get install faketime)"
        (folder / "found").mkdir()
        self.config = folder / "redis-pulse.yaml"
        self.daemon = Daemon(checkout, folder, self.config, self.clock)

    def _make_servers(self) -> None:
        folder = self.folder
        make = self.servers
        make["redis"] = Server(folder / "redis", "redis")
        make["valkey"] = Server(folder / "valkey", "valkey")
        self.authority = Authority(folder / "authority")
        for name in POOLS["tls"]:
            make[name] = Server(folder / name, "redis", authority=self.authority)
        make["auth"] = Server(folder / "auth", "redis", password=PASSWORD)
        make["acl"] = Server(folder / "acl", "valkey")
        for name in (*POOLS["mover"], *FILES_POOL):
            make[name] = Server(folder / name, "valkey")
        if why := network.missing():
            self.without[FAR] = why
        else:
            self.namespace = Namespace()
            place = {"host": self.namespace.host, "prefix": self.namespace.enter}
            make[FAR] = Server(folder / FAR, "redis", **place)  # type: ignore[arg-type]
        for name, password in (("auth", PASSWORD), ("acl", PASSWORD)):
            self.write_password(name, password)

    def start(self) -> None:
        """Start the servers, then the daemon."""
        if self.namespace is not None:
            self.namespace.make()
        for server in self.servers.values():
            server.start()
        self.servers["acl"].run("ACL", "SETUSER", USER, *RULES, f">{PASSWORD}")
        self.queue.start()
        self.cart.start()
        self.write_config()
        for file in self.files:
            self.write_file(file)
        self.daemon.start()

    def stop(self) -> None:
        """Kill everything that runs, and delete the namespace. May be called at any moment, and twice."""
        self.daemon.kill()
        for process in [*self.servers.values(), *self.queue.processes(), *self.cart.nodes]:
            process.kill()
        if self.namespace is not None:
            self.namespace.delete()

    # What is written.

    def write_password(self, name: str, password: str) -> None:
        """Write the password file of a target, and let the plain client log in with it too."""
        path = self.folder / f"{name}.password"
        path.write_text(password)
        self.logins[name] = Login(username=USER if name == "acl" else "", password=password)

    def write_config(self) -> None:
        """Write the configuration as it ought to be now. JSON is YAML."""
        _put(self.config, json.dumps(self.configuration(), indent=1))

    def configuration(self) -> dict[str, Any]:
        """Return what the configuration file says."""
        targets: list[dict[str, Any]] = [
            {"name": "redis", "url": self.servers["redis"].url},
            {"name": "valkey", "url": self.servers["valkey"].url},
            {"name": "tls", "url": self.places["tls"].url, "tls": {"ca_file": str(self.authority.ca_file)}},
            {"name": "auth", "url": self.servers["auth"].url, "password_file": str(self.folder / "auth.password")},
            {
                "name": "acl",
                "url": self.servers["acl"].url,
                "username": USER,
                "password_file": str(self.folder / "acl.password"),
            },
            {"name": "mover", "url": self.places["mover"].url, "labels": self.labels, **self.settings_of_mover},
            self._queue_entry(),
            {
                "name": CART,
                "url": self.cart.nodes[0].url,
                "cluster": {"interval": "2s", "seeds": [node.address for node in self.cart.nodes[1:]]},
            },
        ]
        if FAR in self.servers:
            targets.append({"name": FAR, "url": self.servers[FAR].url})
        return {
            "probe": {"interval": INTERVAL, "timeout": 1.0},
            "poll": {"interval": POLL, "timeout": POLL, "max_age": MAX_AGE},
            "breaker": {"open_interval": 1.0, "open_interval_max": self.settings.open_interval_max},
            "discovery": {"files": [{"path": str(self.folder / "found" / "*.yaml"), "interval": "1s"}]},
            "targets": targets,
        }

    def _queue_entry(self) -> dict[str, Any]:
        authority = self.queue.authority
        scheme = "rediss" if authority else "redis"
        sentinel: dict[str, Any] = {
            "hosts": [f"{scheme}://127.0.0.1:{one.port}" for one in self.queue.sentinels],
            "master": self.queue.name,
            "scheme": scheme,
        }
        if authority is None:
            return {"name": QUEUE, "sentinel": sentinel}
        tls = {"ca_file": str(authority.ca_file)}
        return {"name": QUEUE, "tls": tls, "sentinel": {**sentinel, "tls": tls}}

    def write_file(self, name: str, *, half: bool = False) -> None:
        """Write one discovery file as it ought to be now; ``half``: in place, and only its first half."""
        groups = [{"targets": [self.places[one].address], "labels": {"__name": one}} for one in self.files[name]]
        text = json.dumps(groups)
        path = self.folder / "found" / name
        if half:
            path.write_text(text[: len(text) // 2])
        else:
            _put(path, text)

    def reload(self) -> None:
        """SIGHUP."""
        self.reloads += 1
        self.daemon.hang_up()

    # What is true.

    def changed(self, *targets: str) -> None:
        """Take note that something happened that these targets may report."""
        self.others += 1
        self.changes.update(targets)

    def server_of(self, name: str) -> Server:
        """Return the server of a target of its own."""
        return self.places.get(name) or self.servers[name]

    def targets_of(self, name: str) -> list[str]:
        """Return the names of all targets of a set, or the name."""
        if name == QUEUE:
            return [f"{QUEUE}/{place}" for place in ("master", "replica-1", "replica-2")]
        if name == CART:
            return [f"{CART}/{node.address}" for node in self.cart.nodes]
        return [name]

    def targets_at(self, server: Server) -> list[str]:
        """Return the targets that a server stands for now: none, while it is a spare one."""
        everyone = [*self.servers.items(), *self.places.items()]
        return [name for name, one in everyone if one is server and name not in SPARES]

    def expected(self) -> dict[str, Server | None]:
        """Return every target that must be watched, and where; None for a replica of the queue: see ``replicas``."""
        found: dict[str, Server | None] = {name: server for name, server in self.servers.items() if name not in SPARES}
        found |= {name: self.places[name] for name in ("mover", "tls")}
        for names in self.files.values():
            found |= {name: self.places[name] for name in names}
        found |= {f"{CART}/{node.address}": node for node in self.cart.nodes}
        found |= dict.fromkeys(self.targets_of(QUEUE))
        found[f"{QUEUE}/master"] = self.queue.master()
        return found

    def servers_by_address(self) -> dict[str, Server]:
        """Return every server there is."""
        everyone: Iterable[Server] = [*self.servers.values(), *self.queue.servers, *self.cart.nodes]
        return {server.address: server for server in everyone}

    def login_of(self, server: Server) -> Login:
        """Return how the daemon, and so the plain client, logs in."""
        name = next((name for name, one in self.servers.items() if one is server), "")
        return self.logins.get(name, server.login)


def _put(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    fresh.replace(path)
