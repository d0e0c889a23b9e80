"""Why, and what to do: each state and each reason has its sentences from the table of advice."""

import re
from dataclasses import replace
from typing import Any

import pytest

from redis_pulse.advice import BY_CODE
from redis_pulse.errors import REASONS
from redis_pulse.stalls.causes import CAUSES
from redis_pulse.status import STATES
from redis_pulse.web import FailingCollector, StatusView
from redis_pulse.web.pages.sentences import cli_words, sentences
from tests.web.pages.scenes import NOW, STALL, target

#: Words in capitals that are none of our placeholders: those of Redis, of protocols and of times.
CAPITALS = frozenset(
    (
        *("TLS", "ACL", "SAVE", "UTC", "OOM", "HTTP", "SSH", "BUSY", "KEYS", "SHUTDOWN", "NOSAVE", "MISCONF", "CPU"),
        *("CONFIG", "REWRITE", "FUNCTION", "KILL"),
    )
)


def open_placeholders(text: str) -> list[str]:
    """Return the placeholders without a value: the table of advice writes their names in capitals."""
    words = (word.strip(".,:()") for word in text.split())
    return [word for word in words if word.isupper() and word.isalpha() and len(word) > 2 and word not in CAPITALS]


@pytest.mark.parametrize("state", [state for state in STATES if state not in ("ok", "starting")])
def test_each_state_has_a_why_and_a_do(state: str) -> None:
    said = sentences(target("cart", state), NOW)  # type: ignore[arg-type]
    assert said.code in BY_CODE
    assert said.why
    assert said.do
    assert not open_placeholders(said.why)


@pytest.mark.parametrize("state", ["ok", "starting"])
def test_state_without_a_problem_has_no_sentences(state: str) -> None:
    assert sentences(target("cart", state), NOW).why == ""  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_reason_of_a_target_that_is_down_has_its_advice(reason: str) -> None:
    said = sentences(target("cart", "down", reason=reason, error="x"), NOW)
    assert said.why
    assert said.group == reason
    assert not open_placeholders(f"{said.why} {said.do}")
    assert not re.search(r"\b(ADMIN_CLI|CLI|HOST|PORT|ADDRESS|USER|WORDS)\b", said.command)


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_each_cause_of_stalls_has_its_advice(cause: Any) -> None:
    assert STALL.verdict is not None
    stall = replace(STALL, verdict=STALL.verdict._replace(cause=cause))
    said = sentences(target("cart", "slow", stalls=(stall,)), NOW)
    assert (said.why, said.group) == ("One KEYS took 1231 ms.", cause)
    assert said.do


def codes(*views: StatusView) -> list[str]:
    return [BY_CODE[sentences(view, NOW).code].key for view in views]


def test_finer_reasons_are_told_apart() -> None:
    assert codes(
        target("a", "down", reason="timeout"),
        target("a", "down", reason="auth", error="NOAUTH Authentication required."),
        target("a", "down", reason="auth", error="WRONGPASS", user="default"),
        target("a", "down", reason="auth", error="WRONGPASS"),
        target("a", "stalled", unacked=0),
        target("a", "stalled", unacked=2),
        target("a", "stalled", unacked=None),
    ) == ["connect.timeout", "auth.missing", "auth", "auth.user", "stalled.server", "stalled.network", "timeout"]


@pytest.mark.parametrize(
    ("error", "key"),
    [
        ("there is no login: the program failed with exit code 3", "auth.token"),
        ("cannot read the password file: Permission denied", "secret.unreadable"),
        ("ERR Client sent AUTH, but no password is set", "auth.unexpected"),
    ],
)
def test_login_that_fails_without_a_wrong_password_has_its_own_advice(error: str, key: str) -> None:
    view = target("cart/eu", "down", reason="auth", error=error)
    said = sentences(view, NOW)
    assert codes(view) == [key]
    assert "does not accept" not in said.why
    assert not open_placeholders(f"{said.why} {said.do}")
    if key == "auth.token":
        assert said.command == "redis-pulse doctor cart/eu --config FILE"


@pytest.mark.parametrize("reason", ["refused", "unreachable"])
def test_socket_that_cannot_be_used_has_its_own_advice(reason: str) -> None:
    """Ports and routes say nothing about a unix socket."""
    view = target("cart", "down", reason=reason, host="", port=0, address="/run/redis.sock", error="[Errno 2] No")
    said = sentences(view, NOW)
    assert codes(view) == ["socket"]
    assert said.command == "ls -l /run/redis.sock"
    assert "port" not in said.why


def test_denied_commands_are_in_the_line_that_grants_them() -> None:
    failing = [
        FailingCollector(name, "permission", "NOPERM", (command,), "exporter")
        for name, command in (("clients", "client|list"), ("config", "config|get"))
    ]
    said = sentences(target("a", "limited", failing=failing), NOW)
    assert said.command.endswith("ACL SETUSER exporter '+client|list' '+config|get'")
    assert "clients, config" in said.why


def test_collector_that_fails_otherwise_has_its_error() -> None:
    failing = [FailingCollector("slowlog", "timeout", "no answer in time", (), "exporter")]
    assert "slowlog fail: no answer in time" in sentences(target("a", "limited", failing=failing), NOW).why


def test_command_has_the_address_and_the_user_and_no_secret() -> None:
    assert cli_words(target("a")) == ("-h", "10.0.0.7", "-p", "6379", "--user", "exporter", "--askpass")
    assert cli_words(target("a"), is_admin=True) == ("-h", "10.0.0.7", "-p", "6379")
    assert cli_words(target("a", user="default", is_tls=True)) == ("-h", "10.0.0.7", "-p", "6379", "--tls")
    assert cli_words(target("a", host="", address="/run/redis.sock", user="default")) == ("-s", "/run/redis.sock")


def test_text_of_the_operating_system_is_not_repeated() -> None:
    said = sentences(target("a", "down", error="[Errno 111] Connect call failed ('127.0.0.1', 29399)"), NOW)
    assert "Errno" not in said.evidence
    assert "pings failed so in this hour" in said.evidence


def test_well_again_names_the_trouble_and_its_cause() -> None:
    said = sentences(target("a", "recovered", since=NOW - 254, stalls=(STALL,)), NOW)
    assert said.why == "It was stalled for 30 s, from 03:07:57 UTC. It has been well for 4 min 14 s."
    assert "one KEYS took 1231 ms" in said.evidence
