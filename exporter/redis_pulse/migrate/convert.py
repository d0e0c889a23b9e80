"""Which collectors run after a migration: what differs from the default set, and nothing else.

Which server, and who logs in: the flags that may hold a password, which is taken out and never shown.

From what was given to settings of ours, and what a person should know besides.

What Prometheus can do about names and series that flags of redis_exporter changed: rules to paste into a job.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from redis_pulse.config import ParsedUrl, parse_url
from redis_pulse.migrate import values
from redis_pulse.migrate.flag_parser import ParsedFlags, is_on
from redis_pulse.migrate.flags import FLAG_TABLE, Flag
from redis_pulse.migrate.values import DISABLED, UNCHANGED

NAMESPACE = "namespace"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
#: A name of a metric in a remark; ``redis_url`` and ``redis_exporter`` are none.
_METRIC = re.compile(r"\bredis_(?!url\b|exporter\b)(?=[a-z])")


def namespace_of(given: ParsedFlags) -> str:
    """Return what names began with; ``redis`` when that is not said, or no name can begin with it."""
    said = given.get(NAMESPACE)
    return said if _NAME.fullmatch(said) else "redis"


def rules(given: ParsedFlags) -> list[str]:
    """Return entries of ``metric_relabel_configs``, one a line."""
    found = []
    if given.is_on("redis-only-metrics"):
        found.append('- {source_labels: [__name__], regex: "(process|python)_.*", action: drop}')
    if (namespace := namespace_of(given)) != "redis":
        found.append(
            '- {source_labels: [__name__], regex: "redis_(.*)", target_label: __name__, '
            f'replacement: "{namespace}_$1"}}'
        )
    return found


def renamed(remark: str, given: ParsedFlags) -> str:
    """Return a remark in which metrics have the names that they have after these rules."""
    return _METRIC.sub(f"{namespace_of(given)}_", remark)


COLLECTORS = "collectors"
#: The set of the collectors that run when nothing is said.
DEFAULT = "default"


class CollectorChoices:
    """Collects which collectors run, and the options of those that do."""

    def __init__(self, names: Iterable[str], usual: Iterable[str]) -> None:
        self._names = list(names)
        self._usual = set(usual)
        self._on = set(self._usual)
        self._options: dict[str, dict[str, Any]] = {}

    def put(self, path: str, value: Any, *, enables: bool) -> None:
        """Set ``name`` (on or off) or ``name.option``."""
        name, _, option = path.partition(".")
        if value is DISABLED:
            self._on.discard(name)
            return
        if enables:
            self._on.add(name)
        if option:
            self._options.setdefault(name, {})[option] = value

    def settings(self) -> dict[str, dict[str, Any] | bool]:
        """Return the default set, what runs besides, what has options, and what is left out; nothing unless changed."""
        names = [*self._names, *sorted(self._on - set(self._names))]
        changed: dict[str, dict[str, Any] | bool] = {
            name: self._options.get(name) or True
            for name in names
            if name in self._on and (name not in self._usual or self._options.get(name))
        }
        changed |= {name: False for name in names if name in self._usual - self._on}
        return {DEFAULT: True, **changed} if changed else {}


_PLACE = 'password_file: "/run/secrets/redis-password"'
_ADVICE = "write the password into that file (mode 0400), then take the first # away"
_STAYS = "or leave it in REDIS_PASSWORD, which is read too"
_NAMED = 'targets: [{url: "redis://first:6379", name: first}, {url: "redis://second:6379", name: second}]'


class ConvertedLogin(NamedTuple):
    """Settings, hints that stand beside them, notes for the end."""

    settings: dict[str, Any]
    hints: list[str]
    notes: list[str]


def convert_login(given: ParsedFlags) -> ConvertedLogin:
    """Take address, user and password."""
    found = ConvertedLogin({}, [], [])
    parsed: ParsedUrl | None = None
    address = given.get("redis.addr")
    if not address:
        found.hints.append(f"{_NAMED}  # those that Prometheus named in its requests")
        found.notes.append(
            "-redis.addr was empty: name the targets here; username and password_file belong to each of them, or to a "
            "module that they refer to"
        )
    else:
        try:
            parsed = parse_url(address)
        except ValueError as error:  # its text holds nothing of the address
            found.hints.append('redis_url: "redis://host:6379"')
            found.notes.append(f"-redis.addr could not be read: it {error}")
        else:
            found.settings["redis_url"] = _url(parsed)
            if parsed.cert_reqs:
                found.settings["tls"] = {"cert_reqs": parsed.cert_reqs}
    if username := (parsed.username if parsed else None) or given.get("redis.user"):
        found.settings["username"] = username
    _password(given, parsed, found)
    if not address:
        _into_module(found)
    return found


def _url(parsed: ParsedUrl) -> str:
    endpoint = parsed.endpoint
    if endpoint.kind == "unix":
        query = f"?db={parsed.db}" if parsed.db else ""
        return "unix://" + endpoint.path.replace("%", "%25").replace("@", "%40").replace("?", "%3F") + query
    return f"{'rediss' if endpoint.tls else 'redis'}://{endpoint.address}" + (f"/{parsed.db}" if parsed.db else "")


def _password(given: ParsedFlags, parsed: ParsedUrl | None, found: ConvertedLogin) -> None:
    if given.get("redis.password") or (parsed is not None and parsed.password):
        where = "redis.password" if given.get("redis.password") else "redis.addr"
        stays = f"; {_STAYS}" if "redis.password" in given.from_environment else ""
        found.hints.append(f"{_PLACE}  # {_ADVICE}{stays}")
        found.notes.append(f"-{where} held a password, which is not shown here: {_ADVICE}{stays}")
    elif file := given.get("redis.password-file"):
        try:
            found.settings["password_file"] = values.path(file)
        except ValueError:
            found.hints.append(_PLACE)
            found.notes.append(
                "-redis.password-file names no file that is here, and may be a password, so it is not shown: write its "
                "path after password_file yourself"
            )
        else:
            if not found.settings["password_file"].startswith(("/", "~")):
                found.notes.append("-redis.password-file: a relative path begins where this file lies")


def _into_module(found: ConvertedLogin) -> None:
    """Put the credentials where targets of a file can refer to them."""
    credentials = {key: found.settings.pop(key) for key in ("username", "password_file") if key in found.settings}
    if credentials:
        found.settings["modules"] = {"redis_exporter": credentials}
        found.notes.append("targets that log in with these credentials say module: redis_exporter")


#: Rows that are taken together.
LOGIN = frozenset({"redis.addr", "redis.user", "redis.password", "redis.password-file"})


@dataclass(slots=True)
class Conversion:
    """Settings, as a file writes them; ``hints`` stand where a setting is missing, ``notes`` at the end.

    ``missing`` is what was asked for and is not in the settings; each is a note too. ``rules`` are for Prometheus.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def convert(given: ParsedFlags, known: Mapping[str, bool]) -> Conversion:
    """Make the settings; ``known`` are our collectors and whether they run when nothing is said."""
    made = Conversion(notes=list(given.remarks), missing=list(given.remarks), rules=rules(given))
    found = convert_login(given)
    made.settings |= found.settings
    made.hints += found.hints
    made.notes += found.notes
    collectors = CollectorChoices(known, (name for name, usual in known.items() if usual))
    for row in FLAG_TABLE:
        if row.flag not in LOGIN and (row.flag in given.values or row.default_differs):
            _take(row, given, made, collectors)
    made.settings["web"] = {"health_status": "always-200"}  # as redis_exporter answers /health
    if chosen := collectors.settings():
        made.settings[COLLECTORS] = chosen
    return made


def _take(row: Flag, given: ParsedFlags, made: Conversion, collectors: CollectorChoices) -> None:
    value, is_given = given.get(row.flag), row.flag in given.values
    try:
        if row.is_switch:
            value = "true" if is_on(row, value) else "false"
        taken = row.convert(value) if row.settings else UNCHANGED
    except ValueError:
        made.missing.append(f"-{row.flag}: its value cannot be taken over. {renamed(row.remark, given)}".rstrip())
        made.notes.append(made.missing[-1])
        return
    for path in row.settings if taken is not UNCHANGED else ():
        group, _, rest = path.partition(".")
        if group == COLLECTORS:
            collectors.put(rest, taken, enables=row.enables)
        elif rest:
            made.settings.setdefault(group, {})[rest] = taken
        else:
            made.settings[group] = taken
    if is_given and row.remark and (taken not in (UNCHANGED, DISABLED) if row.settings else value != row.default):
        remark = row.remark if row.flag == NAMESPACE else renamed(row.remark, given)
        made.notes.append(f"-{row.flag}: {remark.replace('migrate-flags prints it', 'it stands below')}")
        if row.protects:
            made.missing.append(f"-{row.flag} protected the pages. {row.remark}")
