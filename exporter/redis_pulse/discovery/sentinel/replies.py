"""What one Sentinel says, from its replies to plain values. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from redis_pulse.config import parse_url
from redis_pulse.errors import PermissionDeniedError, TargetError
from redis_pulse.parse.reply import as_list, as_text
from redis_pulse.parse.sentinel import as_instances, parse_ckquorum

#: Of every Sentinel; then of every master, with its name.
FIRST = (("SENTINEL", "MYID"), ("SENTINEL", "MASTERS"))
_WORDS = ("GET-MASTER-ADDR-BY-NAME", "SLAVES", "SENTINELS", "CKQUORUM")


class MasterReport(NamedTuple):
    """What one Sentinel says of one master; addresses are ``host:port``."""

    #: where it sends clients
    address: str
    #: the higher, the newer its configuration; each failover makes a new one
    epoch: int
    #: address → run id, empty while it is not known
    replicas: Mapping[str, str] = {}
    #: the other Sentinels: id → address
    sentinels: Mapping[str, str] = {}
    #: whether a failover could be agreed and done; None when it does not say
    quorum: bool | None = None
    #: seconds for which the master has not answered this Sentinel, when it takes it for down
    silent: float | None = None


class SentinelReply(NamedTuple):
    """What one Sentinel says; ``id`` is empty when it does not tell."""

    id: str
    masters: Mapping[str, MasterReport]
    #: every master that it watches, asked for or not
    names: tuple[str, ...]
    #: whether it denies us the list of replicas
    denied: bool = False


def commands_for(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the commands that ask for these masters."""
    return [("SENTINEL", word, name) for name in names for word in _WORDS]


def parse_replies(replies: Sequence[Any], names: Sequence[str]) -> SentinelReply:
    """Read the replies to ``FIRST`` and to ``questions(names)``. Raises TargetError when the masters are not told."""
    own, listed, *rest = replies
    if isinstance(listed, TargetError):
        raise listed
    instances = as_instances(listed)
    fields = instances.named if instances else {}
    told: dict[str, MasterReport] = {}
    denied = False
    for place, name in enumerate(names):
        answers = rest[place * len(_WORDS) :][: len(_WORDS)]
        denied |= isinstance(answers[1], PermissionDeniedError)
        if (one := _told(fields.get(name), answers)) is not None:
            told[name] = one
    return SentinelReply(as_text(own) or "", told, tuple(sorted(fields)), denied)


def address_of(host: Any, port: Any) -> str | None:
    """Return ``host:port`` as all of us spell it; None when it is no address of a server."""
    host, port = as_text(host) or "", as_text(port) or ""
    try:
        endpoint = parse_url(f"[{host}]:{port}" if ":" in host else f"{host}:{port}").endpoint
    except ValueError:
        return None
    return endpoint.address if host and port and endpoint.port else None


def master_in_message(channel: str, text: str) -> str | None:
    """Return the name of the master that a message is about, if it says so.

    >>> about("+sdown", "slave 10.0.0.2:6379 10.0.0.2 6379 @ cart 10.0.0.1 6379")
    'cart'
    """
    words = text.split()
    if channel == "+switch-master":
        return words[0] if words else None
    if "@" in words[:-1]:
        return words[words.index("@") + 1]
    return words[1] if len(words) > 1 and words[0] == "master" else None


def _told(fields: Mapping[str, str] | None, answers: Sequence[Any]) -> MasterReport | None:
    if fields is None:
        return None
    where, slaves, sentinels, quorum = answers
    # Where clients are sent is the new master as soon as there is one; the list still names the old for a while.
    parts = as_list(where) or [fields.get("ip"), fields.get("port")]
    address = address_of(*parts) if len(parts) == 2 else None
    if address is None:
        return None
    return MasterReport(
        address,
        _whole(fields.get("config-epoch")) or 0,
        {place: run_id for place, run_id in _instances(slaves) if place != address},
        {number: place for place, number in _instances(sentinels) if number},
        _quorum(quorum),
        _silent(fields),
    )


def _instances(reply: Any) -> Iterator[tuple[str, str]]:
    """Yield address and run id of all whose address can be read."""
    instances = as_instances(reply)
    for fields in instances.named.values() if instances else ():
        if (address := address_of(fields.get("ip"), fields.get("port"))) is not None:
            yield address, fields.get("runid", "")


def _quorum(reply: Any) -> bool | None:
    verdict = parse_ckquorum(str(reply) if isinstance(reply, TargetError) else as_text(reply) or "")
    return None if verdict is None else verdict.reached


def _silent(fields: Mapping[str, str]) -> float | None:
    milliseconds = _whole(fields.get("last-ok-ping-reply"))
    down = {"s_down", "o_down"} & set(fields.get("flags", "").split(","))
    return milliseconds / 1000 if down and milliseconds is not None else None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None
