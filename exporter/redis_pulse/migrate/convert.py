"""Convert parsed flags of redis_exporter to a configuration of redis-pulse.

``convert`` goes through the table of flags. The address and the login are converted together, because the address may
contain a password, and no password is shown. Collectors are collected first, because only those that differ from the
default set are written. Flags that changed names of metrics become rules for the scrape job of Prometheus.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis_pulse.config import ParsedUrl, parse_url
from redis_pulse.migrate import values
from redis_pulse.migrate.flag_parser import ParsedFlags, is_on
from redis_pulse.migrate.flags import FLAG_TABLE, Flag
from redis_pulse.migrate.values import DISABLED, UNCHANGED

COLLECTORS = "collectors"
#: The set of the collectors that run by default.
DEFAULT_SET = "default"
NAMESPACE = "namespace"
#: Flags that ``_convert_login`` converts together.
LOGIN_FLAGS = frozenset({"redis.addr", "redis.user", "redis.password", "redis.password-file"})

_FILE_HINT = 'password_file: "/run/secrets/redis-password"'
_FILE_ADVICE = "write the password into that file (mode 0400), then remove the first #"
_ENV_ADVICE = "or leave it in REDIS_PASSWORD, which redis-pulse reads too"
_EXAMPLE_TARGETS = 'targets: [{url: "redis://first:6379", name: first}, {url: "redis://second:6379", name: second}]'
_NAMESPACE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
#: The start of the name of a metric in a remark. ``redis_url`` and ``redis_exporter`` are not metrics.
_METRIC_PREFIX = re.compile(r"\bredis_(?!url\b|exporter\b)(?=[a-z])")


@dataclass(slots=True)
class Conversion:
    """The converted configuration.

    ``settings`` are nested as in the file. ``hints`` are written in place of a missing setting, ``notes`` at the end.
    ``missing`` are the flags that could not be converted; each is a note too. ``rules`` are for Prometheus.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    hints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)


def convert(parsed: ParsedFlags, known: Mapping[str, bool]) -> Conversion:
    """Return the converted configuration. ``known`` tells for each collector whether it runs by default."""
    conversion = Conversion(notes=list(parsed.remarks), missing=list(parsed.remarks), rules=relabel_rules(parsed))
    _convert_login(parsed, conversion)
    collectors = CollectorChoices(known, (name for name, is_default in known.items() if is_default))
    for flag in FLAG_TABLE:
        if flag.name not in LOGIN_FLAGS and (flag.name in parsed.values or flag.default_differs):
            _convert_flag(flag, parsed, conversion, collectors)
    conversion.settings["web"] = {"health_status": "always-200"}  # /health of redis_exporter always answers 200
    if chosen := collectors.settings():
        conversion.settings[COLLECTORS] = chosen
    return conversion


def _convert_flag(flag: Flag, parsed: ParsedFlags, conversion: Conversion, collectors: "CollectorChoices") -> None:
    text = parsed.get(flag.name)
    try:
        if flag.is_switch:
            text = "true" if is_on(flag, text) else "false"
        value = flag.convert(text) if flag.settings else UNCHANGED
    except ValueError:
        remark = rename_metrics(flag.remark, parsed)
        conversion.missing.append(f"-{flag.name}: its value cannot be converted. {remark}".rstrip())
        conversion.notes.append(conversion.missing[-1])
        return
    for path in flag.settings if value is not UNCHANGED else ():
        group, _, key = path.partition(".")
        if group == COLLECTORS:
            collectors.put(key, value, enables=flag.enables)
        elif key:
            conversion.settings.setdefault(group, {})[key] = value
        else:
            conversion.settings[group] = value
    has_effect = value not in (UNCHANGED, DISABLED) if flag.settings else text != flag.default
    if flag.name in parsed.values and flag.remark and has_effect:
        _add_remark(flag, parsed, conversion)


def _add_remark(flag: Flag, parsed: ParsedFlags, conversion: Conversion) -> None:
    remark = flag.remark if flag.name == NAMESPACE else rename_metrics(flag.remark, parsed)
    conversion.notes.append(f"-{flag.name}: {remark.replace('migrate-flags prints it', 'it is printed below')}")
    if flag.protects:
        conversion.missing.append(f"-{flag.name} protected the pages of redis_exporter. {flag.remark}")


# Address and login


