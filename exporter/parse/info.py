"""The text of INFO to plain dicts of text; what a value means is the row's business (``exporter.metric``)."""

from typing import NamedTuple

#: Section → field → value, all as the server spells them. Fields before the first heading are in section ``""``.
Info = dict[str, dict[str, str]]


class Replica(NamedTuple):
    """One ``slaveN`` line of a primary; ``offset`` (bytes) and ``lag`` (seconds) are None where the line has none."""

    ip: str
    port: str
    state: str
    offset: str | None
    lag: str | None


def parse_info(text: str) -> Info:
    r"""Split an INFO reply into its sections.

    >>> parse_info("# Server\r\nhz:10\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n")
    {'Server': {'hz': '10'}, 'Keyspace': {'db0': 'keys=1,expires=0'}}

    Lines end in CRLF or LF. A section that comes twice is merged, of a field that comes twice the last counts, a line
    that is neither heading nor ``field:value`` is passed over. Anything after the first colon is the value.
    """
    info: Info = {}
    fields: dict[str, str] | None = None
    for line in text.replace("\r\n", "\n").split("\n"):
        field, colon, value = line.partition(":")
        if field[:1] == "#":
            fields = info.setdefault(line[1:].strip(), {})
        elif colon:
            if fields is None:
                fields = info.setdefault("", {})
            fields[field] = value
    return info


def parse_pairs(text: str) -> dict[str, str]:
    """Split ``keys=1,expires=0,avg_ttl=0`` into a dict; a part without ``=`` is passed over."""
    pairs = (part.partition("=") for part in text.split(","))
    return {key: value for key, equals, value in pairs if equals}


def parse_replica(text: str) -> Replica | None:
    """Read ``ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0``; None when it does not say who it is.

    IPv6 addresses come as they are, ``lag`` came with Redis 3.0, and newer servers add further pairs.
    """
    pairs = parse_pairs(text)
    if not (pairs.get("ip") and pairs.get("port")):
        return None
    return Replica(pairs["ip"], pairs["port"], pairs.get("state", ""), pairs.get("offset"), pairs.get("lag"))
