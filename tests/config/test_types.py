"""Types of settings, and what models built from them accept and reject."""

import argparse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from redis_pulse import collectors
from redis_pulse.config import (
    ConfigError,
    LogSettings,
    Options,
    PollSettings,
    ProbeSettings,
    Settings,
    check_options,
    format_duration,
    load,
)
from redis_pulse.config.types import RENAMEABLE, RenamedCommands, format_bytes, parse_bytes, parse_seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (5, 5.0),
        (0.25, 0.25),
        ("5", 5.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        ("1.5ms", 0.0015),
        ("50us", 0.00005),
        ("50µs", 0.00005),
        ("15s", 15.0),
        (" 1m ", 60.0),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("1d", 86400.0),
    ],
)
def test_duration_is_a_number_of_seconds_or_text_with_units(written: object, expected: float) -> None:
    assert parse_seconds(written) == expected


@pytest.mark.parametrize(
    "written", ["", "fast", "5 s", "-1s", "1x", "1s2", -1, float("nan"), float("inf"), True, None, []]
)
def test_value_that_is_not_a_duration_is_rejected(written: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_seconds(written)


@given(st.integers(min_value=0, max_value=10**9).map(lambda micros: micros / 1e6))
def test_formatted_duration_parses_to_nearly_the_same_value(value: float) -> None:
    assert parse_seconds(format_duration(value)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("off", ["off", "OFF", False, None, "no"])
def test_slow_replies_are_not_logged_when_off(off: object) -> None:
    assert LogSettings.model_validate({"slow_reply": off}).slow_reply is None


def test_log_format_txt_is_logfmt_and_levels_ignore_case() -> None:
    log = LogSettings.model_validate({"format": "txt", "level": "WARN"})
    assert (log.format, log.level) == ("logfmt", "warning")


def test_buckets_may_be_text() -> None:
    assert ProbeSettings.model_validate({"buckets": "1ms, 5ms,1s"}).buckets == (0.001, 0.005, 1.0)


@pytest.mark.parametrize("listen", [":0", "9121", 9121, "127.0.0.1:9121", "[::1]:9121", "localhost:80"])
def test_good_listen_address_is_accepted(listen: Any) -> None:
    assert Settings(listen=listen).listen.endswith(str(listen).rpartition(":")[2])


@pytest.mark.parametrize("listen", ["", "::1:9121", "host", ":99999", "http://x:1", True, None])
def test_bad_listen_address_is_rejected(listen: Any) -> None:
    with pytest.raises(ValueError, match="listen"):
        Settings(listen=listen)


@pytest.mark.parametrize(
    "bad",
    [
        {"name": " "},
        {"name": "a\nb"},
        {"name": "x" * 201},
        {"labels": {"__meta": "x"}},
        {"labels": []},
        {"collectors": [1]},
        {"password_file": ""},
        {"probe": {"buckets": []}},
        {"probe": {"buckets": [0, 1]}},
    ],
)
def test_target_with_a_bad_value_is_rejected(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Settings(targets=[{"url": "a"} | bad])


def test_collectors_may_be_null() -> None:
    assert Settings(collectors=None).collectors is None


class Example(Options):
    """Options of a collector."""

    entries: int = 5
    secret: str


def test_messages_about_options_show_no_value() -> None:
    assert check_options(Example, {"secret": "hunter2"}) == []
    messages = check_options(Example, {"entrie": "hunter2", "entries": "hunter2", "hunter2": None})
    assert messages == [
        "has the option entries, which must be a whole number",
        "has the option secret, which is missing",
        "has no option entrie (did you mean entries?)",
        "has no option … (known here: entries, secret)",
    ]


def test_error_of_a_model_repeats_no_value() -> None:
    with pytest.raises(ValueError, match="passwrd") as caught:
        Settings(sources=[{"passwrd": "hunter2", "password": 7, "targets": [{"url": "reids://:hunter2@x"}]}])  # type: ignore[call-arg]
    assert "hunter2" not in str(caught.value)


def test_settings_without_sources_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PULSE_LISTEN", ":1")
    assert Settings().listen == ":9121"


def test_value_like_a_url_is_not_shown_in_groups_without_secrets(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(probe_interval="redis://:hunter2@x"), {}, tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        *((16777216, 16777216), ("16777216", 16777216), ("16MB", 16777216), ("16 mb", 16777216), ("16MiB", 16777216)),
        *(("512KB", 524288), ("1GB", 1024**3), ("70000b", 70000), (0, 0)),
    ],
)
def test_size_is_a_number_of_bytes_or_text_with_a_unit(written: object, expected: int) -> None:
    assert parse_bytes(written) == expected


@pytest.mark.parametrize("written", ["", "MB", "16M", "1.5MB", "-1", -1, True, None, 1.5, "16 Mbit", "1TB", "٣MB", []])
def test_value_that_is_not_a_size_is_rejected(written: object) -> None:
    with pytest.raises(ValueError, match="must be a number of bytes"):
        parse_bytes(written)


@given(st.integers(0, 2**49))
def test_formatted_size_parses_to_the_same_value(value: int) -> None:
    assert parse_bytes(format_bytes(value)) == value


def test_reply_limit_too_small_for_info_is_rejected() -> None:
    assert PollSettings(max_reply="1MB").max_reply == 1024**2
    with pytest.raises(ValidationError, match="65536"):
        PollSettings(max_reply="1KB")


class Renamed(Options):
    """A model with renamed commands."""

    commands: RenamedCommands = Field({})


def test_commands_that_collectors_send_may_be_renamed() -> None:
    sent = {command.split("|")[0] for collector in collectors.load().values() for command in collector.commands}
    assert sent == RENAMEABLE


def test_name_of_a_renamed_command_is_a_secret() -> None:
    renamed = Renamed(commands={"CONFIG": "s3cret"})
    assert renamed.commands == {"config": SecretStr("s3cret")}
    assert "s3cret" not in repr(renamed)


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ({"ping": "x"}, "has a command that the exporter does not send"),
        ({"config": "two words"}, "has a name for config that is not a word"),
        ({"config": ""}, "has a name for config that is not a word"),
        ({"config": 7}, "has a name for config that is not a word"),
        (["config"], "must be a mapping"),
    ],
)
def test_bad_renamed_commands_are_rejected(commands: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Renamed(commands=commands)


@pytest.mark.parametrize("text", ["9" * 5000, "x" + "9" * 5000, "1m" * 5000, "9" * 400 + "s"])
def test_long_text_is_no_duration(text: str) -> None:
    """`make fuzz` found that 5000 digits took 0.3 s, because of an expression with quadratic time."""
    with pytest.raises(ValueError, match="must be a duration"):
        parse_seconds(text)
