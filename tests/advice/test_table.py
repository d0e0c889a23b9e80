"""The table of advice is complete and has one row for each code, key, reason and cause."""

import re
from pathlib import Path

import pytest

from redis_pulse.advice import (
    BY_ALERT,
    BY_CODE,
    BY_KEY,
    TABLE,
    Advice,
    for_cause,
    for_error,
    for_key,
    for_reason,
    placeholders,
)
from redis_pulse.client.error_mapping import HINT_CLIENT_CERTIFICATE, HINT_TRY_PLAIN, HINT_TRY_TLS
from redis_pulse.config import no_entry, parse_url
from redis_pulse.errors import REASONS
from redis_pulse.stalls.causes import CAUSES

ROOT = Path(__file__).parents[2]


def test_codes_and_keys_are_unique() -> None:
    assert len(BY_CODE) == len(BY_KEY) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)
def test_row_has_a_code_and_every_text(row: Advice) -> None:
    assert re.fullmatch(r"RP\d{3}", row.code)
    assert row.severity in ("note", "warning", "error")
    assert row.title
    assert row.title[-1] not in ".:"
    assert row.why.endswith(".")
    assert row.do.endswith((".", "?"))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)
def test_texts_without_values_have_no_braces(row: Advice) -> None:
    """The documents show each row without values, with the placeholders in capitals."""
    filled = row.fill()
    for name in placeholders(row):
        assert f"{{{name}}}" not in f"{filled.title} {filled.why} {filled.do} {filled.command}"


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_has_its_own_row(reason: str) -> None:
    assert for_reason(reason).key == reason


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_of_a_stall_has_its_own_row(cause: str) -> None:
    assert for_cause(cause).key == f"stall.{cause}"


def test_unknown_reason_and_cause_have_the_general_row() -> None:
    assert for_reason("x").key == "other"
    assert for_cause("x").key == "stall.unknown"
    with pytest.raises(KeyError):
        for_key("x")


def test_every_alert_has_advice_and_every_named_alert_exists() -> None:
    """A runbook shows the rows of its alert, so an alert without rows would have an empty part."""
    runbooks = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README", "quick-fixes"}
    assert set(BY_ALERT) <= runbooks
    assert runbooks - set(BY_ALERT) <= {"RedisErrorReplies", "RedisRoleChanged", "RedisSplitBrain"}


def test_pages_with_more_exist() -> None:
    assert [row.more for row in TABLE if row.more and not (ROOT / "docs" / row.more).exists()] == []


def test_hint_in_an_error_chooses_its_row() -> None:
    """A port that wants TLS closes the connection. The reason alone would lead to idle limits."""
    rows = {
        hint: for_error("reset", f"the connection is closed ({hint})").key
        for hint in (HINT_TRY_TLS, HINT_TRY_PLAIN, HINT_CLIENT_CERTIFICATE, "")
    }
    assert list(rows.values()) == ["tls.wanted", "tls.plain_port", "tls.client_certificate", "reset"]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("there is no login: the program failed with exit code 3", "auth.token"),
        ("cannot read the password file: Permission denied", "secret.unreadable"),
        (no_entry(parse_url("redis://a:1").endpoint), "auth.missing"),
        ("NOAUTH Authentication required.", "auth.missing"),
        ("DENIED Redis is running in protected mode because protected mode is enabled", "auth.protected"),
        ("ERR AUTH <password> called without any password configured for the default user.", "auth.unexpected"),
        ("ERR Client sent AUTH, but no password is set", "auth.unexpected"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "auth"),
    ],
)
def test_failed_login_has_the_row_of_its_cause(text: str, key: str) -> None:
    """A login can fail although the server would accept it. "The password is wrong" would then mislead."""
    assert for_error("auth", text).key == key
