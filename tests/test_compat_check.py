"""What users rely on is not removed silently: a removal without a BREAKING entry fails, and the message names it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from redis_pulse import __version__
from tools import compat_check, public_names

Names = dict[str, Any]


@pytest.fixture(scope="module")
def current() -> Names:
    return public_names.collect()


def changelog(*entries: str, released: str = "## 0.2.0\n\n- BREAKING: everything, `redis_up`.\n") -> str:
    return "# Changes\n\n## Unreleased\n\n" + "".join(f"- {entry}\n" for entry in entries) + "\n" + released


def drop(kind: str, name: str) -> Callable[[Names], None]:
    def change(names: Names) -> None:
        del names[kind][name]

    return change


def put(kind: str, name: str, key: str, value: object) -> Callable[[Names], None]:
    def change(names: Names) -> None:
        names[kind][name][key] = value

    return change


CHANGES = [
    (drop("metrics", "redis_up"), "metrics: redis_up was removed or renamed", ["redis_up"]),
    (
        put("metrics", "redis_operation_failures_total", "labels", ["operation", "target"]),
        "metrics: the label reason of redis_operation_failures_total was removed or renamed",
        ["redis_operation_failures_total", "reason"],
    ),
    (
        put("metrics", "redis_up", "labels", ["target", "zone"]),
        "metrics: the label zone of redis_up was added, so every series changes",
        ["redis_up", "zone"],
    ),
    (
        put("metrics", "redis_up", "type", "counter"),
        "metrics: the type of redis_up was gauge, and is counter",
        ["redis_up"],
    ),
    (drop("settings", "probe.interval"), "settings: probe.interval was removed or renamed", ["probe.interval"]),
    (
        put("settings", "probe.interval", "default", "2s"),
        "settings: the default of probe.interval was 1s, and is 2s",
        ["probe.interval"],
    ),
    (
        drop("settings", "modules.NAME.password_file"),
        "settings: modules.NAME.password_file was removed or renamed",
        ["password_file"],
    ),
    (
        drop("settings", "collectors.clients.max_clients"),
        "settings: collectors.clients.max_clients was removed or renamed",
        ["collectors.clients.max_clients"],
    ),
    (drop("variables", "REDIS_URL"), "variables: REDIS_URL was removed or renamed", ["REDIS_URL"]),
    (drop("flags", "--redis-url"), "flags: --redis-url was removed or renamed", ["--redis-url"]),
    (drop("flags", "doctor --json"), "flags: doctor --json was removed or renamed", ["doctor --json"]),
    (drop("commands", "demo"), "commands: demo was removed or renamed", ["demo"]),
    (drop("pages", "/stalls"), "pages: /stalls was removed or renamed", ["/stalls"]),
    (
        put("collectors", "clients", "default", "off"),
        "collectors: the default of clients was on, and is off",
        ["clients"],
    ),
    (drop("alerts", "RedisTargetDown"), "alerts: RedisTargetDown was removed or renamed", ["RedisTargetDown"]),
    (drop("finding codes", "RP202"), "finding codes: RP202 was removed or renamed", ["RP202"]),
]
IDS = [text for _, text, _ in CHANGES]


@pytest.mark.parametrize(("change", "message", "names"), CHANGES, ids=IDS)
def test_change_without_an_entry_is_named(
    change: Callable[[Names], None], message: str, names: list[str], current: Names
) -> None:
    new = copy.deepcopy(current)
    change(new)
    old = {**current, "version": "0.2.0"}
    (found,) = compat_check.unannounced(
        old, new, changelog("BREAKING: another `redis_uptime`.", "`redis_up` is better.")
    )
    assert found.startswith(f"{message}. Keep it, or add to CHANGELOG.md: - BREAKING: … `")


@pytest.mark.parametrize(("change", "message", "names"), CHANGES, ids=IDS)
def test_change_with_an_entry_is_allowed(
    change: Callable[[Names], None], message: str, names: list[str], current: Names
) -> None:
    new = copy.deepcopy(current)
    change(new)
    old = {**current, "version": "0.2.0"}
    entry = "BREAKING: what was\n  " + " and ".join(f"`{name}`" for name in names) + " is different."
    assert compat_check.unannounced(old, new, changelog(entry)) == []


def test_new_names_are_always_allowed(current: Names) -> None:
    old = copy.deepcopy(current)
    for kind in ("metrics", "settings", "flags", "alerts"):
        old[kind].popitem()
    assert compat_check.unannounced(old, current, changelog()) == []


def test_new_value_of_a_setting_is_allowed() -> None:
    old = {"version": "0.2.0", "settings": {"log_format": {"type": "logfmt, json"}}}
    new = {"settings": {"log_format": {"type": "logfmt, json, text"}}}
    assert compat_check.unannounced(old, new, changelog()) == []


def test_removed_value_of_a_setting_is_found() -> None:
    old = {"version": "0.2.0", "settings": {"log_format": {"type": "logfmt, json, text"}}}
    new = {"settings": {"log_format": {"type": "logfmt, json"}}}
    assert len(compat_check.unannounced(old, new, changelog())) == 1


def test_entry_of_the_released_version_excuses_nothing() -> None:
    """``redis_up`` is named by the section 0.2.0. Its removal came later."""
    old = {"version": "0.2.0", "metrics": {"redis_up": {}}}
    assert len(compat_check.unannounced(old, {}, changelog())) == 1
    assert (
        compat_check.unannounced(
            {**old, "version": "0.1.0"}, {}, changelog(released="## 0.2.0\n\n- BREAKING: `redis_up`\n\n## 0.1.0\n")
        )
        == []
    )


def test_both_names_of_a_label_must_be_in_one_entry() -> None:
    old = {"version": "0.2.0", "metrics": {"redis_x": {"labels": ["a", "target"]}}}
    new = {"metrics": {"redis_x": {"labels": ["target"]}}}
    assert len(compat_check.unannounced(old, new, changelog("BREAKING: `redis_x`.", "BREAKING: `a`."))) == 1


@pytest.mark.parametrize(
    ("name", "entry", "named"),
    [
        ("redis_up", "`redis_up{target}` is gone", True),
        ("redis_up", "`redis_uptime` is gone", False),
        ("redis_up", "redis_up is gone", False),
        ("redis_stream_length", "`redis_stream_*`", True),
        ("redis_stream_length", "`**` follows no links, `*.svc`", False),
        ("probe.interval", "`probe.interval: 1s`", True),
        ("probe.interval", "`probe.interval.x`", False),
        ("interval", "`probe.interval`", False),
        ("--debug", "`--debug-all`", False),
        ("targets[].url", "`url`", True),
    ],
)
def test_name_counts_as_a_whole_word_between_backticks(name: str, entry: str, named: bool) -> None:
    assert compat_check.is_named(name, entry) is named


def test_record_is_read_back_with_one_name_per_line(current: Names, tmp_path: Path) -> None:
    path = compat_check.record(current, tmp_path, changelog(released=""))
    assert compat_check.records(tmp_path) == [json.loads(json.dumps(current))]
    assert sum('"redis_up": {' in line for line in path.read_text().splitlines()) == 1


def test_record_of_a_released_version_is_not_replaced(current: Names, tmp_path: Path) -> None:
    text = changelog(released=f"## {__version__}\n")
    with pytest.raises(ValueError, match="raise __version__ first"):
        compat_check.record(current, tmp_path, text)
    assert not list(tmp_path.iterdir())
    compat_check.record(current, tmp_path, text.replace("## Unreleased\n", ""))


def test_records_are_ordered_by_version(tmp_path: Path) -> None:
    for version in ("0.10.0", "0.9.0"):
        (tmp_path / f"{version}.json").write_text(json.dumps({"version": version}))
    assert [one["version"] for one in compat_check.records(tmp_path)] == ["0.9.0", "0.10.0"]


def test_current_tree_keeps_every_released_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert compat_check.main([]) == 0, capsys.readouterr().err
    assert "0 changes without a BREAKING entry" in capsys.readouterr().out


def test_tree_without_a_record_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compat_check, "FOLDER", tmp_path)
    assert compat_check.main([]) == 1
    assert "make compat-record" in capsys.readouterr().err


def test_command_names_a_removed_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "0.1.0.json").write_text(json.dumps({"version": "0.1.0", "metrics": {"redis_gone": {"type": "gauge"}}}))
    monkeypatch.setattr(compat_check, "FOLDER", tmp_path)
    assert compat_check.main([]) == 1
    assert "since 0.1.0: metrics: redis_gone was removed or renamed" in capsys.readouterr().err
