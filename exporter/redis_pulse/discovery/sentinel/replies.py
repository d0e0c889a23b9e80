"""Parse the replies of one Sentinel into plain values. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from redis_pulse.config import parse_url
from redis_pulse.errors import PermissionDeniedError, TargetError
from redis_pulse.parse.reply import as_list, as_text, parse_uint
from redis_pulse.parse.sentinel import as_instances, parse_ckquorum

#: The commands for a Sentinel itself; those of ``commands_for`` follow.
COMMON_COMMANDS = (("SENTINEL", "MYID"), ("SENTINEL", "MASTERS"))
#: Masters of one Sentinel that are followed, the first in its list. Four commands are sent for each.
MAX_MASTERS = 500
#: For each master; its name is the argument.
_MASTER_SUBCOMMANDS = ("GET-MASTER-ADDR-BY-NAME", "SLAVES", "SENTINELS", "CKQUORUM")


#: Limits for the masters of one Sentinel, and for the replicas or Sentinels of one master.
MAX_MASTERS, MAX_INSTANCES = 1000, 1000


class MasterReport(NamedTuple):
    """What one Sentinel reports about one master; addresses are ``host:port``."""

    #: where the Sentinel sends clients
    address: str
    #: the version of the configuration; each failover increases it
    epoch: int
    #: address → run id, which is empty while it is unknown
    replicas: Mapping[str, str] = {}
    #: the other Sentinels: run id → address
    sentinels: Mapping[str, str] = {}
    #: whether the Sentinels could agree on a failover and perform it; None if the Sentinel does not report it
    quorum: bool | None = None
    #: seconds since the master last replied to this Sentinel; None if the Sentinel does not consider it down
    silent_seconds: float | None = None


class SentinelReply(NamedTuple):
    """The replies of one Sentinel in one round; ``run_id`` is empty if the Sentinel does not report it."""

    run_id: str
    #: by name
    masters: Mapping[str, MasterReport]
    #: all masters that the Sentinel watches, whether requested or not
    names: tuple[str, ...]
    #: whether the Sentinel denied the list of replicas
    replicas_denied: bool = False

    def addresses(self) -> Iterator[str]:
        """Yield the addresses of all servers and Sentinels in the reports."""
        for report in self.masters.values():
            yield report.address
            yield from report.replicas
            yield from report.sentinels.values()


def commands_for(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the commands that request reports about these masters."""
    return [("SENTINEL", subcommand, name) for name in names for subcommand in _MASTER_SUBCOMMANDS]


def parse_replies(replies: Sequence[Any], names: Sequence[str]) -> SentinelReply:
    """Parse the replies to ``COMMON_COMMANDS`` and then to ``commands_for(names)``.

    Raises TargetError if the Sentinel does not list its masters.
    """
    run_id, listed, *rest = replies
    if isinstance(listed, TargetError):
        raise listed
    instances = as_instances(listed)
    fields = dict(islice(instances.named.items(), MAX_MASTERS)) if instances else {}
    reports: dict[str, MasterReport] = {}
    replicas_denied = False
    for index, name in enumerate(names):
        master_replies = rest[index * len(_MASTER_SUBCOMMANDS) :][: len(_MASTER_SUBCOMMANDS)]
        replicas_denied |= isinstance(master_replies[1], PermissionDeniedError)
        if (report := _report(fields.get(name), master_replies)) is not None:
            reports[name] = report
    return SentinelReply(as_text(run_id) or "", reports, tuple(sorted(fields)[:MAX_MASTERS]), replicas_denied)


def address_of(host: Any, port: Any) -> str | None:
    """Return ``host:port`` in the normalized form, or None if it is not the address of a server."""
    host, port = as_text(host) or "", as_text(port) or ""
    try:
        endpoint = parse_url(f"[{host}]:{port}" if ":" in host else f"{host}:{port}").endpoint
    except ValueError:
        return None
    return endpoint.address if host and port and endpoint.port else None


def host_of(address: str) -> str:
    """Return the host of ``host:port`` or ``[::1]:6379``."""
    return address.rpartition(":")[0].strip("[]")


def master_in_message(channel: str, text: str) -> str | None:
    """Return the name of the master that a message concerns, or None if the message has no name.

    >>> master_in_message("+sdown", "slave 10.0.0.2:6379 10.0.0.2 6379 @ cart 10.0.0.1 6379")
    'cart'
    """
    words = text.split()
    if channel == "+switch-master":
        return words[0] if words else None
    if "@" in words[:-1]:
        return words[words.index("@") + 1]
    return words[1] if len(words) > 1 and words[0] == "master" else None


def _report(fields: Mapping[str, str] | None, replies: Sequence[Any]) -> MasterReport | None:
    if fields is None:
        return None
    master_address, replicas, sentinels, quorum = replies
    # GET-MASTER-ADDR-BY-NAME is the address for clients: the new master, as soon as there is one. SENTINEL MASTERS
    # lists the old master for a while longer.
    parts = as_list(master_address) or [fields.get("ip"), fields.get("port")]
    address = address_of(*parts) if len(parts) == 2 else None
    if address is None:
        return None
    return MasterReport(
        address,
        parse_uint(fields.get("config-epoch", "")) or 0,
        {replica: run_id for replica, run_id in _instances(replicas) if replica != address},
        {run_id: sentinel for sentinel, run_id in _instances(sentinels) if run_id},
        _quorum(quorum),
        _silent_seconds(fields),
    )


def _instances(reply: Any) -> Iterator[tuple[str, str]]:
    """Yield the address and the run id of each instance with a valid address."""
    instances = as_instances(reply)
    for fields in islice(instances.named.values(), MAX_INSTANCES) if instances else ():
        if (address := address_of(fields.get("ip"), fields.get("port"))) is not None:
            yield address, fields.get("runid", "")


def _quorum(reply: Any) -> bool | None:
    verdict = parse_ckquorum(str(reply) if isinstance(reply, TargetError) else as_text(reply) or "")
    return None if verdict is None else verdict.reached


def _silent_seconds(fields: Mapping[str, str]) -> float | None:
    milliseconds = parse_uint(fields.get("last-ok-ping-reply", ""))
    is_down = not {"s_down", "o_down"}.isdisjoint(fields.get("flags", "").split(","))
    return milliseconds / 1000 if is_down and milliseconds is not None else None