def _convert_login(parsed: ParsedFlags, conversion: Conversion) -> None:
    """Convert the address, the user and the password."""
    url: ParsedUrl | None = None
    address = parsed.get("redis.addr")
    if not address:
        conversion.hints.append(f"{_EXAMPLE_TARGETS}  # the servers that Prometheus named in its requests")
        conversion.notes.append(
            "-redis.addr was empty: name the targets here; username and password_file belong to each of them, or to a "
            "module that they refer to"
        )
    else:
        try:
            url = parse_url(address)
        except ValueError as error:  # the message repeats no part of the address
            conversion.hints.append('redis_url: "redis://host:6379"')
            conversion.notes.append(f"-redis.addr could not be read: it {error}")
        else:
            conversion.settings["redis_url"] = _format_url(url)
            if url.cert_reqs:
                conversion.settings["tls"] = {"cert_reqs": url.cert_reqs}
    if username := (url.username if url else None) or parsed.get("redis.user"):
        conversion.settings["username"] = username
    _convert_password(parsed, url, conversion)
    if not address:
        _move_login_to_module(conversion)


def _format_url(url: ParsedUrl) -> str:
    """Return a URL without user and password."""
    endpoint = url.endpoint
    if endpoint.kind == "unix":
        query = f"?db={url.db}" if url.db else ""
        return "unix://" + endpoint.path.replace("%", "%25").replace("@", "%40").replace("?", "%3F") + query
    return f"{'rediss' if endpoint.tls else 'redis'}://{endpoint.address}" + (f"/{url.db}" if url.db else "")


def _convert_password(parsed: ParsedFlags, url: ParsedUrl | None, conversion: Conversion) -> None:
    """Write a hint in place of a password. Convert the path of a password file."""
    if parsed.get("redis.password") or (url is not None and url.password):
        flag = "redis.password" if parsed.get("redis.password") else "redis.addr"
        alternative = f"; {_ENV_ADVICE}" if "redis.password" in parsed.from_environment else ""
        conversion.hints.append(f"{_FILE_HINT}  # {_FILE_ADVICE}{alternative}")
        conversion.notes.append(f"-{flag} contained a password, which is not shown here: {_FILE_ADVICE}{alternative}")
    elif file := parsed.get("redis.password-file"):
        try:
            conversion.settings["password_file"] = values.path(file)
        except ValueError:
            conversion.hints.append(_FILE_HINT)
            conversion.notes.append(
                "-redis.password-file does not name a file of this host, and may be a password, so it is not shown: "
                "write its path after password_file yourself"
            )
        else:
            if not conversion.settings["password_file"].startswith(("/", "~")):
                conversion.notes.append("-redis.password-file: a relative path refers to the folder of this file")


def _move_login_to_module(conversion: Conversion) -> None:
    """Move the login to a module that targets of the file can refer to."""
    settings = conversion.settings
    login = {key: settings.pop(key) for key in ("username", "password_file") if key in settings}
    if login:
        settings["modules"] = {"redis_exporter": login}
        conversion.notes.append("targets with this login need module: redis_exporter")


# Collectors


class CollectorChoices:
    """Collects which collectors run, and their options."""

    def __init__(self, names: Iterable[str], default: Iterable[str]) -> None:
        self._names = list(names)
        self._default = set(default)
        self._enabled = set(self._default)
        self._options: dict[str, dict[str, Any]] = {}

    def put(self, path: str, value: Any, *, enables: bool) -> None:
        """Set ``name``, which enables or disables a collector, or ``name.option``."""
        name, _, option = path.partition(".")
        if value is DISABLED:
            self._enabled.discard(name)
            return
        if enables:
            self._enabled.add(name)
        if option:
            self._options.setdefault(name, {})[option] = value

    def settings(self) -> dict[str, dict[str, Any] | bool]:
        """Return the default set and each collector that differs from it, or an empty mapping if none does."""
        names = [*self._names, *sorted(self._enabled - set(self._names))]
        changed: dict[str, dict[str, Any] | bool] = {
            name: self._options.get(name) or True
            for name in names
            if name in self._enabled and (name not in self._default or self._options.get(name))
        }
        changed |= {name: False for name in names if name in self._default - self._enabled}
        return {DEFAULT_SET: True, **changed} if changed else {}


# Names of metrics


def namespace_of(parsed: ParsedFlags) -> str:
    """Return the prefix of names of metrics: ``redis``, unless a flag sets a valid one."""
    namespace = parsed.get(NAMESPACE)
    return namespace if _NAMESPACE.fullmatch(namespace) else "redis"


def relabel_rules(parsed: ParsedFlags) -> list[str]:
    """Return entries of ``metric_relabel_configs``, each one line."""
    rules = []
    if parsed.is_on("redis-only-metrics"):
        rules.append('- {source_labels: [__name__], regex: "(process|python)_.*", action: drop}')
    if (namespace := namespace_of(parsed)) != "redis":
        rules.append(
            '- {source_labels: [__name__], regex: "redis_(.*)", target_label: __name__, '
            f'replacement: "{namespace}_$1"}}'
        )
    return rules


def rename_metrics(remark: str, parsed: ParsedFlags) -> str:
    """Return a remark with the names that metrics have after ``relabel_rules``."""
    return _METRIC_PREFIX.sub(f"{namespace_of(parsed)}_", remark)
