"""A master, its replicas and their Sentinels, with automatic failover."""

import random
from collections.abc import Callable

from simulate.network import Network
from simulate.replies import encode
from simulate.server import UNKNOWN, ServerConnection, SimulatedServer

NAME = "jobs"
#: Sentinels that must agree.
QUORUM = 2
#: Seconds that a server must be silent until the Sentinels consider it down, and fail over.
DOWN_AFTER = 5.0
_CHECK_INTERVAL = 1.0


class ReplicatedServer(SimulatedServer):
    """A member of a Sentinel set."""

    def __init__(self, members: "SentinelSet", *arguments: object) -> None:
        self._members = members
        super().__init__(*arguments)  # type: ignore[arg-type]  # the arguments of the base class

    @property
    def role(self) -> str:  # type: ignore[override]
        """Its role now, which selects the recording."""
        return "primary" if self._members.master is self else "replica"

    def replication(self) -> str:
        """Return the fields of the section Replication."""
        members, master = self._members, self._members.master
        if master is self:
            replicas = [server for server in members.servers if server is not self and server.is_up()]
            lines = [
                f"slave{number}:ip={one.host.address},port={one.port},state=online,offset={members.offset},lag=0"
                for number, one in enumerate(replicas)
            ]
            return "\r\n".join(
                ["role:master", f"connected_slaves:{len(replicas)}", *lines, f"master_repl_offset:{members.offset}", ""]
            )
        link = "up" if master.is_up() else "down"
        return (
            f"role:slave\r\nmaster_host:{master.host.address}\r\nmaster_port:{master.port}\r\n"
            f"master_link_status:{link}\r\nmaster_last_io_seconds_ago:{0 if link == 'up' else -1}\r\n"
            f"master_sync_in_progress:0\r\nslave_repl_offset:{members.offset}\r\nslave_priority:100\r\n"
            f"slave_read_only:1\r\nconnected_slaves:0\r\nmaster_repl_offset:{members.offset}\r\n"
        )


class SimulatedSentinel(SimulatedServer):
    """One Sentinel. It answers from the state of the set."""

    role = "sentinel"

    def __init__(self, members: "SentinelSet", *arguments: object) -> None:
        self._members = members
        super().__init__(*arguments)  # type: ignore[arg-type]  # the arguments of the base class
        self.identity = self.random.randbytes(20).hex()

    def answer(self, connection: ServerConnection, name: str, words: tuple[str, ...]) -> bytes:
        """Return the reply to a command."""
        if name == "SUBSCRIBE":
            connection.is_subscribed = True
            return b"".join([encode(["subscribe", channel, number + 1]) for number, channel in enumerate(words[1:])])
        if name == "PING" and connection.is_subscribed:
            return encode(["pong", ""])
        if name != "SENTINEL":
            return super().answer(connection, name, words)
        return self._sentinel_reply(words[1].upper())

    def _sentinel_reply(self, subcommand: str) -> bytes:
        members = self._members
        master = members.master
        others = [one for one in members.sentinels if one is not self]
        replicas = [server for server in members.servers if server is not master]
        replies: dict[str, Callable[[], bytes]] = {
            "MYID": lambda: encode(self.identity),
            "MASTERS": lambda: encode([_flat(self._master_fields())]),
            "GET-MASTER-ADDR-BY-NAME": lambda: encode([master.host.address, str(master.port)]),
            "SLAVES": lambda: encode([_flat(self._instance(one, one.address, "slave")) for one in replicas]),
            "SENTINELS": lambda: encode([_flat(self._instance(one, one.identity, "sentinel")) for one in others]),
            "CKQUORUM": lambda: self._quorum(1 + sum(one.is_up() for one in others)),
        }
        reply = replies.get(subcommand)
        return reply() if reply is not None else UNKNOWN % b"SENTINEL"

    def _master_fields(self) -> dict[str, object]:
        members = self._members
        return self._instance(members.master, NAME, "master") | {
            "config-epoch": members.epoch,
            "num-slaves": len(members.servers) - 1,
            "num-other-sentinels": len(members.sentinels) - 1,
            "quorum": QUORUM,
        }

    @staticmethod
    def _quorum(usable: int) -> bytes:
        if usable >= QUORUM:
            return f"+OK {usable} usable Sentinels. Quorum and failover authorization can be reached\r\n".encode()
        return (
            f"-NOQUORUM {usable} usable Sentinels. Not enough available Sentinels to reach the specified quorum for "
            "this master. Not enough available Sentinels to reach the majority and authorize a failover\r\n"
        ).encode()

    def _instance(self, server: SimulatedServer, name: str, kind: str) -> dict[str, object]:
        silent = self._members.silent_seconds(server)
        flags = f"{kind},s_down" if silent > DOWN_AFTER else kind
        run_id = server.identity if isinstance(server, SimulatedSentinel) else server.run_id
        return {
            "name": name, "ip": server.host.address, "port": server.port, "runid": run_id, "flags": flags,
            "last-ok-ping-reply": round(1000 * silent), "role-reported": kind,
        }  # fmt: skip

    def publish(self, channel: str, text: str) -> None:
        """Send a message to every subscriber."""
        if self.is_up():
            for connection in self.connections.values():
                if connection.is_subscribed:
                    connection.stream.send(encode(["message", channel, text]))


class SentinelSet:
    """Three servers and three Sentinels."""

    def __init__(self, network: Network, rng: random.Random, addresses: list[str], software: str) -> None:
        self.network, self._random = network, rng
        self.epoch = 0
        self.servers: list[ReplicatedServer] = []
        self.sentinels: list[SimulatedSentinel] = []
        self.master: ReplicatedServer = None  # type: ignore[assignment]  # set below, before any reply
        self.failovers = 0
        self._down_since: dict[SimulatedServer, float] = {}
        for address in addresses:
            self.servers.append(ReplicatedServer(self, network, rng, network.add_host(address), 6379, software))
        self.master = self.servers[0]
        for address in addresses:
            self.sentinels.append(SimulatedSentinel(self, network, rng, network.add_host(address), 26379, software))
        network.loop.call_later(_CHECK_INTERVAL, self._check)

    @property
    def offset(self) -> int:
        """The replication offset, which grows with time."""
        return int(self.network.loop.time() * 10)

    def silent_seconds(self, server: SimulatedServer) -> float:
        """Return for how long a server has been down."""
        since = self._down_since.get(server)
        return 0.0 if since is None else self.network.loop.time() - since

    def _check(self) -> None:
        now = self.network.loop.time()
        for server in (*self.servers, *self.sentinels):
            if server.is_up():
                self._down_since.pop(server, None)
            else:
                self._down_since.setdefault(server, now)
        if self.silent_seconds(self.master) > DOWN_AFTER and sum(one.is_up() for one in self.sentinels) >= QUORUM:
            self.failover()
        self.network.loop.call_later(_CHECK_INTERVAL, self._check)

    def failover(self) -> bool:
        """Promote a replica. Return whether there is one."""
        candidates = [server for server in self.servers if server is not self.master and server.is_up()]
        if not candidates:
            return False
        old, self.master = self.master, self._random.choice(candidates)
        self.epoch += 1
        self.failovers += 1
        text = f"{NAME} {old.host.address} {old.port} {self.master.host.address} {self.master.port}"
        for sentinel in self.sentinels:
            sentinel.publish("+switch-master", text)
        return True

    def is_healthy(self) -> bool:
        """Return whether everything runs."""
        return all(server.is_up() for server in (*self.servers, *self.sentinels)) and not self._down_since


def _flat(fields: dict[str, object]) -> list[object]:
    return [str(part) for pair in fields.items() for part in pair]
