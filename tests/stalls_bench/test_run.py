"""The command line of ``make stalls``: what this machine cannot do is skipped, and the reason is printed."""

import json
from pathlib import Path

import pytest

from stalls_bench import cable, run, slow_calls
from stalls_bench.judge import complaints
from stalls_bench.results import write
from tests.stalls_bench.test_judge import row


def test_kinds_that_cannot_be_made_are_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cable, "unavailable_reason", lambda: "only root can create network namespaces")
    monkeypatch.setattr(slow_calls, "can_build", lambda: False)
    monkeypatch.setattr(run, "cpu_limit_folder", lambda: None)
    assert run.possible(["cut", "keys", "fork", "limit", "script+fsync", "stop"]) == ["keys", "stop"]
    printed = capsys.readouterr().out
    assert "skipped the kinds of the network: only root can create network namespaces" in printed
    assert "skipped the kinds with slow calls: gcc is not installed" in printed
    assert "skipped limit: no CPU controller of cgroups v1 is writable" in printed


def test_nothing_is_skipped_that_was_not_chosen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cable, "unavailable_reason", lambda: "no root")
    assert run.possible(["keys", "stop"]) == ["keys", "stop"]
    assert capsys.readouterr().out == ""


def test_unknown_server_is_skipped_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert run.available("redis,valkey") == ["valkey"]
    assert "skipped redis: redis-server is not installed (apt-get install redis-server)" in capsys.readouterr().out


def test_stored_results_decide_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    write(good, row("keys", "command"))
    for cause in ("disk", "disk"):
        write(bad, row("keys", cause))
    assert run.main(["--judge", str(good), "--as-named"]) == 0
    assert run.main(["--judge", str(good), str(bad), "--as-named"]) == 1
    printed = capsys.readouterr().out
    assert "- failed: keys was named disk 2 times" in printed
    assert "### redis, seeds 7" in printed
    assert complaints([row("keys", "disk"), row("keys", "disk")], "redis")
    assert json.loads(good.read_text())["kind"] == "keys"
