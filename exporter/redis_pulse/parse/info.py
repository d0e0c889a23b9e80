"""Parses the text of INFO into plain dicts of text. ``redis_pulse.metric`` converts the values.

``parse_info`` splits the text into sections. ``parse_modules`` reads the lines ``module:…``, which all have the same
field name and therefore cannot be in that dict. The parser accepts the forms of lines of all servers. Fields with
another name, another unit, or a number that stands for a missing value are the matter of ``server_info``.
"""

import re
from typing import NamedTuple

#: Section → field → value, as the server writes them. Fields before the first heading are in section ``""``. A known
#: section has the name that Redis gives it: Kvrocks writes ``CommandStats`` and Dragonfly writes ``Cpu``.
Info = dict[str, dict[str, str]]
SECTIONS = {
    name.lower(): name
    for name in (
        *("Server", "Clients", "Memory", "Persistence", "Threads", "Stats", "Replication", "CPU", "Modules"),
        *("Commandstats", "Errorstats", "Latencystats", "Cluster", "Keyspace", "Keysizes", "Sentinel", "KeyDB"),
        *("TLS", "Scripting Engines", "Hotkeys"),
    )
}
#: Pika writes ``# Replication(MASTER)``.
_WITH_ROLE = re.compile(r"([A-Za-z]+)\([A-Za-z]*\)")
#: Pika writes comments inside a section: ``# Time:2023-04-14``, ``# Duration: 37s`` and ``#hash_ RocksDB``.
_COMMENT = re.compile(r"# (Time|Duration):|#\S+ \S")
#: Pika writes one line per type of key: ``db0 Hashes_keys=12, expires=3, invalid_keys=0``.
_KEYS_OF_A_TYPE = re.compile(r"(db[0-9]+) [A-Za-z]+_keys=([0-9]{1,18}), *expires=([0-9]{1,18})\b.*")
#: Time of a key scan that never ran.
_NEVER = re.compile(r"# Time:(1969|1970)-")
_MODULE = re.compile(r"^module:([^\r\n]*)", re.MULTILINE)
_MODULE_NAME = re.compile(r"[a-z_]{1,50}")
#: Pairs of one line.
MAX_PAIRS = 200
#: Replicas of one server that are read.
MAX_REPLICAS = 500
#: Limits of one reply. A line that is longer is cut, and further fields are counted and not kept. A real server has
#: some 700 fields, and lines of at most some 500 characters.
MAX_LINE_LENGTH, MAX_FIELDS, MAX_FIELDS_PER_SECTION, MAX_SECTIONS, MAX_MODULES = 4096, 30_000, 5_000, 100, 100


class ReplicaInfo(NamedTuple):
    """One ``slaveN`` line of a primary; ``offset`` (bytes) and ``lag`` (seconds) are None if the line lacks them."""

    ip: str
    port: str
    state: str
    offset: str | None
    lag: str | None


class InfoParser:
    """Reads INFO in parts. Each call of ``feed`` takes whole lines, so a long reply can be read in slices."""

    def __init__(self) -> None:
        self._info: Info = {}
        self._fields: dict[str, str] | None = None
        self._typed: list[str] = []
        self._kept = 0
        #: How many fields and sections were beyond a limit.
        self.dropped = 0
        #: The values of the lines ``module:…``, at most ``MAX_MODULES``.
        self.modules: list[str] = []

    def feed(self, text: str) -> None:
        """Read some lines."""
        lines = text.replace("\r\n", "\n").split("\n")
        if self._kept + len(lines) > MAX_FIELDS_PER_SECTION or len(self._info) >= MAX_SECTIONS // 2:
            for line in lines:
                self._feed_line(line)
            return
        fields = self._fields  # none of these lines can exceed a limit, so most of them need no check
        for line in lines:
            field, colon, value = line.partition(":")
            if colon and fields is not None and field[:1] != "#" and field != "module" and len(line) <= MAX_LINE_LENGTH:
                fields[field] = value
            elif line:
                self._feed_line(line)
                fields = self._fields
        self._kept = sum(map(len, self._info.values()))

    def _feed_line(self, line: str) -> None:
        field, colon, value = line[:MAX_LINE_LENGTH].partition(":")
        if field[:1] == "#":
            if _COMMENT.match(line):
                self._add_typed(line)
            else:
                self._start_section(_section(line[1:MAX_LINE_LENGTH].strip()))
        elif colon:
            self._add(field, value)
        elif field[:2] == "db":
            self._add_typed(line)

    def result(self) -> Info:
        """Return what was read."""
        if self._typed and "Keyspace" in self._info:
            _add_types(self._info, self._typed)
        return self._info

    def _start_section(self, name: str) -> None:
        if name not in self._info and len(self._info) >= MAX_SECTIONS:
            self.dropped += 1
            self._fields = {}
        else:
            self._fields = self._info.setdefault(name, {})

    def _add(self, field: str, value: str) -> None:
        if self._fields is None:
            self._fields = self._info.setdefault("", {})
        fields = self._fields
        if field not in fields:
            if self._kept >= MAX_FIELDS or len(fields) >= MAX_FIELDS_PER_SECTION:
                self.dropped += 1
                return
            self._kept += 1
        fields[field] = value
        if field == "module" and len(self.modules) < MAX_MODULES:
            self.modules.append(value)

    def _add_typed(self, line: str) -> None:
        if len(self._typed) < MAX_FIELDS_PER_SECTION:
            self._typed.append(line[:MAX_LINE_LENGTH])
        else:
            self.dropped += 1


