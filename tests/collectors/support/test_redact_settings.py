"""In doubt a value is hidden, but settings that are not secret can be read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.support.redact_settings import (
    MAX_LENGTH,
    MAX_SETTINGS,
    SettingsOptions,
    is_secret,
    settings_samples,
)
from redis_pulse.masking import HIDDEN
from redis_pulse.metric import OverflowCount, Sample, gauge
from redis_pulse.parse.reply import as_pairs
from tests.recordings import topology

KEY_VALUE = gauge("X", "*", "x_key_value", "Settings.", labels=("key", "value"))
VALUE = gauge("X", "*", "x_value", "Settings.", labels=("key",))
EVERYTHING = SettingsOptions(include_config_metrics=True)

SECRET_NAMES = [
    "requirepass",
    "masterauth",
    "primaryauth",
    "masteruser",
    "primaryuser",
    "sentinel-user",
    "sentinel-pass",
    "tls-key-file",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
    "aclfile",
    "hash-seed",
    "proxy-password",
    "search-passphrase",
    "gears.apiKey",
    "oidc-client-secret",
    "SESSION_TOKEN",
    "cloud-credentials",
    "module-license",
]
SECRET_VALUES = [
    "redis://user:hunter2@10.0.0.7:6379",
    "https://token@example.org/",
    "user:hunter2@10.0.0.7",
    "admin:hunter2",
    "on >hunter2 ~* +@all",
    "user default on #5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
    "/etc/module.so PASSWORD hunter2",
    "host=db password=hunter2",
    "apikey: hunter2",
    "-----BEGIN PRIVATE KEY----- MIIE",
    "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "5e884898da28047151d0e56f8dc62927",
    "x" * (MAX_LENGTH + 1),
]
NOT_SECRET = {
    "notify-keyspace-events": "AKE",
    "tracking-table-max-keys": "1000000",
    "maxmemory-policy": "allkeys-lru",
    "save": "3600 1 300 100 60 10000",
    "dir": "/var/lib/redis",
    "bind": "127.0.0.1 -::1",
    "cluster-announce-ip": "10.0.0.7",
    "replicaof": "10.0.0.7 6379",
    "unixsocket": "/run/redis/redis.sock",
    "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    "proc-title-template": "{title} {listen-addr} {server-mode}",
    "latency-tracking-info-percentiles": "50 99 99.9",
    "oom-score-adj-values": "0 200 800",
    "stop-writes-on-bgsave-error": "yes",
    "some-module-address": "localhost:6379",
}


def shown(settings: dict[str, str], options: SettingsOptions = EVERYTHING) -> tuple[dict[str, str], dict[str, float]]:
    samples = [item for item in settings_samples(KEY_VALUE, VALUE, settings, options) if isinstance(item, Sample)]
    texts = {sample.labels[0]: sample.labels[1] for sample in samples if sample.metric is KEY_VALUE}
    return texts, {sample.labels[0]: sample.value for sample in samples if sample.metric is VALUE}


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_name_hides_its_value_and_its_number(name: str) -> None:
    assert shown({name: "12345"}) == ({name: HIDDEN}, {})
    assert shown({name.upper(): "yes"}) == ({name.upper(): HIDDEN}, {})


@pytest.mark.parametrize("value", SECRET_VALUES)
def test_secret_value_is_hidden_with_any_name(value: str) -> None:
    assert shown({"some-setting": value}) == ({"some-setting": HIDDEN}, {})


@pytest.mark.parametrize(("name", "value"), NOT_SECRET.items())
def test_other_value_is_shown(name: str, value: str) -> None:
    assert not is_secret(name, value)


@pytest.mark.parametrize("server", topology.SERVERS)
@pytest.mark.parametrize("command", ["CONFIG GET *", "SENTINEL CONFIG GET *"])
def test_only_the_secrets_of_a_real_server_are_hidden(server: str, command: str) -> None:
    settings = as_pairs(topology.reply(server, command)).fields
    texts, _ = shown(settings)
    assert topology.PLANTED in settings.values()
    assert not [name for name, text in texts.items() if topology.PLANTED in text]
    assert texts.keys() == settings.keys()
    needless = [name for name, text in texts.items() if text == HIDDEN and settings[name] != topology.PLANTED]
    assert not needless


@pytest.mark.parametrize(
    "name", ["tls-auth-clients", "x-auth-enabled", "hide-user-passwords-in-log", "use_token_cache"]
)
def test_switch_with_a_secret_name_is_shown_if_it_is_yes_or_no(name: str) -> None:
    assert shown({name: "yes"}) == ({name: "yes"}, {})
    assert shown({name: "no"}) == ({name: "no"}, {})


@pytest.mark.parametrize("value", ["1", "0", "true", "on", "hunter2", "YES"])
def test_other_value_of_a_switch_with_a_secret_name_is_hidden(value: str) -> None:
    assert shown({"x-auth-enabled": value}) == ({"x-auth-enabled": HIDDEN}, {})


def test_settings_that_are_known_not_to_be_secret_are_shown() -> None:
    assert shown({"tls-auth-clients": "optional", "tls-auth-clients-user": "CN", "key-load-delay": "0"}) == (
        {"tls-auth-clients": "optional", "tls-auth-clients-user": "CN", "key-load-delay": "0"},
        {"key-load-delay": 0},
    )


def test_empty_value_is_shown_because_it_means_no_password() -> None:
    assert shown({"requirepass": ""}) == ({"requirepass": ""}, {})


def test_numbers_have_their_own_series() -> None:
    _, numbers = shown({"maxclients": "10000", "min": "-1", "f": "0.5", "w": "yes", "p": "10%", "n": "nan", "e": ""})
    assert numbers == {"maxclients": 10000, "min": -1, "f": 0.5}


def test_options_hide_and_show_settings() -> None:
    options = SettingsOptions(hide=("proc-*",), show=("x-auth-mode", "proc-title"))
    assert shown({"x-auth-mode": "ldap", "proc-title": "x", "requirepass": "x"}, options)[0] == {
        "x-auth-mode": "ldap",
        "proc-title": HIDDEN,  # hide overrides show
        "requirepass": HIDDEN,
    }


def test_settings_beyond_the_limits_are_counted() -> None:
    settings = {f"setting-{number:05}": "1" for number in range(MAX_SETTINGS + 7)} | {"x" * (MAX_LENGTH + 1): "1"}
    items = list(settings_samples(KEY_VALUE, VALUE, settings, EVERYTHING))
    assert sum(isinstance(item, Sample) for item in items) == 2 * MAX_SETTINGS
    assert [item.values for item in items if isinstance(item, OverflowCount)] == [8]


@given(
    st.sampled_from(["{}requirepass", "x-{}-auth", "{}secret{}"]),
    st.text(alphabet="abcxyz-_.", max_size=8),
    st.text(min_size=1, max_size=40).filter(lambda value: value not in ("yes", "no")),
)
def test_secret_word_in_a_name_hides_any_value(name: str, around: str, value: str) -> None:
    assert is_secret(name.format(around, around), value)


@pytest.mark.parametrize("part", ["key ", "key", "a:", "=", " ", "pass  ", "x@", ":", "://", "A1"])
def test_patterns_are_fast_for_any_value(part: str) -> None:
    """They block the event loop. A pattern with endless backtracking would take minutes."""
    began = time.thread_time()
    is_secret("some-setting", (part * MAX_LENGTH)[: MAX_LENGTH - 1] + "\n")
    is_secret("some-setting", "key" + " " * (MAX_LENGTH - 3))
    assert time.thread_time() - began < 10
