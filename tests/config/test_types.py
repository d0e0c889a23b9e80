"""Durations are written by people and counted by machines."""

import argparse
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from redis_pulse.config import (
    ConfigError,
    LogSettings,
    Options,
    PollSettings,
    ProbeSettings,
    Settings,
    check_options,
    duration,
    load,
)
from redis_pulse.config.types import byte_size, byte_text, seconds


@pytest.mark.parametrize(
    ("written", "meant"),
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
def test_a_duration_is_a_number_of_seconds_or_text_with_a_unit(written: object, meant: float) -> None:
    assert seconds(written) == meant


@pytest.mark.parametrize(
    "written", ["", "fast", "5 s", "-1s", "1x", "1s2", -1, float("nan"), float("inf"), True, None, []]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        seconds(written)


@given(st.integers(min_value=0, max_value=10**9).map(lambda micros: micros / 1e6))
def test_a_duration_that_is_written_and_read_again_is_nearly_the_same(value: float) -> None:
    assert seconds(duration(value)) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("off", ["off", "OFF", False, None, "no"])
def test_slow_replies_are_not_logged_when_off(off: object) -> None:
    assert LogSettings.model_validate({"slow_reply": off}).slow_reply is None


def test_redis_exporters_word_for_text_is_logfmt_and_levels_are_read_in_any_case() -> None:
    log = LogSettings.model_validate({"format": "txt", "level": "WARN"})
    assert (log.format, log.level) == ("logfmt", "warning")


def test_buckets_may_be_one_text() -> None:
    assert ProbeSettings.model_validate({"buckets": "1ms, 5ms,1s"}).buckets == (0.001, 0.005, 1.0)


@pytest.mark.parametrize("listen", [":0", "9121", 9121, "127.0.0.1:9121", "[::1]:9121", "localhost:80"])
def test_an_address_to_listen_on(listen: Any) -> None:
    assert Settings(listen=listen).listen.endswith(str(listen).rpartition(":")[2])


@pytest.mark.parametrize("listen", ["", "::1:9121", "host", ":99999", "http://x:1", True, None])
def test_an_address_that_nobody_can_listen_on(listen: Any) -> None:
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
def test_a_target_with_a_bad_value_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        Settings(targets=[{"url": "a"} | bad])


def test_collectors_may_be_given_as_null_which_is_the_default_set() -> None:
    assert Settings(collectors=None).collectors is None


class Example(Options):
    """Options of some collector."""

    entries: int = 5
    secret: str


def test_options_of_a_collector_are_refused_without_showing_a_value() -> None:
    assert check_options(Example, {"secret": "hunter2"}) == []
    said = check_options(Example, {"entrie": "hunter2", "entries": "hunter2", "hunter2": None})
    assert said == [
        "has the option entries, which must be a whole number",
        "has the option secret, which is missing",
        "has no option entrie (did you mean entries?)",
        "has no option … (known here: entries, secret)",
    ]


def test_a_refused_model_repeats_nothing_of_what_was_put_in() -> None:
    with pytest.raises(ValueError, match="passwrd") as caught:
        Settings(layers=[{"passwrd": "hunter2", "password": 7, "targets": [{"url": "reids://:hunter2@x"}]}])  # type: ignore[call-arg]
    assert "hunter2" not in str(caught.value)


def test_settings_made_without_sources_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PULSE_LISTEN", ":1")
    assert Settings().listen == ":9121"


def test_a_value_that_looks_like_a_url_is_not_shown_even_where_no_secret_belongs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(probe_interval="redis://:hunter2@x"), {}, tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *((16777216, 16777216), ("16777216", 16777216), ("16MB", 16777216), ("16 mb", 16777216), ("16MiB", 16777216)),
        *(("512KB", 524288), ("1GB", 1024**3), ("70000b", 70000), (0, 0)),
    ],
)
def test_a_size_is_a_number_of_bytes_or_text_with_a_unit(written: object, meant: int) -> None:
    assert byte_size(written) == meant


@pytest.mark.parametrize("written", ["", "MB", "16M", "1.5MB", "-1", -1, True, None, 1.5, "16 Mbit", "1TB", "٣MB", []])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="must be a number of bytes"):
        byte_size(written)


@given(st.integers(0, 2**49))
def test_a_size_that_is_written_and_read_again_is_the_same(value: int) -> None:
    assert byte_size(byte_text(value)) == value


def test_a_limit_of_replies_that_no_info_fits_in_is_refused() -> None:
    assert PollSettings(max_reply="1MB").max_reply == 1024**2
    with pytest.raises(ValidationError, match="65536"):
        PollSettings(max_reply="1KB")
