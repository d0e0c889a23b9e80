"""Tests of the log: one event is one line, libraries use the same format, and secrets are hidden."""

import asyncio
import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse import log
from redis_pulse.log import StateChangeFilter

SECRET = "hunter2"
LOGGERS = ("", "exporter", "apscheduler")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo setup(), because logging is global and must not affect the next test."""
    handlers, levels = logging.getLogger().handlers[:], {name: logging.getLogger(name).level for name in LOGGERS}
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def set_up(level: str = "debug", format: log.Format = "logfmt") -> io.StringIO:  # noqa: A002
    stream = io.StringIO()
    log.setup(level, format, stream)
    return stream


def only_line(stream: io.StringIO) -> str:
    text = stream.getvalue()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1, text
    return text.rstrip("\n")


def read(stream: io.StringIO) -> dict[str, Any]:
    fields = json.loads(only_line(stream))
    assert isinstance(fields, dict)
    return fields


def boom() -> NoReturn:
    raise ValueError(f"no answer from redis://:{SECRET}@cart:6379\nand a second line")


def test_event_is_one_line_of_logfmt() -> None:
    stream = set_up()
    log.get("client").warning("lost", target="cart", reason="reset", attempts=3, first=True, since=None)
    line = only_line(stream)
    assert re.match(r"timestamp=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warning logger=exporter\.client ", line)
    assert line.endswith(" event=lost target=cart reason=reset attempts=3 first=true since=")


def test_event_is_one_object_of_json() -> None:
    stream = set_up(format="json")
    log.get("client").info("connected", target="cart", latency=0.001, nodes=["a", "b"])
    fields = read(stream)
    assert list(fields)[:4] == ["timestamp", "level", "logger", "event"]
    assert datetime.fromisoformat(fields.pop("timestamp")).utcoffset() is not None
    assert fields == {
        "level": "info", "logger": "exporter.client", "event": "connected", "target": "cart", "latency": 0.001,
        "nodes": ["a", "b"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("one\ntwo\r\n", r'"one\ntwo\r\n"'),
        ("back\\slash", r'"back\\slash"'),
        ("\x1b[31mred\x07", r'"\u001b[31mred\u0007"'),
        ("next\x85line\u2028end", r'"next\u0085line\u2028end"'),
        ("Grüße", "Grüße"),
        ("", '""'),
        (b"bytes \xff", r'"bytes \\xff"'),
        ({"a": [1, None]}, r'"{\"a\": [1, null]}"'),
        (float("nan"), "nan"),
        (Decimal("1.5"), "1.5"),
        (7, "7"),
    ],
)
def test_logfmt_value_is_quoted_if_necessary(value: object, rendered: str) -> None:
    stream = set_up()
    log.get("x").info("seen", value=value)
    assert only_line(stream).endswith(f"event=seen value={rendered}")


@given(st.text(), st.sampled_from(log.FORMATS))
def test_event_with_any_text_is_one_line(text: str, format: log.Format) -> None:  # noqa: A002
    """The reply of a server must not forge a line or control the terminal of a reader."""
    stream = set_up(format=format)
    log.get("x").info(text, field=text, **{"a key": text})
    line = only_line(stream)
    assert line.isprintable() or all(char.isprintable() or ord(char) > 0x9F for char in line)


def test_events_below_the_level_are_not_written() -> None:
    stream = set_up("WARNING")
    logger = log.get("x")
    logger.debug("not this")
    logger.info("nor this")
    logger.error("but this")
    assert 'event="but this"' in only_line(stream)


@pytest.mark.parametrize(("level", "format"), [("loud", "json"), ("info", "xml")])
def test_unknown_level_or_format_is_refused(level: str, format: Any) -> None:  # noqa: A002
    with pytest.raises(ValueError, match=r"allowed are (debug, info|logfmt, json)"):
        log.setup(level, format)


def test_second_setup_replaces_the_first_for_existing_loggers() -> None:
    logger = log.get("x")
    first = set_up()
    logger.info("one")
    second = set_up("error", "json")
    logger.info("two")
    logger.error("three")
    assert "event=one" in only_line(first)
    assert read(second)["event"] == "three"


def test_logs_go_to_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    log.get("x").info("hello")
    written = capsys.readouterr()
    assert "event=hello" in written.err
    assert written.out == ""


def test_module_can_log_before_setup(caplog: pytest.LogCaptureFixture) -> None:
    log.get("x").warning("early", target="cart")
    assert caplog.records[0].msg == {"event": "early", "target": "cart"}


def test_bound_fields_are_in_every_event() -> None:
    stream = set_up()
    logger = log.get("exporter.client").bind(target="cart")
    logger.info("connected", port=6379)
    assert only_line(stream).endswith("logger=exporter.client event=connected target=cart port=6379")


def test_warnings_of_libraries_have_the_same_format() -> None:
    stream = set_up(format="json")
    logging.getLogger("some.library").info("Started server process [%d]", 1)
    logging.getLogger("some.library").warning("Invalid HTTP request from %s", "10.0.0.1")
    fields = read(stream)
    assert (fields["logger"], fields["level"]) == ("some.library", "warning")
    assert fields["event"] == "Invalid HTTP request from 10.0.0.1"


def test_scheduler_logs_only_crashed_jobs() -> None:
    """A missed run is counted and published, but not logged every second."""
    stream = set_up(format="json")
    logger = logging.getLogger("apscheduler.executors.default")
    logger.info('Running job "poll"')
    logger.warning('Run time of job "poll" was missed by 0:00:01')
    try:
        boom()
    except ValueError:
        logger.exception('Job "poll" raised an exception')
    fields = read(stream)
    assert fields["event"] == 'Job "poll" raised an exception'
    assert fields["exception"].startswith(
        "ValueError: no answer from redis://***@cart:6379 and a second line (test_log.py:"
    )
    assert fields["exception"].endswith(" boom)")


async def test_exception_of_a_forgotten_task_is_one_line() -> None:
    stream = set_up(format="json")
    try:
        boom()
    except ValueError as error:
        asyncio.get_running_loop().call_exception_handler({"message": "Task failed", "exception": error})
    fields = read(stream)
    assert (fields["logger"], fields["level"]) == ("asyncio", "error")
    assert "ValueError: no answer" in fields["exception"]


def test_warning_of_python_is_an_event() -> None:
    stream = set_up(format="json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("soon gone", FutureWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    fields = read(stream)
    assert fields["logger"] == "py.warnings"
    assert "soon gone" in fields["event"]


def test_exception_is_logged_with_its_cause() -> None:
    stream = set_up(format="json")
    try:
        try:
            boom()
        except ValueError as error:
            raise RuntimeError("poll failed") from error
    except RuntimeError:
        log.get("x").exception("crashed", job="poll")
    fields = read(stream)
    assert (fields["event"], fields["level"], fields["job"]) == ("crashed", "error", "poll")
    text = fields["exception"]
    assert re.fullmatch(r"RuntimeError: poll failed \(.*\) caused by ValueError: no answer .* boom\)", text)
    assert SECRET not in text


def test_exception_without_traceback_is_logged() -> None:
    stream = set_up()
    log.get("x").error("refused", exc_info=KeyError("x"))
    assert only_line(stream).endswith("event=refused exception=\"KeyError: 'x'\"")


def test_exception_group_is_logged_with_its_members() -> None:
    stream = set_up(format="json")
    log.get("x").error("failed", exc_info=ExceptionGroup("two", [ValueError("a"), OSError("b")]))
    assert read(stream)["exception"] == "ExceptionGroup: two (2 sub-exceptions) [ValueError: a; OSError: b]"


def test_long_chain_of_causes_is_cut() -> None:
    stream = set_up(format="json")
    errors: list[Exception] = [ValueError(str(n)) for n in range(20)]
    for error, cause in pairwise(errors):
        error.__cause__ = cause
    log.get("x").error("failed", exc_info=errors[0])
    assert read(stream)["exception"].count("ValueError") == 5


@pytest.mark.parametrize("format", log.FORMATS)
@pytest.mark.parametrize(
    "fields",
    [
        {"password": SECRET},
        {"passwrd": SECRET},
        {"REDIS_PASSWORD": SECRET},
        {"auth": ("default", SECRET)},
        {"api_key": SECRET.encode()},
        {"token": {"value": SECRET}},
        {"settings": {"tls": [{"credentials": SECRET}]}},
        {"url": f"redis://:{SECRET}@cart:6379/0"},
        {"url": f"rediss://user:{SECRET}@cart"},
        {"url": f"redis://:{SECRET}/with/slash#and@at?and=more {SECRET}@cart"},
        {"url": f"unix://:{SECRET}@/run/redis.sock"},
        {"url": f"https://{SECRET}@proxy/"},
        {"urls": [f"redis://:{SECRET}@a redis://:{SECRET}@b"]},
        {"text": f"cannot read 'password': '{SECRET}'"},
        {"text": f"unknown key passwrd: {SECRET}"},
        {"text": f"redis://cart?db=0&password={SECRET}&x=1"},
        {"deep": [[[[[f"redis://:{SECRET}@x"]]]]]},
        {"passphrase": SECRET},
        {"private": SECRET},
        {"license": SECRET},
        {"hash-seed": SECRET},
        {"salt": SECRET},
        {"aclfile": SECRET},
        {"creds": SECRET},
        {"tls_key": SECRET},
        {"api_keys": [SECRET]},
        {"text": f"passphrase: {SECRET}"},
        {"text": f"licence={SECRET}"},
        {"text": f"api-key={SECRET}"},
        {"text": f"private-key: {SECRET}"},
        {"text": f"key=password: {SECRET}"},
        {"text": f"token=x seed: {SECRET}"},
        {"error": ValueError(f"redis://:{SECRET}@x")},
        {"exc_info": ValueError(f"redis://:{SECRET}@x")},
    ],
)
def test_secret_is_hidden(fields: dict[str, object], format: log.Format) -> None:  # noqa: A002
    stream = set_up(format=format)
    log.get("x").info("settings", **fields)
    line = only_line(stream)
    assert SECRET not in line
    assert "***" in line


def test_secret_in_the_name_of_a_field_is_hidden() -> None:
    stream = set_up(format="json")
    log.get("x").info("settings", **{f"redis://:{SECRET}@cart": 1})
    assert read(stream)["redis://***@cart"] == 1


def test_secret_in_the_event_of_a_library_is_hidden() -> None:
    stream = set_up()
    logging.getLogger("redis").error("cannot connect to %s", f"redis://u:{SECRET}@cart:6379")
    line = only_line(stream)
    assert SECRET not in line
    assert "redis://***@cart:6379" in line


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "redis://cart:6379/0"},
        {"reason": "auth: timeout"},
        {"phase": "auth"},
        {"user": "exporter"},
        {"keys": 7},
        {"exception": "KeyError: 'x'"},
        {"mail": "ops@example.org"},
        {"password_set": True, "password": None},
        {"error": "WRONGPASS invalid username-password pair or user is disabled."},
        {"error": "NOAUTH Authentication required."},
    ],
)
def test_harmless_fields_are_unchanged(fields: dict[str, object]) -> None:
    stream = set_up(format="json")
    log.get("x").info("settings", **fields)
    assert fields.items() <= read(stream).items()


def test_secrets_of_two_urls_in_one_text_are_hidden() -> None:
    stream = set_up(format="json")
    log.get("x").info(f"redis://:{SECRET}@a:1, redis://:{SECRET}@b:2")
    assert read(stream)["event"] == "redis://***@a:1, redis://***@b:2"


def test_long_value_is_cut_after_redaction() -> None:
    stream = set_up(format="json")
    log.get("x").info("reply", text=f"{'x' * 3985} redis://:{SECRET}@cart")
    text = read(stream)["text"]
    assert text == f"{'x' * 3985} redis://***@ca…"


def test_value_that_cannot_be_shown_does_not_lose_the_event() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    stream = set_up(format="json")
    log.get("x").info("seen", odd=Odd())
    assert read(stream)["odd"] == "<Odd: RuntimeError>"


def test_line_that_cannot_be_formatted_hides_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    """The standard handler would print its message and its arguments to standard error."""
    stream = set_up()
    logging.getLogger().handlers[:] = logging.getLogger().handlers[-1:]
    logging.getLogger("uvicorn").error("%d", SECRET)
    assert only_line(stream) == "level=error logger=exporter.log event=unwritable from=uvicorn error=TypeError"
    assert capsys.readouterr().err == ""


def test_closed_stream_raises_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    stream = set_up()
    stream.close()
    log.get("x").error("not written", password=SECRET)
    assert capsys.readouterr() == ("", "")


def test_state_is_a_change_once() -> None:
    changes = StateChangeFilter()
    changed = [changes.changed(("cart", "link"), state) for state in ("up", "up", "down", "down", "up")]
    assert changed == [True, False, True, False, True]
    assert changes.changed(("queue", "link"), "up"), "each key has its own state"


def test_none_is_a_state_too() -> None:
    changes = StateChangeFilter()
    assert [changes.changed("cart", None), changes.changed("cart", None)] == [True, False]


def test_forgotten_key_is_a_change_again() -> None:
    changes = StateChangeFilter()
    changes.changed("cart", "up")
    changes.forget("cart")
    changes.forget("never seen")
    assert changes.changed("cart", "up")


def test_states_are_limited_and_the_oldest_is_dropped() -> None:
    changes = StateChangeFilter(max_keys=2)
    changes.changed("a", 1)
    changes.changed("b", 1)
    changes.changed("a", 1)
    changes.changed("c", 1)
    assert [changes.changed("a", 1), changes.changed("c", 1), changes.changed("b", 1)] == [False, False, True]


def test_long_list_is_cut() -> None:
    stream = io.StringIO()
    log.setup("info", "json", stream)
    log.get("app").info("configuration taken over", started=[f"target-{number}" for number in range(10_000)])
    line = json.loads(stream.getvalue())
    assert len(line["started"]) == 51
    assert line["started"][-1] == "… and 9950 more"
