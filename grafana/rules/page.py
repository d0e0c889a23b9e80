"""Groups of rules as files: YAML for Prometheus, JSON for the mixin, a table for the docs."""

import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from grafana.rules import (
    availability,
    capacity,
    durability,
    exporters,
    keyspace,
    records,
    replication,
    slo,
    stalls,
    topology,
)
from grafana.rules.rule import Alert, Group, Record
from grafana.rules.settings import Settings

WIDTH = 118
#: Stands for a space where a line must not be broken.
_NO_BREAK = "\0"


def recording(settings: Settings) -> tuple[Group, ...]:
    """Return all groups of recorded series."""
    return (*slo.records(settings), records.records(settings), replication.records(settings))


def alerting(settings: Settings) -> tuple[Group, ...]:
    """Return all groups of alerts."""
    return (
        availability.alerts(settings),
        exporters.alerts(settings),
        slo.alerts(settings),
        stalls.alerts(settings),
        capacity.alerts(settings),
        keyspace.alerts(settings),
        replication.alerts(settings),
        *durability.alerts(settings),
        topology.alerts(settings),
    )


def alerts(settings: Settings) -> list[Alert]:
    """Return every alert."""
    return [rule for group in alerting(settings) for rule in group.rules if isinstance(rule, Alert)]


def yaml(groups: tuple[Group, ...], settings: Settings, head: str) -> str:
    """Return the text of a rule file; ``head`` is the comment at its top."""
    lines = [*_comment(head, ""), "groups:"]
    for group in groups:
        lines.append(f"  - name: {group.name}")
        if group.interval:
            lines.append(f"    interval: {group.interval}")
        lines.append("    rules:")
        for rule in group.rules:
            lines += _comment(rule.why, "      ")
            lines += _alert(rule, settings) if isinstance(rule, Alert) else _record(rule)
            if isinstance(rule, Alert) and rule is not group.rules[-1]:
                lines.append("")
    return "\n".join(lines) + "\n"


def model(groups: tuple[Group, ...], settings: Settings) -> dict[str, Any]:
    """Return groups as plain data in the format of Prometheus."""
    return {
        "groups": [
            {
                "name": group.name,
                **({"interval": group.interval} if group.interval else {}),
                "rules": [_rule_model(rule, settings) for rule in group.rules],
            }
            for group in groups
        ]
    }


def json_text(groups: tuple[Group, ...], settings: Settings) -> str:
    """Return groups as JSON, which jsonnet imports."""
    return json.dumps(model(groups, settings), indent=2, ensure_ascii=False) + "\n"


def rows(settings: Settings) -> Iterator[list[str]]:
    """Yield the rows of the table in the docs: alert, severity, for, condition."""
    for alert in alerts(settings):
        link = f"[{alert.name}](runbooks/{alert.name}.md)"
        yield [link, alert.severity, settings.wait(alert.wait) if alert.wait else "0", alert.idea]


def _alert(alert: Alert, settings: Settings) -> Iterator[str]:
    yield f"      - alert: {alert.name}"
    yield from _expression(alert.expression)
    if alert.wait:
        yield f"        for: {settings.wait(alert.wait)}"
    if alert.keep:
        yield f"        keep_firing_for: {settings.wait(alert.keep)}"
    yield "        labels:"
    yield f"          severity: {alert.severity}"
    yield "        annotations:"
    for name, text in _annotations(alert, settings).items():
        yield from _text(name, text)


def _record(record: Record) -> Iterator[str]:
    yield f"      - record: {record.name}"
    yield from _expression(record.expression)


def _rule_model(rule: Alert | Record, settings: Settings) -> dict[str, Any]:
    if isinstance(rule, Record):
        return {"record": rule.name, "expr": rule.expression}
    return {
        "alert": rule.name,
        "expr": rule.expression,
        **({"for": settings.wait(rule.wait)} if rule.wait else {}),
        **({"keep_firing_for": settings.wait(rule.keep)} if rule.keep else {}),
        "labels": {"severity": rule.severity},
        "annotations": _annotations(rule, settings),
    }


def _annotations(alert: Alert, settings: Settings) -> dict[str, str]:
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": f"{settings.runbooks}/{alert.name}.md",
    }


def _expression(text: str) -> Iterator[str]:
    if "\n" in text or ": " in text or " #" in text or text[0] in "{['\"&*!|>%@`-":
        yield "        expr: |-"
        yield from (f"          {line}" for line in text.splitlines())
    else:
        yield f"        expr: {text}"


def _text(name: str, text: str) -> Iterator[str]:
    """Yield the lines of an annotation: one line if it fits, else a folded block."""
    line = f"          {name}: '{text.replace(chr(39), chr(39) * 2)}'"
    if name == "runbook_url":
        yield f"          {name}: {text}"
    elif len(line) <= WIDTH:
        yield line
    else:
        yield f"          {name}: >-"
        # Do not break lines within the braces of a template.
        words = re.sub(r"\{\{.*?\}\}", lambda template: template[0].replace(" ", _NO_BREAK), text)
        for part in textwrap.wrap(words, WIDTH - 12, break_long_words=False, break_on_hyphens=False):
            yield f"            {part.replace(_NO_BREAK, ' ')}"


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH + 2, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ", break_long_words=False
    )
