"""Coming over from redis_exporter: every flag has its answer, the result can be used, and no password is shown."""

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
from redis_pulse.migrate.flags import NEWER
from tools import settings_reference

HERE = Path(__file__).parent
#: flag, variable, switch or not, default: as `redis_exporter --help` and its README of 1.86 say.
FLAGS = [line.split("\t") for line in (HERE / "flags-1.86.tsv").read_text().splitlines()]
SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def _an_empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("REDIS_") or name in ("DEBUG", "LOG_LEVEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REDIS_PULSE_SECRETS_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def settings(*words: str, **environ: str) -> dict[str, Any]:
    """Migrate, and read the result as YAML."""
    found = yaml.safe_load(migrate(words, environ).text)
    assert isinstance(found, dict)
    return found


def notes(*words: str, **environ: str) -> str:
    """Return the comments of the result, each on one line."""
    lines = [line[1:].strip() for line in migrate(words, environ).text.splitlines() if line.startswith("#")]
    return " ".join(lines)


def test_the_table_has_every_flag_of_redis_exporter_with_its_variable_and_default() -> None:
    ours = {
        (row.flag, row.variable, row.is_switch, row.default.replace("false", ""))
        for row in FLAG_TABLE
        if row.flag not in NEWER
    }
    theirs = {(flag, variable, kind == "switch", default) for flag, variable, kind, default in FLAGS}
    assert ours == theirs


@pytest.mark.parametrize("row", FLAG_TABLE, ids=lambda row: row.flag)
def test_what_a_flag_becomes_is_a_setting_of_ours(row: Flag) -> None:
    known = {setting.path for setting in settings_reference.rows()}
    for path in row.settings:
        group, _, rest = path.partition(".")
        if group != "collectors":
            assert path in known
            continue
        name, _, option = rest.partition(".")
        assert name in collectors.load()
        assert not option or option in collectors.load()[name].options.model_fields
    assert row.settings or row.remark, "a flag without a counterpart needs a reason"


EXAMPLES: dict[str, str] = {
    **{row.flag: row.default for row in FLAG_TABLE if row.default},
    **{row.flag: "true" for row in FLAG_TABLE if row.is_switch},
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


@pytest.mark.parametrize("row", FLAG_TABLE, ids=lambda row: row.flag)
def test_a_flag_alone_gives_a_configuration_that_can_be_used(row: Flag, tmp_path: Path) -> None:
    words = [f"-{row.flag}={EXAMPLES.get(row.flag, 'x')}"]
    if row.flag in FILES:
        (tmp_path / "file.txt").write_text("x")
        words = [f"-{row.flag}={tmp_path}/file.txt"]
    if row.flag == "tls-client-key-file":
        words.append(f"-tls-client-cert-file={tmp_path}/file.txt")
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(migrate(words, {}).text)
    assert main(["check-config", str(file)]) == 0


def test_all_flags_together_give_a_configuration_that_can_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.txt").write_text("x")
    words = [f"-{flag}={value}" for flag, value in EXAMPLES.items()]
    words += [f"-{flag}={tmp_path}/file.txt" for flag in sorted(FILES)]
    assert main(["migrate-flags", "--", *words]) == 0
    file = tmp_path / "redis-pulse.yaml"
    file.write_text(capsys.readouterr().out)
    assert main(["check-config", str(file)]) == 0


def test_flags_are_read_as_go_reads_them() -> None:
    assert settings("--redis.addr", "a:1", "-debug", "-log-format=json") == {
        "redis_url": "redis://a:1",
        "debug": True,
        "log": {"format": "json"},
        "web": {"health_status": "always-200"},
    }
    assert settings("-debug=false") == settings()
    assert settings("-redis.addr=a", "-redis.addr=b")["redis_url"] == "redis://b:6379"


def test_variables_come_as_words_or_from_the_environment_and_flags_are_stronger() -> None:
    assert settings("-e", "REDIS_ADDR=a", REDIS_ADDR="b")["redis_url"] == "redis://a:6379"
    assert settings("REDIS_ADDR=a", "-redis.addr=b")["redis_url"] == "redis://b:6379"
    assert settings(REDIS_EXPORTER_DEBUG="T")["debug"] is True
    assert "debug" not in settings(REDIS_EXPORTER_DEBUG="perhaps")


def test_nothing_given_watches_what_redis_exporter_watches() -> None:
    assert settings() == {"redis_url": "redis://localhost:6379", "web": {"health_status": "always-200"}}


def test_of_the_collectors_only_what_differs_is_written() -> None:
    """Sixteen collectors written out for one option hide that option."""
    chosen = settings("-check-single-keys=a")["collectors"]
    assert chosen == {"default": True, "keys": {"keys": ["a"], "values": True, "text_values": True}}
    assert settings("-config-command=-")["collectors"] == {"default": True, "config": False}
    assert settings("-exclude-latency-histogram-metrics")["collectors"] == {"default": True, "latency_histogram": False}
    assert settings("-include-rdb-file-size-metric")["collectors"] == {"default": True, "rdb_file": True}


def test_values_of_keys_stay_inside_when_they_did() -> None:
    found = settings("-check-keys=a*", "-disable-exporting-key-values")["collectors"]["keys"]
    assert (found["values"], found["text_values"]) == (False, False)


def test_the_count_of_a_scan_goes_to_the_collectors_that_run() -> None:
    found = settings("-check-keys=a*", "-count-keys=b*", "-check-keys-batch-size=20000")["collectors"]
    assert (found["keys"]["count"], found["key_counts"]["count"]) == (10_000, 10_000)
    assert "key_groups" not in found


def test_a_url_keeps_its_database_and_its_user() -> None:
    found = settings("-redis.addr=rediss://me:x@[::1]:7000/3")
    assert (found["redis_url"], found["username"]) == ("rediss://[::1]:7000/3", "me")
    assert settings("-redis.addr=unix:///run/a%40b.sock?db=2")["redis_url"] == "unix:///run/a%40b.sock?db=2"


def test_without_an_address_the_targets_are_to_be_named() -> None:
    found = settings("-redis.addr=", "-redis.user=me", "-redis.password-file=/run/secrets/passwords.json")
    del found["web"]
    assert found == {"modules": {"redis_exporter": {"username": "me", "password_file": "/run/secrets/passwords.json"}}}
    assert "targets: [{url:" in notes("-redis.addr=")


def test_what_has_no_counterpart_is_told_with_its_reason() -> None:
    assert "-namespace: Names always begin with redis_" in notes("-namespace=valkey")
    assert "-namespace" not in notes("-namespace=redis")
    assert "-config-command: its value cannot be taken over" in notes("-config-command=HIDDEN")
    assert "-check-key-groups: its value cannot be taken over" in notes("-check-key-groups=%bxy")


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
def test_a_value_that_cannot_be_taken_over_is_told_and_changes_nothing(word: str) -> None:
    assert settings(word) == settings()
    assert f"{word.partition('=')[0]}: its value cannot be taken over" in notes(word)


def test_a_value_that_is_ours_already_is_not_written() -> None:
    assert settings("-skip-tls-verification=false", "-exclude-latency-histogram-metrics=false") == settings()
    assert settings("-export-client-list=false", "-config-command=CONFIG", "-tls-server-name=") == settings()
    assert settings("-include-metrics-for-empty-databases=true") == settings()
    found = settings("-include-metrics-for-empty-databases=false")
    assert found["collectors"]["info"] == {"empty_databases": 0}


def test_a_url_that_checks_no_certificate_still_checks_none() -> None:
    assert settings("-redis.addr=rediss://a?ssl_cert_reqs=none")["tls"] == {"cert_reqs": "none"}


def test_what_redis_exporter_does_not_know_is_told() -> None:
    assert "-chek-keys is nothing that redis_exporter knows: did you mean -check-keys?" in notes("-chek-keys=a")
    assert "REDIS_USR is nothing that redis_exporter knows: did you mean REDIS_USER?" in notes("REDIS_USR=x")
    assert "word 2 was left out: redis_exporter 1.86 knows no such flag" in notes("-debug", "-zzz=x")
    assert "word 1 was left out: redis_exporter 1.86 knows no such variable" in notes("ZZZ=x")
    assert "word 2 belongs to no flag" in notes("-debug", "true")
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
def test_a_password_is_never_shown(words: list[str]) -> None:
    assert SECRET not in str(migrate(words, {"REDIS_PASSWORD": SECRET}))


def test_a_password_where_its_file_belongs_is_not_shown_either() -> None:
    assert SECRET not in str(migrate([f"-redis.password-file={SECRET}"], {}))
    assert "-redis.password-file names no file that is here, and may be a password" in notes(
        f"-redis.password-file={SECRET}"
    )


def test_a_password_in_the_environment_may_stay_there() -> None:
    assert "leave it in REDIS_PASSWORD" in notes(REDIS_PASSWORD=SECRET)
    assert "leave it in REDIS_PASSWORD" not in notes(f"-redis.password={SECRET}")
    assert "password_file" not in settings(REDIS_PASSWORD=SECRET)


def test_the_same_environment_does_not_contradict_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"REDIS_ADDR": "cart:1", "REDIS_USER": "me", "REDIS_PASSWORD": SECRET}
    (tmp_path / "c.yaml").write_text(migrate([], environ).text)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert main(["check-config", "c.yaml"]) == 0


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("-chek-keys=a", "did you mean -check-keys?"),
        ("-zzz=x", "word 2 was left out: redis_exporter 1.86 knows no such flag"),
        ("stray", "word 2 belongs to no flag, and was left out"),
        ("-check-keys", "-check-keys has no value"),
        ("-debug=perhaps", "-debug: its value cannot be taken over"),
        ("-basic-auth-username=me", "-basic-auth-username protected the pages."),
        ("-tls-server-cert-file=a.pem", "-tls-server-cert-file protected the pages."),
    ],
)
def test_what_had_to_be_left_out_goes_to_stderr_and_ends_with_1(
    word: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate-flags", "--", "-redis.addr=cart", word]) == 1
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["redis_url"] == "redis://cart:6379"
    assert told in err


def test_a_flag_that_needs_no_counterpart_ends_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate-flags", "--", "-namespace=cache", "-ping-on-connect"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", ["redis", "secrets/redis", "./redis.txt"])
def test_a_relative_password_file_can_be_used_wherever_the_configuration_is_put(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    (tmp_path / "elsewhere").mkdir()
    file = tmp_path / "elsewhere" / "redis-pulse.yaml"
    file.write_text(migrate([f"-redis.password-file={name}", f"-tls-ca-cert-file={name}"], {}).text)
    assert main(["check-config", str(file)]) == 0
    assert yaml.safe_load(file.read_text())["password_file"] == str(tmp_path / name)


def test_a_relative_password_file_that_is_not_here_says_where_it_begins() -> None:
    assert settings("-redis.password-file=./p")["password_file"] == "./p"
    assert "a relative path begins where this file lies" in notes("-redis.password-file=./p")


def test_the_rules_for_prometheus_are_finished_and_know_the_namespace() -> None:
    lines = migrate(["-namespace=cache", "-redis-only-metrics"], {}).text.splitlines()
    start = lines.index("#   metric_relabel_configs:")
    (found,) = yaml.safe_load("\n".join(line[1:] for line in lines[start:])).values()
    assert found == [
        {"source_labels": ["__name__"], "regex": "(process|python)_.*", "action": "drop"},
        {
            "source_labels": ["__name__"],
            "regex": "redis_(.*)",
            "target_label": "__name__",
            "replacement": "cache_$1",
        },
    ]
    assert "metric_relabel_configs:" not in notes()
    assert "renames them in Prometheus; it stands below." in notes("-namespace=cache")


def test_advice_speaks_of_metrics_as_they_will_be_called() -> None:
    assert "redis_memory_used_bytes * on" in notes("-append-instance-role-label")
    assert "cache_memory_used_bytes * on" in notes("-append-instance-role-label", "-namespace=cache")


WORDS = st.one_of(
    st.text(max_size=20),
    st.builds("-{}={}".format, st.sampled_from([row.flag for row in FLAG_TABLE]), st.text(max_size=30)),
    st.builds(
        "{}={}".format, st.sampled_from([row.variable for row in FLAG_TABLE if row.variable]), st.text(max_size=30)
    ),
)


@given(st.lists(WORDS, max_size=8))
def test_whatever_is_given_the_result_is_yaml(words: list[str]) -> None:
    assert isinstance(yaml.safe_load(migrate(words, {}).text), dict)
