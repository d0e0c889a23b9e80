"""``redis-pulse keyspace``: its arguments, its output, and its exit codes."""

import json
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from redis_pulse import cli
from redis_pulse.config import LoadedConfig, TargetSettings
from redis_pulse.errors import TargetError
from redis_pulse.keyspace import KeyspaceReport
from redis_pulse.keyspace_terminal import run
from tests.web.pages.scenes import keyspace

URL = "redis://127.0.0.1:7001"


def read(arguments: Namespace, environ: Mapping[str, str], with_secrets: bool) -> LoadedConfig:
    return cli._read_for(arguments, environ, with_secrets)


class Examined:
    """Stands in for ``examine_keyspace``: yields reports, then raises an error if it has one."""

    def __init__(self, *reports: KeyspaceReport, error: BaseException | None = None) -> None:
        self._reports, self._error = reports, error
        self.calls: list[tuple[TargetSettings, dict[str, Any]]] = []

    def examine(self, target: TargetSettings, **options: Any) -> AsyncIterator[KeyspaceReport]:
        self.calls.append((target, options))
        return self._yield()

    async def _yield(self) -> AsyncIterator[KeyspaceReport]:
        for report in self._reports:
            yield report
        if self._error is not None:
            raise self._error


def test_text_has_patterns_large_keys_and_how_sure_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    examined = Examined(keyspace(), keyspace(name=b"log:\x1b[2J"))
    assert run([URL], read, {}, examined.examine) == 0
    text = capsys.readouterr().out
    assert "1500012 keys take 890.0 MiB ± 15.0 MiB of 900.0 MiB of data." in text
    assert "known to 2 % or better" in text
    assert "200.0 MiB ± 8.0 MiB   22.5%" in text
    assert "Note: RANDOMKEY of this version" in text
    assert "log:[1B][2J" in text
    assert "\x1b" not in text
    assert "-40.0 MiB ± 5.0 MiB" in text
    assert "10000 random draws" in text
    (target, options) = examined.calls[0]
    assert target.address == "127.0.0.1:7001"
    assert options == {"seconds": 8.0, "show_keys": True}


def test_names_can_be_hidden_and_the_time_chosen() -> None:
    examined = Examined(keyspace())
    assert run([URL, "--hide-keys", "--seconds", "2"], read, {}, examined.examine) == 0
    assert examined.calls[0][1] == {"seconds": 2.0, "show_keys": False}


def test_json_is_that_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([URL, "--json"], read, {}, Examined(keyspace()).examine) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["memory_bytes"]["error"] == 15 * 1024.0**2


def test_server_that_cannot_be_reached_is_named_and_the_report_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    examined = Examined(keyspace(), error=TargetError("the connection is refused"))
    assert run([URL], read, {}, examined.examine) == 1
    printed = capsys.readouterr()
    assert "127.0.0.1:7001: other: the connection is refused" in printed.err
    assert "redis-pulse doctor" in printed.err
    assert "cart:*" in printed.out


def test_interrupt_prints_the_report_until_now(capsys: pytest.CaptureFixture[str]) -> None:
    examined = Examined(keyspace(), error=KeyboardInterrupt())
    assert run([URL], read, {}, examined.examine) == 130
    printed = capsys.readouterr()
    assert "interrupted" in printed.err
    assert "cart:*" in printed.out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([URL, "redis://127.0.0.1:7002"], "name one TARGET"),
        ([URL, "--seconds", "0"], "--seconds must be 0.5 to 3600"),
        ([URL, "--seconds", "nan"], "--seconds must be 0.5 to 3600"),
        (["http://127.0.0.1"], "TARGET"),
    ],
)
def test_wrong_arguments_are_refused(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, read, {}, Examined().examine) == 2
    assert expected in capsys.readouterr().err


def test_several_configured_targets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    environ = {"REDIS_URL": "a=redis://127.0.0.1:7001,b=redis://127.0.0.1:7002"}
    assert run([], read, environ, Examined().examine) == 2
    assert "there are 2 targets: name one of a, b" in capsys.readouterr().err
