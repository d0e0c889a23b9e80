"""What the sampler and the estimate must know about a server, from its INFO and from what it refuses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: From this version on, Redis draws random keys evenly over chains of different length.
_FAIR_SINCE = (7, 0)
#: How much the chances of single keys differ, as a share of their mean; measured by ``bench/keyspace.py --only draws``.
FAIR_UNEVENNESS, OLD_UNEVENNESS = 0.27, 0.5
#: The version that added CLIENT NO-TOUCH.
_NO_TOUCH_SINCE = (7, 2)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")
_KEYS = re.compile(r"\bkeys=(\d{1,18})\b", re.ASCII)
_DATABASE = re.compile(r"db(\d{1,5})")
#: Databases that are looked at.
MAX_DATABASES = 64


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """One server at one moment."""

    run_id: str = ""
    software: str = ""
    version: str = ""
    role: str = ""
    is_cluster: bool = False
    is_lfu: bool = False
    dataset_bytes: float | None = None
    keys: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def from_info(cls, fields: Mapping[str, str], software: str, version: str) -> "ServerFacts":
        """Return what the fields of INFO tell."""
        dataset = fields.get("used_memory_dataset", "")
        keys = {}
        for name, text in fields.items():
            if (database := _DATABASE.fullmatch(name)) and (count := _KEYS.search(text)):
                keys[int(database[1])] = int(count[1])
        return cls(
            run_id=fields.get("run_id", ""),
            software=software,
            version=version,
            role=fields.get("role", ""),
            is_cluster=fields.get("redis_mode") == "cluster" or fields.get("cluster_enabled") == "1",
            is_lfu="lfu" in fields.get("maxmemory_policy", ""),
            dataset_bytes=float(dataset) if dataset.isdecimal() and dataset.isascii() and len(dataset) < 20 else None,
            keys=dict(sorted(keys.items())[:MAX_DATABASES]),
        )

    @property
    def numbers(self) -> tuple[int, int]:
        """The first two numbers of the version."""
        match = _VERSION.match(self.version)
        return (int(match[1]), int(match[2])) if match else (0, 0)

    @property
    def has_no_touch(self) -> bool:
        """Whether CLIENT NO-TOUCH exists, so that reading a length leaves the idle time alone."""
        return self.software in ("redis", "valkey") and self.numbers >= _NO_TOUCH_SINCE

    @property
    def draws_fairly(self) -> bool:
        """Whether RANDOMKEY is nearly uniform."""
        return self.software == "valkey" or self.numbers >= _FAIR_SINCE

    @property
    def unevenness(self) -> float:
        """How much the chances of single keys differ, as a share of their mean."""
        return FAIR_UNEVENNESS if self.draws_fairly else OLD_UNEVENNESS


@dataclass(slots=True)
class Capabilities:
    """What the server permits. The sampler clears what was refused."""

    randomkey: bool = True
    scan: bool = True
    type: bool = True
    memory: bool = True
    pttl: bool = True
    recency: bool = True
    #: Whether lengths are read in place of sizes. Only without MEMORY USAGE, and only under CLIENT NO-TOUCH.
    lengths: bool = False
    #: ACL names of the denied commands.
    denied: set[str] = field(default_factory=set)

    def notes(self) -> list[str]:
        """Return what is missing, in sentences."""
        notes = []
        if not self.memory and self.lengths:
            notes.append("MEMORY USAGE is refused: the largest keys are ordered by length, and bytes are not estimated")
        elif not self.memory:
            notes.append("MEMORY USAGE is refused: only keys are counted")
        if not self.randomkey:
            notes.append("RANDOMKEY is refused: the keys of the walk take the place of random draws")
        if not self.scan:
            notes.append("SCAN is refused: rare and huge keys may be missing")
        if not self.type:
            notes.append("TYPE is refused: all types are shown as unknown")
        if not self.pttl:
            notes.append("PTTL is refused: it is not known which keys expire")
        if not self.recency:
            notes.append("OBJECT is refused: it is not known when keys were used")
        if self.denied:
            notes.append(f"grant {' '.join(f'+{name}' for name in sorted(self.denied))} (docs/acl.md)")
        return notes
