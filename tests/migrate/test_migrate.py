"""Every flag of redis_exporter is converted or gets a remark, the result is usable, and no password is shown."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse import collectors
from redis_pulse.cli import main
from redis_pulse.migrate import FLAG_TABLE, Flag, migrate
from tools import settings_reference

HERE = Path(__file__).parent
#: Name, variable, kind and default of each flag, from `redis_exporter --help` and the README of 1.86.
FLAGS = [line.split("\t") for line in (HERE / "flags-1.86.tsv").read_text().splitlines()]
SECRET = "hunter2-and-more"
#: Flags of the table that are newer than 1.86.
NEWER = ("tls-server-name", "exclude-slowlog-metrics")


@pytest.fixture(autouse=True)
def _empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in ("DEBUG", "LOG_LEVEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def settings(*words: str, **environ: str) -> dict[str, Any]:
    """Return the settings of the result."""
    result = yaml.safe_load(migrate(words, environ).text)
    assert isinstance(result, dict)
    return result


def notes(*words: str, **environ: str) -> str:
    """Return the comments of the result in one line."""
    lines = [line[1:].strip() for line in migrate(words, environ).text.splitlines() if line.startswith("#")]
    return " ".join(lines)


def test_table_has_every_flag_with_its_variable_and_default() -> None:
    ours = {
        (flag.name, flag.variable, flag.is_switch, flag.default.replace("false", ""))
        for flag in FLAG_TABLE
        if flag.name not in NEWER
    }
    theirs = {(name, variable, kind == "switch", default) for name, variable, kind, default in FLAGS}
    assert ours == theirs


@pytest.mark.parametrize("flag", FLAG_TABLE, ids=lambda flag: flag.name)
def test_settings_of_every_flag_exist(flag: Flag) -> None:
    known = {setting.path for setting in settings_reference.rows()}
    for path in flag.settings:
        group, _, rest = path.partition(".")
        if group != "collectors":
            assert path in known
            continue
        name, _, option = rest.partition(".")
        assert name in collectors.load()
        assert not option or option in collectors.load()[name].options.model_fields
    assert flag.settings or flag.remark, "a flag without a counterpart needs a reason"


EXAMPLES: dict[str, str] = {
    **{flag.name: flag.default for flag in FLAG_TABLE if flag.default},
    **{flag.name: "true" for flag in FLAG_TABLE if flag.is_switch},
    "redis.addr": "rediss://cart:6380/2",
    "redis.user": "exporter",
    "check-keys": "db3=user:*,cart:*",
    "check-single-keys": "a,db1=b%2Cc",
    "count-keys": "db0=production_*,db3=sessions:*",
    "check-key-groups": "^(.*)_[^_]+$,^(user):",
    "check-streams": "stream:*",
    "check-single-streams": "orders",
    "connection-timeout": "1m30s",
    "log-level": "WARN",
    "log-format": "json",
    "tls-server-name": "cart.internal",
}
FILES = {"redis.password-file", "tls-ca-cert-file", "tls-client-cert-file", "tls-client-key-file", "script"}


@pytest.mark.parametrize("flag", FLAG_TABLE, ids=lambda flag: flag.name)
def test_one_flag_gives_a_usable_configuration(flag: Flag, tmp_path: Path) -> None:
    words = [f"-{flag.name}={EXAMPLES.get(flag.name, 'x')}"]
    if flag.name in FILES:
        (tmp_path / "file.txt").write_text("x")
        words = [f"-{flag.name}={tmp_path}/file.txt"]
    if flag.name == "tls-client-key-file":
        words.append(f"-tls-client-cert-file={tmp_path}/file.txt")
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(migrate(words, {}).text)
    assert main(["check-config", str(file)]) == 0


def test_all_flags_give_a_usable_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file.txt").write_text("x")
    words = [f"-{flag}={value}" for flag, value in EXAMPLES.items()]
    words += [f"-{flag}={tmp_path}/file.txt" for flag in sorted(FILES)]
    assert main(["migrate-flags", "--", *words]) == 0
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(capsys.readouterr().out)
    assert main(["check-config", str(file)]) == 0


def test_flags_are_parsed_as_go_parses_them() -> None:
    assert settings("--redis.addr", "a:1", "-debug", "-log-format=json") == {
        "redis_url": "redis://a:1",
        "debug": True,
        "log": {"format": "json"},
        "web": {"health_status": "always-200"},
    }
    assert settings("-debug=false") == settings()
    assert settings("-redis.addr=a", "-redis.addr=b")["redis_url"] == "redis://b:6379"


def test_flags_are_stronger_than_words_and_the_environment() -> None:
    assert settings("-e", "REDIS_ADDR=a", REDIS_ADDR="b")["redis_url"] == "redis://a:6379"
    assert settings("REDIS_ADDR=a", "-redis.addr=b")["redis_url"] == "redis://b:6379"
    assert settings(REDIS_EXPORTER_DEBUG="T")["debug"] is True
    assert "debug" not in settings(REDIS_EXPORTER_DEBUG="perhaps")


def test_without_flags_the_local_server_is_the_target() -> None:
    assert settings() == {"redis_url": "redis://localhost:6379", "web": {"health_status": "always-200"}}


def test_only_collectors_that_differ_are_written() -> None:
    """A list of all sixteen collectors would hide the one option that matters."""
    chosen = settings("-check-single-keys=a")["collectors"]
    assert chosen == {"default": True, "keys": {"keys": ["a"], "values": True, "text_values": True}}
    assert settings("-config-command=-")["collectors"] == {"default": True, "config": False}
    assert settings("-exclude-latency-histogram-metrics")["collectors"] == {"default": True, "latency_histogram": False}
    assert settings("-include-rdb-file-size-metric")["collectors"] == {"default": True, "rdb_file": True}


def test_key_values_are_not_exported_if_they_were_not() -> None:
    converted = settings("-check-keys=a*", "-disable-exporting-key-values")["collectors"]["keys"]
    assert (converted["values"], converted["text_values"]) == (False, False)


def test_scan_count_is_set_for_collectors_that_run() -> None:
    converted = settings("-check-keys=a*", "-count-keys=b*", "-check-keys-batch-size=20000")["collectors"]
    assert (converted["keys"]["count"], converted["key_counts"]["count"]) == (10_000, 10_000)
    assert "key_groups" not in converted


def test_url_keeps_its_database_and_user() -> None:
    converted = settings("-redis.addr=rediss://me:x@[::1]:7000/3")
    assert (converted["redis_url"], converted["username"]) == ("rediss://[::1]:7000/3", "me")
    assert settings("-redis.addr=unix:///run/a%40b.sock?db=2")["redis_url"] == "unix:///run/a%40b.sock?db=2"


def test_empty_address_gives_a_hint_about_targets() -> None:
    converted = settings("-redis.addr=", "-redis.user=me", "-redis.password-file=/run/secrets/passwords.json")
    del converted["web"]
    assert converted == {
        "modules": {"redis_exporter": {"username": "me", "password_file": "/run/secrets/passwords.json"}}
    }
    assert "targets: [{url:" in notes("-redis.addr=")


def test_flag_without_counterpart_gets_a_note() -> None:
    assert "-namespace: Names always begin with redis_" in notes("-namespace=valkey")
    assert "-namespace" not in notes("-namespace=redis")
    assert "-config-command: its value cannot be converted" in notes("-config-command=HIDDEN")
    assert "-check-key-groups: its value cannot be converted" in notes("-check-key-groups=%bxy")


@pytest.mark.parametrize(
    "word",
    [
        *("-check-keys-batch-size=0", "-web.listen-address=nowhere", "-web.telemetry-path=/health", "-debug=perhaps"),
        *("-connection-timeout=soon", "-connection-timeout=0s", "-log-level=loud", "-script=,", "-check-keys=,"),
        *(
            "-check-keys=a=b=c",
            "-check-keys=dbx=y",
            "-check-key-groups=,",
            "-check-search-indexes=[",
            "-tls-ca-cert-file=x",
        ),
    ],
)
def test_value_that_cannot_be_converted_gets_a_note_only(word: str) -> None:
    assert settings(word) == settings()
    assert f"{word.partition('=')[0]}: its value cannot be converted" in notes(word)


def test_value_equal_to_the_default_is_not_written() -> None:
    assert settings("-skip-tls-verification=false", "-exclude-latency-histogram-metrics=false") == settings()
    assert settings("-export-client-list=false", "-config-command=CONFIG", "-tls-server-name=") == settings()
    assert settings("-include-metrics-for-empty-databases=true") == settings()
    converted = settings("-include-metrics-for-empty-databases=false")
    assert converted["collectors"]["info"] == {"empty_databases": 0}


def test_cert_reqs_of_the_url_is_kept() -> None:
    assert settings("-redis.addr=rediss://a?ssl_cert_reqs=none")["tls"] == {"cert_reqs": "none"}


def test_unknown_words_get_a_note() -> None:
    assert "-chek-keys is not a flag of redis_exporter: did you mean -check-keys?" in notes("-chek-keys=a")
    assert "REDIS_USR is not a variable of redis_exporter: did you mean REDIS_USER?" in notes("REDIS_USR=x")
    assert "word 2 was ignored: redis_exporter 1.86 has no such flag" in notes("-debug", "-zzz=x")
    assert "word 1 was ignored: redis_exporter 1.86 has no such variable" in notes("ZZZ=x")
    assert "word 2 is not a flag" in notes("-debug", "true")
    assert "-check-keys has no value" in notes("-check-keys")


@pytest.mark.parametrize(
    "words",
    [
        [f"-redis.password={SECRET}"],
        ["-redis.password", SECRET],
        [f"REDIS_PASSWORD={SECRET}"],
        [f"-redis.addr=redis://:{SECRET}@cart"],
        [f"-redis.addr=redis://me:{SECRET}@[cart"],
        [f"-redis.addr=redis://me:{SECRET}/x@cart"],
        [f"-redis.addr=cart:6379?password={SECRET}"],
        [f"-redis.password-file={SECRET}"],
        [f"-redis.pasword={SECRET}"],
        [f"-{SECRET}"],
        [SECRET],
        [f"-basic-auth-username=me -basic-auth-password={SECRET}"],
        [f"-basic-auth-hash-password={SECRET}"],
        [f"REDIS_PASWORD={SECRET}"],
        [f"-connection-timeout={SECRET}"],
        [f"-debug={SECRET}"],
        [f"-tls-ca-cert-file={SECRET}"],
        [f"-web.listen-address={SECRET}"],
        [f"-namespace={SECRET}"],
    ],
)
def test_password_is_never_shown(words: list[str]) -> None:
    assert SECRET not in str(migrate(words, {"REDIS_PASSWORD": SECRET}))


def test_password_in_place_of_its_file_is_not_shown() -> None:
    assert SECRET not in str(migrate([f"-redis.password-file={SECRET}"], {}))
    assert "-redis.password-file does not name a file of this host, and may be a password" in notes(
        f"-redis.password-file={SECRET}"
    )


def test_password_may_stay_in_the_environment() -> None:
    assert "leave it in REDIS_PASSWORD" in notes(REDIS_PASSWORD=SECRET)
    assert "leave it in REDIS_PASSWORD" not in notes(f"-redis.password={SECRET}")
    assert "password_file" not in settings(REDIS_PASSWORD=SECRET)


def test_result_is_usable_in_the_same_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"REDIS_ADDR": "cart:1", "REDIS_USER": "me", "REDIS_PASSWORD": SECRET}
    (tmp_path / "c.yaml").write_text(migrate([], environ).text)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["check-config", "c.yaml"]) == 0


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("-chek-keys=a", "did you mean -check-keys?"),
        ("-zzz=x", "word 2 was ignored: redis_exporter 1.86 has no such flag"),
        ("stray", "word 2 is not a flag, and was ignored"),
        ("-check-keys", "-check-keys has no value"),
        ("-debug=perhaps", "-debug: its value cannot be converted"),
        ("-basic-auth-username=me", "-basic-auth-username protected the pages of redis_exporter."),
        ("-tls-server-cert-file=a.pem", "-tls-server-cert-file protected the pages of redis_exporter."),
    ],
)
def test_missing_parts_go_to_stderr_and_the_exit_code_is_1(
    word: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate-flags", "--", "-redis.addr=cart", word]) == 1
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["redis_url"] == "redis://cart:6379"
    assert expected in err


def test_flag_that_needs_no_counterpart_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate-flags", "--", "-namespace=cache", "-ping-on-connect"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["redis", "secrets/redis", "./redis.txt"])
def test_relative_password_file_is_usable_from_any_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "redis-pulse.yaml"
    file.write_text(migrate([f"-redis.password-file={name}", f"-tls-ca-cert-file={name}"], {}).text)
    assert main(["check-config", str(file)]) == 0
    assert yaml.safe_load(file.read_text())["password_file"] == str(tmp_path / name)


def test_note_explains_a_relative_password_file_that_does_not_exist() -> None:
    assert settings("-redis.password-file=./p")["password_file"] == "./p"
    assert "a relative path refers to the folder of this file" in notes("-redis.password-file=./p")


def test_relabel_rules_are_complete_and_have_the_namespace() -> None:
    lines = migrate(["-namespace=cache", "-redis-only-metrics"], {}).text.splitlines()
    start = lines.index("#   metric_relabel_configs:")
    (rules,) = yaml.safe_load("\n".join(line[1:] for line in lines[start:])).values()
    assert rules == [
        {"source_labels": ["__name__"], "regex": "(process|python)_.*", "action": "drop"},
        {
            "source_labels": ["__name__"],
            "regex": "redis_(.*)",
            "target_label": "__name__",
            "replacement": "cache_$1",
        },
    ]
    assert "metric_relabel_configs:" not in notes()
    assert "renames them in Prometheus; it is printed below." in notes("-namespace=cache")


def test_notes_have_the_renamed_metrics() -> None:
    assert "redis_memory_used_bytes * on" in notes("-append-instance-role-label")
    assert "cache_memory_used_bytes * on" in notes("-append-instance-role-label", "-namespace=cache")


WORDS = st.one_of(
    st.text(max_size=20),
    st.builds("-{}={}".format, st.sampled_from([flag.name for flag in FLAG_TABLE]), st.text(max_size=30)),
    st.builds(
        "{}={}".format, st.sampled_from([flag.variable for flag in FLAG_TABLE if flag.variable]), st.text(max_size=30)
    ),
)


@given(st.lists(WORDS, max_size=8))
def test_result_of_any_words_is_yaml(words: list[str]) -> None:
    assert isinstance(yaml.safe_load(migrate(words, {}).text), dict)
