"""The page of one target: what is or was wrong, its last hour, stalls, facts, collectors and events."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from redis_pulse.advice import for_cause, for_key
from redis_pulse.server_info import title_of
from redis_pulse.stalls import StallRecord
from redis_pulse.status import TONES, WORDS, TargetState, format_size
from redis_pulse.web.pages import texts
from redis_pulse.web.pages.hour_view import hour_view, quiet_minutes_left_out
from redis_pulse.web.pages.own_view import frame, own_view
from redis_pulse.web.pages.page_query import PageQuery
from redis_pulse.web.pages.problems import ProblemRow, own_problems
from redis_pulse.web.pages.sentences import Sentences, cli_words, next_poll, sentences
from redis_pulse.web.pages.server_line import server_words
from redis_pulse.web.pages.stall_evidence import evidence_rows
from redis_pulse.web.pages.texts import own as html
from redis_pulse.web.pages.verdict import phrase
from redis_pulse.web.status_interface import CollectorView, OwnStatus, StatusDetails, StatusView

HEIGHT = 150
#: Shapes and words of the outcomes of a collector, in the order of the table.
_OUTCOMES = {
    "failing": ("unsteady", "failing"),
    "denied": ("limited", "denied"),
    "unsupported": ("none", "not supported"),
    "ok": ("ok", "ok"),
}


def target_page(
    view: StatusView,
    details: StatusDetails,
    own: OwnStatus,
    query: PageQuery,
    now: float,
    *,
    total: int,
    telemetry_path: str,
) -> dict[str, Any]:
    """Return the values of the template."""
    name = texts.short(view.name)
    notice = "the exporter has a problem" if own_problems(own, now) else ""
    return {
        "page": frame(f"{name}: {WORDS[view.state]}", view.state, query, now, telemetry_path)
        | {"notice": notice, "all": "./"},
        "self_": own_view(own, now),
        "total": total,
        "problems": _problems(view, now),
        "event_rows": details.events,
        "now": now,
        "t": {
            "name": view.name,
            "state": view.state,
            "verdict": phrase(view.state),
            "line": _line(view),
            "history": hour_view(view, details.failures, details.events, HEIGHT),
            "minutes": quiet_minutes_left_out(view, details.failures),
            "stalls": [_stall(record, view) for record in view.stalls],
            "facts": _facts(view, details, now),
            "collectors": [_collector(one, view) for one in _sorted(details.collectors)],
            "collectors_say": _count(details.collectors),
        },
    }


def _line(view: StatusView) -> Markup:
    rows = view.hour.rows(view.minute)[-5:]
    count, failed = sum(row[0] for row in rows), sum(row[1] for row in rows)
    server = server_words(view)
    return html(
        "{} of the last {} pings failed. {}{}",
        *(texts.number(failed), texts.number(count), view.address, f", {server}" if server else ""),
    )


def _problems(view: StatusView, now: float) -> list[ProblemRow]:
    """Return the problem of a target, and the lesser ones that its state hides."""
    if view.state in ("ok", "starting"):
        return []
    note = "or earlier: so since we watch it" if view.since_start else ""
    rows = [_problem(view, view.state, sentences(view, now), note, view.since)]
    hidden: list[StatusView] = []
    if view.state not in ("down", "stalled"):
        risks = view.risks[1:] if view.state == "risk" else view.risks
        hidden += [replace(view, state="risk", risks=(risk,)) for risk in risks]
        hidden += [replace(view, state="limited")] if view.failing and view.state != "limited" else []
    return [
        *rows,
        *(_problem(other, other.state, sentences(other, now), "at the newest poll", now) for other in hidden),
    ]


def _problem(view: StatusView, state: TargetState, said: Sentences, note: str, since: float) -> ProblemRow:
    sub = ", ".join(f"{name}={value}" for name, value in view.labels.items())
    return ProblemRow(state, WORDS[state], TONES[state], view.name, sub, since, note, said, "", (view.name,))


def _stall(record: StallRecord, view: StatusView) -> dict[str, Any]:
    verdict = record.verdict
    why = "The evidence is not complete yet." if verdict is None else f"{verdict.why[:1].upper()}{verdict.why[1:]}"
    cause = "not known yet" if verdict is None else verdict.cause.replace("_", " ")
    advice = for_cause("unknown" if verdict is None else verdict.cause).fill(
        {"cli": cli_words(view), "host": view.host}
    )
    slots = [f"{count} {word}" for count, word in ((record.slow, "slow"), (record.timeouts, "timed out")) if count]
    return {
        "cause": cause,
        "certainty": "" if verdict is None else verdict.certainty,
        "started": record.started,
        "seconds": record.seconds,
        "is_running": record.ended is None,
        "slots": ", ".join(slots) or "none met it",
        "why": why,
        "do": advice.do if verdict is None else verdict.do or advice.do,
        "code": advice.code,
        "evidence": evidence_rows(record.to_plain().get("evidence") or {}),
    }


def _facts(view: StatusView, details: StatusDetails, now: float) -> list[tuple[str, list[tuple[str, object]]]]:
    return [
        ("Connection", _connection(view, details, now)),
        ("Server", _server(view, details)),
        ("Memory", _memory(details, now)),
        ("Identity", _identity(view, details)),
    ]


def _connection(view: StatusView, details: StatusDetails, now: float) -> list[tuple[str, object]]:
    kind = "TLS" if view.is_tls else "plain TCP" if view.host else "unix socket"
    rows: list[tuple[str, object]] = [("Address", html("{}, {}, user `{}`", view.address, kind, view.user))]
    if details.rtt is not None:
        least = f", {texts.milliseconds(details.min_rtt)} at least" if details.min_rtt is not None else ""
        rows.append(("Round trip of TCP", texts.milliseconds(details.rtt) + least))
    if details.retransmits is not None:
        rows.append(("Sent again", texts.plural(details.retransmits, "segment")))
    if details.connected_since is not None:
        since = texts.clock(details.connected_since)
        rows.append(("Answering for", f"{texts.span(now - details.connected_since)}, since {since} UTC"))
    breaker = view.breaker.replace("_", " ")
    if view.next_try_seconds is not None:
        breaker += f", next poll {next_poll(view.next_try_seconds)}"
    return [*rows, ("Circuit breaker", breaker)]


def _server(view: StatusView, details: StatusDetails) -> list[tuple[str, object]]:
    numbers, replication = details.numbers, details.replication
    rows: list[tuple[str, object]] = []
    software = f"{title_of(view.software)} {view.version}" if view.software else ""
    service = title_of(view.service) if view.service else ""
    known = (("Software", software), ("Service", service), ("Mode", view.mode), ("Role", view.role))
    rows += [(name, value) for name, value in known if value]
    if replication.master:
        state = "up" if replication.link_up else "down"
        rows.append(("Replication", f"link to {replication.master} is {state}"))
    elif replication.replicas:
        lag = "" if replication.lag_bytes is None else f", at most {format_size(replication.lag_bytes)} behind"
        rows.append(("Replication", texts.plural(replication.replicas, "replica") + lag))
    if (uptime := numbers.get("redis_uptime_in_seconds")) is not None:
        rows.append(("Running", texts.span(uptime)))
    if (clients := numbers.get("redis_connected_clients")) is not None:
        most = numbers.get("redis_max_clients")
        of = f" of {texts.number(most)}" if most else ""
        blocked = numbers.get("redis_blocked_clients", 0)
        rows.append(("Clients", f"{texts.number(clients)}{of}, {texts.number(blocked)} blocked"))
    if (load := numbers.get("redis_instantaneous_commands_per_second")) is not None:
        rows.append(("Load", f"{texts.number(load)} commands a second"))
    if details.slow_command is not None:
        command, seconds = details.slow_command
        rows.append(("Newest slow command", html("`{}`, {}", command, texts.duration(seconds))))
    return rows or [("Server", "not known")]


def _memory(details: StatusDetails, now: float) -> list[tuple[str, object]]:
    numbers = details.numbers
    used, most = numbers.get("redis_memory_used_bytes"), numbers.get("redis_memory_max_bytes")
    rows: list[tuple[str, object]] = []
    if used is not None and most:
        percent = 100 * used / most
        bar = '<svg class="m" aria-hidden="true"><rect{} width="{}%" height="100%"/></svg>'
        drawn = Markup(bar).format(Markup(' class="hot"') if percent > 90 else "", f"{min(100, percent):.0f}")  # noqa: S704
        rows.append(
            (
                "Used",
                html("{} {} % of `maxmemory`: {} of {}", drawn, f"{percent:.0f}", format_size(used), format_size(most)),
            )
        )
    elif used is not None:
        rows.append(("Used", html("{}, and `maxmemory` sets no limit", format_size(used))))
    if details.policy:
        evicts = "writes fail" if details.policy == "noeviction" else "keys are evicted"
        rows.append(("When full", html("`{}`: {}", details.policy, evicts)))
    if (ratio := numbers.get("redis_mem_fragmentation_ratio")) is not None:
        rows.append(("Fragmentation", f"{ratio:.2f}"))
    if (saved := numbers.get("redis_rdb_last_save_timestamp_seconds")) is not None:
        outcome = "ok" if numbers.get("redis_rdb_last_bgsave_status", 1) else "the newest one failed"
        rows.append(("Newest snapshot", f"{texts.span(now - saved)} ago, {outcome}"))
    return rows or [("Memory", "not known")]


def _identity(view: StatusView, details: StatusDetails) -> list[tuple[str, object]]:
    name = quote(view.name, safe="")
    queries = html(
        '<a href="scrape?target={}">metrics</a>, <a href="stalls?target={}">stalls</a>, '
        '<a href="keyspace?target={}">keys</a>, <a href="api/v1/status?target={}">JSON</a>',
        *(name, name, name, name),
    )
    declared = [("Declared in", html("`{}`", details.declared_in))] if details.declared_in else []
    return [("target", view.name), *view.labels.items(), *declared, ("Queries", queries)]


def _sorted(collectors: Sequence[CollectorView]) -> list[CollectorView]:
    return sorted(collectors, key=lambda one: (list(_OUTCOMES).index(one.outcome), one.name))


def _count(collectors: Sequence[CollectorView]) -> str:
    counts = Counter(one.outcome for one in collectors)
    return ", ".join(f"{counts[key]} {word}" for key, (_, word) in reversed(_OUTCOMES.items()) if counts[key])


def _collector(collector: CollectorView, view: StatusView) -> dict[str, Any]:
    state, word = _OUTCOMES[collector.outcome]
    text: object = ""
    command = ""
    if collector.outcome == "denied":
        values = {
            "user": view.user,
            "commands": ", ".join(collector.commands),
            "collectors": collector.name,
            "admin_cli": cli_words(view, is_admin=True),
            "words": tuple(f"+{one}" for one in collector.commands),
        }
        filled = for_key("denied").fill(values)
        text, command = filled.why, filled.command
    elif collector.outcome == "failing":
        text = f"{view.reason}: the target does not answer" if view.state == "down" else collector.error
    elif collector.outcome == "unsupported":
        text = for_key("collector.unsupported").fill({"collectors": collector.name}).why
    return {
        "name": collector.name,
        "state": state,
        "word": word,
        "took": texts.latency(collector.seconds),
        "age": texts.NONE if collector.age is None else texts.span(collector.age),
        "text": text,
        "command": command,
    }
