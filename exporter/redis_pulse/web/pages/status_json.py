"""The data of the pages as JSON: ``/api/v1/status``. ``openapi.json`` beside this module describes it."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from redis_pulse.stalls import StallRecord
from redis_pulse.status import StatusEvent, TargetState, decode, state_of
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.hour_view import HOUR, end_of_hour
from redis_pulse.web.pages.problems import ProblemRow
from redis_pulse.web.pages.sentences import sentences
from redis_pulse.web.status_interface import OwnStatus, StatusDetails, StatusView

VERSION = 1


@cache
def openapi() -> str:
    """Return the description of the interface (OpenAPI 3.1)."""
    return resources.files(__package__).joinpath("openapi.json").read_text(encoding="utf-8")


def head(
    own: OwnStatus, now: float, problems: Sequence[ProblemRow], counts: Mapping[TargetState, int]
) -> dict[str, Any]:
    """Return everything except the targets and the events."""
    return {
        "version": VERSION,
        "at": texts.iso(now),
        "exporter": own_json(own),
        "states": dict(counts),
        "problems": [problem_json(row) for row in problems],
    }


def own_json(own: OwnStatus) -> dict[str, Any]:
    """Return the state of the exporter itself."""
    return {
        "version": own.version,
        "started": texts.iso(own.started),
        "healthy": own.is_healthy,
        "configuration": {
            "file": own.file or None,
            "loaded": texts.iso(own.loaded_at),
            "refused": None if own.refused_at is None else texts.iso(own.refused_at),
            "problem": own.problem or None,
        },
        "sources": [
            {
                "kind": source.kind,
                "name": source.name,
                "targets": source.targets,
                "last_success": None if source.last_success is None else texts.iso(source.last_success),
                "failing_since": None if source.failing_since is None else texts.iso(source.failing_since),
                "error": source.error or None,
            }
            for source in own.sources
        ],
        "late_pings": own.late_pings,
        "due_pings": own.due_pings,
        "max_loop_lag_seconds": own.max_lag,
        "resident_bytes": own.resident_bytes,
    }


def problem_json(row: ProblemRow) -> dict[str, Any]:
    """Return a problem with its advice. ``code`` is that of ``redis-pulse doctor``."""
    return {
        "state": row.state,
        "code": row.said.code,
        "title": row.title,
        "since": texts.iso(row.since),
        "targets": list(row.targets),
        "why": row.said.why,
        "evidence": row.said.evidence or None,
        "do": row.said.do,
        "command": row.said.command or None,
    }


def status_json(view: StatusView, now: float) -> dict[str, Any]:
    """Return the state of a target, without its history."""
    rows = view.hour.rows(view.minute)
    recent = [row for row in rows[-5:] if row[2]]
    said = sentences(view, now)
    return {
        "name": view.name,
        "address": view.address,
        "labels": dict(view.labels),
        "state": view.state,
        "since": texts.iso(view.since),
        "since_start": view.since_start,
        "reason": view.reason or None,
        "error": view.error or None,
        "code": said.code or None,
        "breaker": view.breaker,
        "p50_seconds": decode(sorted(row[2] for row in recent)[len(recent) // 2]) if recent else None,
        "p99_seconds": decode(max(row[3] for row in recent)) if recent else None,
        "max_seconds": decode(max(row[4] for row in rows)),
        "pings": sum(row[0] for row in rows),
        "failed": sum(row[1] for row in rows),
        "stalls": len(view.stalls),
        "memory_ratio": view.memory,
        "server": {
            "software": view.software,
            "version": view.version,
            "role": view.role,
            "mode": view.mode,
            "service": view.service,
        },
        "risks": [risk.key for risk in view.risks],
        "failing": [
            {"collector": one.name, "reason": one.reason, "error": one.error, "commands": list(one.commands)}
            for one in view.failing
        ],
    }


def details_json(view: StatusView, details: StatusDetails, now: float) -> dict[str, Any]:
    """Return a target with its last hour, its events, its stalls and its collectors."""
    began = end_of_hour(view.minute) - HOUR
    minutes = [
        {
            "at": texts.iso(began + index * 60),
            "pings": row[0],
            "failed": row[1],
            "p50_seconds": decode(row[2]),
            "p99_seconds": decode(row[3]),
            "max_seconds": decode(row[4]),
            "state": state_of(row[5]) if row[0] else None,
            "breaker_not_closed_ratio": round(row[6] / 255, 3),
        }
        for index, row in enumerate(view.hour.rows(view.minute))
    ]
    said = sentences(view, now)
    return {
        **status_json(view, now),
        "advice": {"why": said.why, "evidence": said.evidence, "do": said.do, "command": said.command}
        if said.code
        else None,
        "minutes": minutes,
        "failures": {reason: list(counts) for reason, counts in sorted(details.failures.items())},
        "events": [event_json(event) for event in details.events],
        "stall_records": [_stall(record) for record in view.stalls],
        "collectors": [
            {
                "name": one.name,
                "outcome": one.outcome,
                "seconds": one.seconds,
                "age_seconds": one.age,
                "error": one.error or None,
                "commands": list(one.commands),
            }
            for one in details.collectors
        ],
    }


def event_json(event: StatusEvent) -> dict[str, Any]:
    """Return an event."""
    return {
        "at": texts.iso(event.at),
        "target": event.target or None,
        "kind": event.kind,
        "state": event.state,
        "text": event.text,
    }


def _stall(record: StallRecord) -> dict[str, Any]:
    return record.to_plain()


def iso(at: float) -> str:
    """Return a time as the interface writes it."""
    return texts.iso(at)


def dumps(value: object) -> str:
    """Return JSON in one line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