def parse_info(text: str) -> Info:
    r"""Split an INFO reply into its sections.

    >>> parse_info("# Server\r\nhz:10\r\n\r\n# Keyspace\r\ndb0:keys=1,expires=0\r\n")
    {'Server': {'hz': '10'}, 'Keyspace': {'db0': 'keys=1,expires=0'}}

    Lines end in CRLF or LF. All text after the first colon is the value. Lines other than headings and ``field:value``
    are skipped. A section that comes twice is merged. If a field comes twice, the last value counts.
    """
    parser = InfoParser()
    parser.feed(text)
    return parser.result()


def has_fields(info: Info) -> bool:
    """Return whether there is any field. Some servers return only the heading of an unknown section."""
    return any(info.values())


def _section(heading: str) -> str:
    if (match := _WITH_ROLE.fullmatch(heading)) is not None:
        heading = match[1]
    return SECTIONS.get(heading.lower(), heading)


def _add_types(info: Info, lines: list[str]) -> None:
    """Sum the types of keys of each database: ``db0`` becomes ``keys=12,expires=3``.

    The counts come from a scan. Before the first scan they are unknown and all 0, so the section is removed.
    """
    sums: dict[str, tuple[int, int]] = {}
    for line in lines:
        if (match := _KEYS_OF_A_TYPE.fullmatch(line)) is not None:
            keys, expires = sums.get(match[1], (0, 0))
            sums[match[1]] = keys + int(match[2]), expires + int(match[3])
    if not any(keys for keys, _ in sums.values()) and any(map(_NEVER.match, lines)):
        del info["Keyspace"]
    else:
        info["Keyspace"] |= {db: f"keys={keys},expires={expires}" for db, (keys, expires) in sums.items()}


def parse_pairs(text: str) -> dict[str, str]:
    """Split ``keys=1,expires=0,avg_ttl=0`` into a dict; a part without ``=`` is skipped.

    Parts beyond ``MAX_PAIRS`` are left out. A real line has at most 40.
    """
    parts = text[:MAX_LINE_LENGTH].split(",", MAX_PAIRS)[:MAX_PAIRS]
    try:
        return dict([part.split("=", 1) for part in parts])  # nearly all lines
    except ValueError:
        pass
    pairs = (part.partition("=") for part in parts)
    return {key: value for key, equals, value in pairs if equals}


def parse_replica(text: str) -> ReplicaInfo | None:
    """Read ``ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0``; return None without an address.

    IPv6 addresses have no brackets. ``lag`` exists since Redis 3.0, and newer servers add further pairs.
    """
    pairs = parse_pairs(text)
    if not (pairs.get("ip") and pairs.get("port")):
        return None
    return ReplicaInfo(pairs["ip"], pairs["port"], pairs.get("state", ""), pairs.get("offset"), pairs.get("lag"))


def parse_modules(text: str) -> list[dict[str, str]]:
    r"""Return the pairs of each module. A list stays text.

    >>> parse_modules("module:name=search,ver=21005,usedby=[],using=[ReJSON]\r\n")
    [{'name': 'search', 'ver': '21005', 'usedby': '[]', 'using': '[ReJSON]'}]
    """
    return [parse_module(line[:MAX_LINE_LENGTH]) for line in _MODULE.findall(text)]


def parse_module(line: str) -> dict[str, str]:
    """Return the pairs of one module, as ``parse_modules`` does. A comma in brackets belongs to the list."""
    pairs: dict[str, str] = {}
    parts = iter(line.split(",", MAX_PAIRS)[:MAX_PAIRS])
    for part in parts:
        name, equals, value = part.partition("=")
        if value[:1] == "[" and "]" not in value:
            items = [value]
            for more in parts:
                items.append(more)
                if "]" in more:
                    break
            value = ",".join(items)
        if equals and _MODULE_NAME.fullmatch(name):
            pairs[name] = value
    return pairs
