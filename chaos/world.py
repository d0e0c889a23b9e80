"""All servers and the daemon, with the current state: targets, their servers, and the number of recent changes."""

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
PROBE_INTERVAL = 1.0
#: Seconds between two polls.
POLL_INTERVAL = 2.0
#: The daemon serves no samples that are older, in seconds.
MAX_AGE = 6.0
#: The servers between which each target can move.
FILES_POOL = ("spare-2", "spare-3", "spare-4", "spare-5")
POOLS = {"mover": ("spare-0", "spare-1"), "tls": ("tls-0", "tls-1"), **dict.fromkeys(FOUND, FILES_POOL)}
SPARES = {name for pool in POOLS.values() for name in pool}
USER, PASSWORD = "exporter", "first-password"
ACL_RULES = ("on", "~*", "&*", "+@all")


class World:
    """The servers and the daemon of one round."""

    def __init__(self, folder: Path, settings: Settings, checkout: Path) -> None:
        self.folder, self.settings = folder, settings
        self.servers: dict[str, Server] = {}
        self.logins: dict[str, Login] = {}
        #: what this machine cannot do: name of the subject → reason
        self.unavailable: dict[str, str] = {}
        self.namespace: Namespace | None = None
        self._create_servers()
        authority = Authority(folder / "authority-of-queue") if settings.queue_tls else None
        self.queue = SentinelSet(folder / QUEUE, settings.queue, "jobs", authority)
        self.cart = Cluster(folder / CART, settings.cart)
        #: the current server of each target that can move
        self.server_by_target = {"mover": self.servers["spare-0"], "tls": self.servers["tls-0"]}
        self.server_by_target |= {name: self.servers[f"spare-{number + 2}"] for number, name in enumerate(FOUND)}
        #: the targets in each discovery file
        self.files: dict[str, list[str]] = {"a.yaml": ["found-0", "found-1"], "b.yaml": ["found-2"]}
        #: labels and settings of the target ``mover``
        self.labels: dict[str, str] = {}
        self.mover_settings: dict[str, Any] = {}
        #: changes of each target since the last check
        self.changes: Counter[str] = Counter()
        #: reloads and events since the last check
        self.reloads = 0
        self.event_count = 0
        #: whether the daemon may skip pings, because it lacked descriptors
        self.may_skip = False
        #: how often each target was removed, so that its counters start again
        self.removals: Counter[str] = Counter()
        #: libfaketime reads the offset of the daemon's clock from this file
        self.clock: Path | None = None
        if settings.faketime and FAKETIME is not None:
            self.clock = folder / "clock"
            self.clock.write_text("+0\n")
        elif settings.faketime:
            self.unavailable["clock"] = "libfaketime is not installed (apt-get install faketime)"
        (folder / "found").mkdir()
        self.config = folder / "redis-pulse.yaml"
        self.daemon = Daemon(checkout, folder, self.config, self.clock)

    def _create_servers(self) -> None:
        folder = self.folder
        servers = self.servers
        servers["redis"] = Server(folder / "redis", "redis")
        servers["valkey"] = Server(folder / "valkey", "valkey")
        self.authority = Authority(folder / "authority")
        for name in POOLS["tls"]:
            servers[name] = Server(folder / name, "redis", authority=self.authority)
        servers["auth"] = Server(folder / "auth", "redis", password=PASSWORD)
        servers["acl"] = Server(folder / "acl", "valkey")
        for name in (*POOLS["mover"], *FILES_POOL):
            servers[name] = Server(folder / name, "valkey")
        if reason := network.unavailable_reason():
            self.unavailable[FAR] = reason
        else:
            self.namespace = Namespace()
            host, enter = self.namespace.host, self.namespace.enter
            servers[FAR] = Server(folder / FAR, "redis", host=host, prefix=enter)
        for name in ("auth", "acl"):
            self.write_password(name, PASSWORD)

    def start(self) -> None:
        """Start the servers, then the daemon."""
        if self.namespace is not None:
            self.namespace.create()
        for server in self.servers.values():
            server.start()
        self.servers["acl"].run("ACL", "SETUSER", USER, *ACL_RULES, f">{PASSWORD}")
        self.queue.start()
        self.cart.start()
        self.write_config()
        for file in self.files:
            self.write_file(file)
        self.daemon.start()

    def stop(self) -> None:
        """Kill all processes, and delete the namespace. It can be called at any moment, also twice."""
        self.daemon.kill()
        for process in [*self.servers.values(), *self.queue.processes(), *self.cart.nodes]:
            process.kill()
        if self.namespace is not None:
            self.namespace.delete()

    # Files of the daemon

    def write_password(self, name: str, password: str) -> None:
        """Write the password file of a target. The plain client uses the same password."""
        path = self.folder / f"{name}.password"
        path.write_text(password)
        self.logins[name] = Login(username=USER if name == "acl" else "", password=password)

    def write_config(self) -> None:
        """Write the configuration for the current state, as JSON, which is valid YAML."""
        _replace_file(self.config, json.dumps(self.configuration(), indent=1))

    def configuration(self) -> dict[str, Any]:
        """Return the configuration for the current state."""
        targets: list[dict[str, Any]] = [
            {"name": "redis", "url": self.servers["redis"].url},
            {"name": "valkey", "url": self.servers["valkey"].url},
            {"name": "tls", "url": self.server_by_target["tls"].url, "tls": {"ca_file": str(self.authority.ca_file)}},
            {"name": "auth", "url": self.servers["auth"].url, "password_file": str(self.folder / "auth.password")},
            {
                "name": "acl",
                "url": self.servers["acl"].url,
                "username": USER,
                "password_file": str(self.folder / "acl.password"),
            },
            {"name": "mover", "url": self.server_by_target["mover"].url, "labels": self.labels, **self.mover_settings},
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
            "probe": {"interval": PROBE_INTERVAL, "timeout": 1.0},
            "poll": {"interval": POLL_INTERVAL, "timeout": POLL_INTERVAL, "max_age": MAX_AGE},
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
        """Write one discovery file for the current state.

        With ``half``, overwrite it in place with the first half only. The daemon cannot parse that.
        """
        groups = [
            {"targets": [self.server_by_target[one].address], "labels": {"__name": one}} for one in self.files[name]
        ]
        text = json.dumps(groups)
        path = self.folder / "found" / name
        if half:
            path.write_text(text[: len(text) // 2])
        else:
            _replace_file(path, text)

    def reload(self) -> None:
        """Let the daemon read its configuration again."""
        self.reloads += 1
        self.daemon.reload()

    # Current state

    def record_change(self, *targets: str) -> None:
        """Record an event. The daemon may log it for each of these targets."""
        self.event_count += 1
        self.changes.update(targets)

    def server_of(self, name: str) -> Server:
        """Return the current server of a target that belongs to no set."""
        return self.server_by_target.get(name) or self.servers[name]

    def targets_of(self, name: str) -> list[str]:
        """Return the names of all targets of a set. The name of a single target is returned alone."""
        if name == QUEUE:
            return [f"{QUEUE}/{member}" for member in ("master", "replica-1", "replica-2")]
        if name == CART:
            return [f"{CART}/{node.address}" for node in self.cart.nodes]
        return [name]

    def targets_at(self, server: Server) -> list[str]:
        """Return the targets that have this server now. A spare server has none."""
        named_servers = [*self.servers.items(), *self.server_by_target.items()]
        return [name for name, one in named_servers if one is server and name not in SPARES]

    def expected_targets(self) -> dict[str, Server | None]:
        """Return every target that must be watched, with its server.

        A replica of the queue has None, because the daemon chooses which server is which replica.
        """
        targets: dict[str, Server | None] = {
            name: server for name, server in self.servers.items() if name not in SPARES
        }
        targets |= {name: self.server_by_target[name] for name in ("mover", "tls")}
        for names in self.files.values():
            targets |= {name: self.server_by_target[name] for name in names}
        targets |= {f"{CART}/{node.address}": node for node in self.cart.nodes}
        targets |= dict.fromkeys(self.targets_of(QUEUE))
        targets[f"{QUEUE}/master"] = self.queue.master()
        return targets

    def servers_by_address(self) -> dict[str, Server]:
        """Return every server except the Sentinels, by address."""
        servers: Iterable[Server] = [*self.servers.values(), *self.queue.servers, *self.cart.nodes]
        return {server.address: server for server in servers}

    def login_of(self, server: Server) -> Login:
        """Return the login that the daemon uses. The plain client uses the same one."""
        name = next((name for name, one in self.servers.items() if one is server), "")
        return self.logins.get(name, server.login)


def _replace_file(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)
