"""Why a target is in its state, and what to do.

The texts are rows of the table of advice, with the values of the target.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from redis_pulse.advice import Advice, for_cause, for_error, for_key, for_reason, placeholders
from redis_pulse.advice.model import Value
from redis_pulse.status import WORDS, TargetState
from redis_pulse.web.pages import texts
from redis_pulse.web.status_interface import StatusView

_SENTENCE_END = re.compile(r"(?<=\.)\s+")
_EMPTY = Advice("", "", "note", "", "", "")


@dataclass(frozen=True, slots=True)
class Sentences:
    """What a page says about a problem. ``code`` is that of the advice."""

    code: str
    #: what the targets of one problem have in common, apart from their state
    group: str
    why: str
    evidence: str
    do: str
    command: str


def sentences(view: StatusView, now: float) -> Sentences:
    """Return why a target is in its state, and what to do."""
    say = _BY_STATE.get(view.state)
    return Sentences("", view.state, "", "", "", "") if say is None else say(view, now)


def cli_words(view: StatusView, *, is_admin: bool = False) -> tuple[str, ...]:
    """Return the options with which ``redis-cli`` reaches a target. They hold no secret.

    An administrator does not log in as the user of the exporter.
    """
    place = ("-h", view.host, "-p", str(view.port)) if view.host else ("-s", view.address)
    login = () if is_admin or view.user == "default" else ("--user", view.user, "--askpass")
    return (*place, *(("--tls",) if view.is_tls else ()), *login)


def _without_unknown(advice: Advice, values: Mapping[str, Value]) -> Advice:
    """Return advice without the sentences and the command whose values are not known."""

    def is_known(text: str) -> bool:
        return placeholders(replace(_EMPTY, why=text)) <= values.keys()

    why = " ".join(sentence for sentence in _SENTENCE_END.split(advice.why) if is_known(sentence))
    command = advice.command if is_known(advice.command) else ""
    return replace(advice, why=why or f"{advice.title}.", command=command)


def next_poll(seconds: float) -> str:
    """Return when the next poll is."""
    return f"in {texts.span(math.ceil(seconds))}" if seconds > 0 else "due now"


def _say(advice: Advice, view: StatusView, evidence: str, group: str, **more: Value) -> Sentences:
    values: dict[str, Value] = {
        "host": view.host or view.address,
        "ip": view.host,
        "port": view.port,
        "hostport": view.address,
        "address": view.address,
        "plain_address": f"redis://{view.address}",
        "web_address": f"{'https' if view.is_tls else 'http'}://{view.address}",
        "tls_address": f"rediss://{view.address}",
        "user": view.user,
        "target": view.name,
        "location": view.name,
        "cli": cli_words(view),
        "admin_cli": cli_words(view, is_admin=True),
        "process": f"{view.software or 'redis'}-server",
        "problem": view.error,
        **more,
    }
    filled = _without_unknown(advice, values).fill(values)
    return Sentences(filled.code, group, filled.why, evidence, filled.do, filled.command)


def _failure(view: StatusView, _now: float) -> Sentences:
    key = {"timeout": "connect.timeout", "auth": _auth_key(view)}.get(view.reason)
    if view.reason in ("refused", "unreachable") and not view.host:
        key = "socket"
    advice = for_error(view.reason, view.error)
    if key is not None and advice == for_reason(view.reason):
        advice = for_key(key)
    times = sum(sum(counts) for reason, counts in view.hour.failures(view.minute).items() if reason == view.reason)
    known = "" if view.error.startswith("[Errno") else _sentence(view.error)  # the advice says the same in words
    evidence = f"{known} {texts.plural(times, 'ping')} failed so in this hour."
    if view.next_try_seconds is not None:
        evidence += f" The circuit breaker is open, and the next poll is {next_poll(view.next_try_seconds)}."
    return _say(advice, view, evidence.strip(), view.reason)


def _auth_key(view: StatusView) -> str:
    text = view.error.lower()
    if "noauth" in text or "wants a password" in text:
        return "auth.missing"
    return "auth" if view.user == "default" else "auth.user"


def _stalled(view: StatusView, _now: float) -> Sentences:
    if view.unacked is None:
        return _say(for_reason("timeout"), view, _sentence(view.error), "stalled")
    key = "stalled.network" if view.unacked else "stalled.server"
    return _say(for_key(key), view, f"TCP segments without acknowledgement: {view.unacked}.", key)


def _slow(view: StatusView, _now: float) -> Sentences:
    recent = view.hour.recent()
    known = [stall for stall in view.stalls if stall.verdict is not None]
    times = f"{texts.plural(len(view.stalls), 'stall')} in this hour"
    if known and (verdict := known[0].verdict) is not None:
        advice = for_cause(verdict.cause)
        said = _say(
            advice, view, f"{times}. Cause of the newest: {verdict.cause} ({verdict.certainty}).", verdict.cause
        )
        return replace(said, why=_sentence(verdict.why))
    values: dict[str, Value] = {"slow": recent.slow, "count": recent.count, "objective": f"{view.objective * 1000:g}"}
    return _say(for_key("slow.replies"), view, f"{times}." if view.stalls else "", "slow", **values)


def _unsteady(view: StatusView, _now: float) -> Sentences:
    recent = view.hour.recent()
    reasons = view.hour.failures(view.minute)
    counted = ", ".join(f"{sum(counts)} {reason}" for reason, counts in sorted(reasons.items()))
    evidence = f"Failures of this hour: {counted}." if counted else ""
    group = max(reasons, key=lambda reason: sum(reasons[reason]), default="")
    return _say(for_key("unsteady"), view, evidence, group, failed=recent.failed, count=recent.count)


def _risk(view: StatusView, _now: float) -> Sentences:
    first, *others = view.risks
    evidence = f"Also: {', '.join(risk.key for risk in others)}." if others else ""
    return _say(for_key(first.key), view, evidence, first.key, **first.values)


def _limited(view: StatusView, _now: float) -> Sentences:
    denied = [collector for collector in view.failing if collector.commands]
    if denied:
        commands = list(dict.fromkeys(command for collector in denied for command in collector.commands))
        names = ", ".join(collector.name for collector in denied)
        words = tuple(f"+{command}" for command in commands)
        shown = ", ".join(commands)
        return _say(for_key("denied"), view, "Pings are well.", shown, commands=shown, collectors=names, words=words)
    names = ", ".join(collector.name for collector in view.failing)
    problem = view.failing[0].error if view.failing else "no samples"
    group = ", ".join(dict.fromkeys(f"{one.name} {one.reason}" for one in view.failing))
    return _say(for_key("collector.failing"), view, "Pings are well.", group, collectors=names, problem=problem)


def _recovered(view: StatusView, now: float) -> Sentences:
    state, text, began = view.last_trouble or ("down", "", view.since)
    known = [stall for stall in view.stalls if stall.verdict is not None]
    evidence = _sentence(text)
    if state in ("stalled", "slow") and known and (verdict := known[0].verdict) is not None:
        evidence = f"Cause {verdict.cause} ({verdict.certainty}): {verdict.why}"
    values: dict[str, Value] = {
        "state": WORDS[state],
        "time": texts.clock(began),
        "span": texts.span(view.since - began),
        "ago": texts.span(now - view.since),
    }
    return _say(for_key("recovered"), view, evidence, state, **values)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


_BY_STATE: dict[TargetState, Callable[[StatusView, float], Sentences]] = {
    "down": _failure,
    "stalled": _stalled,
    "unsteady": _unsteady,
    "slow": _slow,
    "risk": _risk,
    "recovered": _recovered,
    "limited": _limited,
}
