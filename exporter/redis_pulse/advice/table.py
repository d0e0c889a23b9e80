"""All advice, by code, key, reason, cause and alert."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType

from redis_pulse.advice.model import Advice
from redis_pulse.advice.of_exporter import EXPORTER
from redis_pulse.advice.of_server import SERVER
from redis_pulse.advice.of_stalls import STALLS
from redis_pulse.advice.of_the_way import THE_WAY

#: Every row, in the order of the codes.
TABLE: tuple[Advice, ...] = tuple(sorted((*THE_WAY, *SERVER, *STALLS, *EXPORTER), key=lambda row: row.code))
BY_CODE: Mapping[str, Advice] = MappingProxyType({row.code: row for row in TABLE})
BY_KEY: Mapping[str, Advice] = MappingProxyType({row.key: row for row in TABLE})


def _by_alert() -> Mapping[str, tuple[Advice, ...]]:
    rows: dict[str, list[Advice]] = defaultdict(list)
    for row in TABLE:
        for alert in row.alerts:
            rows[alert].append(row)
    return MappingProxyType({alert: tuple(found) for alert, found in rows.items()})


#: Name of an alert → the rows that explain it.
BY_ALERT: Mapping[str, tuple[Advice, ...]] = _by_alert()


#: Words in the text of an error, and the rows that are more exact than that of its reason. Most are hints that
#: ``client.error_mapping`` adds. A login can fail without the server: its source or its file may be the cause.
_HINTS = (
    ("there is no login", "auth.token"),
    ("cannot read the password file", "secret.unreadable"),
    ("the password file has no entry", "auth.missing"),
    ("NOAUTH", "auth.missing"),
    ("in protected mode", "auth.protected"),
    ("without any password configured", "auth.unexpected"),
    ("no password is set", "auth.unexpected"),
    ("try rediss://", "tls.wanted"),
    ("try redis://", "tls.plain_port"),
    ("wants a client certificate", "tls.client_certificate"),
)


def for_key(key: str) -> Advice:
    """Return the row with this key. Raises KeyError for another key, because keys are a closed list."""
    return BY_KEY[key]


def for_reason(reason: str) -> Advice:
    """Return the row for a reason of ``errors.REASONS``, or that of ``other``."""
    return BY_KEY.get(reason, BY_KEY["other"])


def for_error(reason: str, text: str) -> Advice:
    """Return the row for an error: that of the words in its text, or that of its reason."""
    key = next((key for hint, key in _HINTS if hint in text), None)
    return for_reason(reason) if key is None else BY_KEY[key]


def for_cause(cause: str) -> Advice:
    """Return the row for a cause of a stall, or that of an unknown cause."""
    return BY_KEY.get(f"stall.{cause}", BY_KEY["stall.unknown"])
