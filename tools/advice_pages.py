"""Render the table of advice: a page for each code, their list, and parts of runbooks and of the troubleshooting."""

import re
from collections.abc import Iterable

from redis_pulse.advice import BY_ALERT, TABLE, Advice, placeholders
from redis_pulse.advice.model import FilledAdvice

#: First digits of the codes → what they are about.
_CHAPTERS = {
    "RP0": "Doctor itself",
    "RP1": "Configuration and secrets",
    "RP2": "Name, connection, TLS, protocol",
    "RP3": "Login and permissions",
    "RP4": "State of the server",
    "RP5": "Latency and stalls",
    "RP6": "Cost and collectors",
    "RP7": "The exporter and its host",
    "RP8": "Discovery",
    "RP9": "Prometheus and Alertmanager",
}
#: Codes in one cell of the table of alerts.
_MAX_CODES = 6
#: What a placeholder stands for, where its name does not say it.
_OPTIONS = {
    "`CLI`": "`CLI` is the address and the login of the exporter: `-h HOST -p PORT --user USER --askpass`.",
    "`ADMIN_CLI`": (
        "`ADMIN_CLI` is the address of the server: `-h HOST -p PORT`. Add the login of an administrator.\n"
        "[Sending commands](../runbooks/README.md#sending-commands) has examples, also for\n"
        "[managed services](../runbooks/README.md#managed-services), which refuse some commands."
    ),
}
_MARK = "Rendered by `make docs` from `exporter/redis_pulse/advice/`."


def pages() -> dict[str, str]:
    """Return the page of each code and the list of all codes, by path."""
    return {"docs/findings/README.md": _index(), **{f"docs/{row.link}": _page(row) for row in TABLE}}


def runbook_parts() -> dict[str, str]:
    """Return the rendered part of each runbook, by path."""
    return {f"docs/runbooks/{alert}.md": _runbook(rows) for alert, rows in BY_ALERT.items()}


def troubleshooting_part() -> str:
    """Return the table of all codes for docs/troubleshooting.md."""
    return _table(TABLE, "findings/")


def codes_of(alert: str) -> str:
    """Return the first codes that explain an alert, as links for a page in ``docs/``. The runbook has all."""
    links = [f"[{row.code}]({row.link})" for row in BY_ALERT.get(alert, ())]
    return ", ".join(links[:_MAX_CODES]) + (", …" if len(links) > _MAX_CODES else "")


def _index() -> str:
    parts = [
        "# Findings",
        "",
        "Each finding of [`redis-pulse doctor`](../doctor.md) has a code. The same codes are on the",
        "status page, in the runbooks and in the log.",
        "",
        "<!-- findings -->",
        "",
    ]
    for digits, title in _CHAPTERS.items():
        rows = [row for row in TABLE if row.code.startswith(digits)]
        if rows:
            parts += [f"## {title}", "", _table(rows, ""), ""]
    return "\n".join([*parts, "<!-- /findings -->", ""])


def _page(row: Advice) -> str:
    filled = row.fill()
    parts = [
        f"# {row.code}: {row.title}",
        "",
        f"<!-- finding -->\n\nSeverity: {row.severity}. {_MARK}",
        "",
        f"**Why.** {_escaped(filled.why)}",
        "",
        f"**Do.** {_escaped(filled.do)}",
    ]
    if filled.command:
        parts += ["", "```sh", filled.command, "```"]
    if names := _placeholders(row, filled):
        parts += ["", f"Words in capitals stand for values of the case: {', '.join(names)}."]
    parts += [line for name in names for line in ("", _OPTIONS.get(name, "")) if name in _OPTIONS]
    if row.alerts:
        links = ", ".join(f"[{alert}](../runbooks/{alert}.md)" for alert in row.alerts)
        parts += ["", f"**Alerts.** {links}"]
    if row.more:
        parts += ["", f"**More.** [{row.more}](../{row.more})"]
    return "\n".join([*parts, "", "<!-- /finding -->", "", "[All findings](README.md)", ""])


def _placeholders(row: Advice, filled: FilledAdvice) -> list[str]:
    words = set(re.findall(r"\w+", f"{filled.why} {filled.do} {filled.command}"))
    return [f"`{name}`" for name in sorted(words & {name.upper() for name in placeholders(row)})]


def _runbook(rows: Iterable[Advice]) -> str:
    heading = "`redis-pulse doctor TARGET --config FILE` names the cause by its code:"
    return f"## Findings\n\n{heading}\n\n{_table(rows, '../findings/')}"


def _table(rows: Iterable[Advice], folder: str) -> str:
    lines = ["| code | severity | finding | what to do |", "| --- | --- | --- | --- |"]
    for row in rows:
        filled = row.fill()
        cells = (f"[{row.code}]({folder}{row.code}.md)", row.severity, filled.title, filled.do)
        lines.append(f"| {' | '.join(_escaped(cell) if cell[0] != '[' else cell for cell in cells)} |")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
