"""Render ``docs/acl.md`` and the line of docs/collectors.md from ``redis_pulse.doctor.acl_lines``."""

from collections.abc import Iterable, Mapping

from redis_pulse.collectors import LEAN, Collector
from redis_pulse.doctor.acl_lines import (
    ALL_SERVERS,
    ALWAYS,
    GROUP_BY_COMMAND,
    LIBRARY_NAME,
    PASSWORD,
    PATTERN,
    READ_COMMANDS,
    SCRIPT_COMMANDS,
    SENTINEL,
    SET_LIBRARY_NAME,
    SOURCES,
    USER,
    WRITE_COMMANDS,
    WRITING_SCRIPTS,
    addition,
    commands_by_group,
    declared_command,
    discovery_line,
    key_rule,
    line,
    sentinel_collectors,
    sentinel_line,
    server_group,
    shell_command,
    source_addition,
)

__all__ = [
    "ALL_SERVERS",
    "ALWAYS",
    "GROUP_BY_COMMAND",
    "LIBRARY_NAME",
    "PASSWORD",
    "PATTERN",
    "READ_COMMANDS",
    "SCRIPT_COMMANDS",
    "SENTINEL",
    "SET_LIBRARY_NAME",
    "SOURCES",
    "USER",
    "WRITE_COMMANDS",
    "WRITING_SCRIPTS",
    "addition",
    "commands_by_group",
    "declared_command",
    "default_set_part",
    "discovery_line",
    "key_rule",
    "line",
    "page",
    "sentinel_collectors",
    "sentinel_line",
    "server_group",
    "shell_command",
    "source_addition",
]


def default_set_part(collectors: Mapping[str, Collector]) -> str:
    """Return the part of docs/collectors.md that quotes the line of the default set."""
    # The command is one line of a code block, so that it can be copied from the file too.
    command = shell_command(line(collector for collector in collectors.values() if collector.default))
    title = "A user with exactly the permissions of the default set ([more](acl.md)):"
    return f"{title}\n\n```sh\n{command}\n```\n"


def page(collectors: Mapping[str, Collector]) -> str:
    """Return the rendered part of ``docs/acl.md``."""
    everything = tuple(collectors.values())
    default = tuple(collector for collector in everything if collector.default)
    parts = [
        _section("## The default set", default),
        _section("## The set `lean`", tuple(collectors[name] for name in LEAN)),
        _section("## Every collector", everything),
        "## Redis 6\n\nRedis 6 has no read-only key patterns and no read-only scripts. Every collector:\n",
        _code_block(line(everything, redis_6=True)),
        "## Discovered targets\n",
        *(
            text
            for kind, (servers, _) in SOURCES.items()
            for text in (f"Also on {servers}:\n", _code_block(source_addition(kind)))
        ),
        "## Sentinels that name the targets\n\nThis is the user of `sentinel.username`, on each Sentinel.",
        "Without `+subscribe`, failovers are found by queries only.\n",
        _code_block(discovery_line()),
        "## Single collectors\n\nEach line has all permissions of a target with this collector only.\n",
        *(_section(f"### `{name}`", (collector,)) for name, collector in collectors.items()),
    ]
    return "\n".join(parts)


def _section(title: str, collectors: tuple[Collector, ...]) -> str:
    groups = [group for group in commands_by_group(collectors) if group not in (ALL_SERVERS, SENTINEL)]
    sentinel_groups = [group for group in groups if group.startswith("Sentinel")]
    text = [title, ""]
    if set(sentinel_collectors(collectors)) != set(collectors) or SENTINEL not in commands_by_group(collectors):
        text.append(_code_block(line(collectors)))
    if other_groups := [group for group in groups if group not in sentinel_groups]:
        text += _additions(collectors, other_groups)
    if sentinel_collectors(collectors):
        text += ["On a Sentinel, which has separate users:", "", _code_block(sentinel_line(collectors))]
    return "\n".join([*text, *_additions(collectors, sentinel_groups)])


def _additions(collectors: tuple[Collector, ...], groups: Iterable[str]) -> list[str]:
    return [text for group in groups for text in (f"Also on {group}:", "", _code_block(addition(collectors, group)))]


def _code_block(text: str) -> str:
    return f"```sh\n{shell_command(text)}\n```\n"
