"""Targets are resolved: modules and defaults are merged in. Equal settings make equal targets."""

import argparse
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, TargetSettings, load, parse_url


def load_yaml(directory: Path, text: str, **environ: str) -> LoadedConfig:
    """Load a YAML text."""
    (directory / "c.yaml").write_text(text)
    return load(argparse.Namespace(config="c.yaml"), environ, directory)


def test_without_targets_the_local_server_is_used_with_a_warning(tmp_path: Path) -> None:
    loaded = load(None, {}, tmp_path)
    assert [target.address for target in loaded.targets] == ["localhost:6379"]
    assert loaded.warnings[0].startswith("no target is set: watching redis://localhost:6379")


def test_each_target_has_the_place_that_declares_it(tmp_path: Path) -> None:
    text = "targets: [{name: a, url: redis://a}, {name: b, url: redis://b}]"
    loaded = load_yaml(tmp_path, text, REDIS_URL="redis://c")
    assert loaded.declared_in == {"a": "c.yaml:1: targets[0]", "b": "c.yaml:1: targets[1]", "c:6379": "REDIS_URL"}
    assert load(None, {}, tmp_path).declared_in == {"localhost:6379": "no setting: it is the default"}


def test_target_overrides_module_and_module_overrides_defaults(tmp_path: Path) -> None:
    (target,) = load_yaml(
        tmp_path,
        """
        probe: {interval: 2s, timeout: 3s, silence: 40s}
        collectors: [info]
        modules:
          prod: {probe: {interval: 4s, timeout: 5s}, labels: {team: web, env: prod}, collectors: {slowlog: {max: 1}}}
        targets:
          - {url: a, module: prod, probe: {interval: 6s}, labels: {team: shop}}
        """,
    ).targets
    assert (target.probe.interval, target.probe.timeout, target.probe.silence) == (6, 5, 40)
    assert target.labels == {"team": "shop", "env": "prod"}
    assert target.collectors == {"slowlog": {"max": 1}}


@pytest.mark.parametrize(("text", "priority"), [("off", "off"), ("auto", "auto"), ('"off"', "off")])
def test_priority_is_for_all_targets_together(tmp_path: Path, text: str, priority: str) -> None:
    loaded = load_yaml(tmp_path, f"probe: {{priority: {text}, interval: 2s}}\ntargets: [{{url: a}}]")
    assert loaded.settings.probe.priority == priority
    assert loaded.targets[0].probe.interval == 2
    assert "priority" not in type(loaded.targets[0].probe).model_fields
    with pytest.raises(ConfigError, match="priority"):
        load_yaml(tmp_path, "targets: [{url: a, probe: {priority: off}}]")


def test_target_may_have_its_own_buckets(tmp_path: Path) -> None:
    """The SLO needs an edge among the merged buckets, whichever layer sets the SLO or the buckets."""
    near, far, sharp = load_yaml(
        tmp_path,
        """
        modules: {ocean: {probe: {buckets: [100ms, 250ms]}, slo: {latency: 250ms}}}
        targets:
          - {url: a}
          - {url: b, module: ocean}
          - {url: c, module: ocean, probe: {buckets: "1ms, 2ms"}, slo: {latency: 2ms}}
        """,
    ).targets
    assert near.slo.latency in near.probe.buckets
    assert len(near.probe.buckets) > 10
    assert far.probe.buckets == (0.1, 0.25)
    assert sharp.probe.buckets == (0.001, 0.002)


def test_default_name_is_the_address_and_default_collectors_are_none(tmp_path: Path) -> None:
    (target,) = load_yaml(tmp_path, "targets: [{url: 'redis://A/4'}]").targets
    assert (target.name, target.db, target.collectors) == ("a:6379", 4, None)


def test_default_poll_limits_depend_on_the_interval(tmp_path: Path) -> None:
    slow, fast, own = load_yaml(
        tmp_path,
        """
        targets:
          - {url: a, poll: {interval: 1m}}
          - {url: b, poll: {interval: 2s}}
          - {url: c, poll: {interval: 1m, max_age: 90s, timeout: 30s}}
        """,
    ).targets
    assert (slow.poll.timeout, slow.poll.max_age) == (5, 180)
    assert (fast.poll.timeout, fast.poll.max_age) == (2, 6)
    assert (own.poll.timeout, own.poll.max_age) == (30, 90)


def test_scrapes_add_no_polls_to_an_interval_that_a_user_set(tmp_path: Path) -> None:
    default, slow, fast, both, off = load_yaml(
        tmp_path,
        """
        targets:
          - {url: a}
          - {url: b, poll: {interval: 30s}}
          - {url: c, poll: {interval: 2s}}
          - {url: d, poll: {interval: 30s, min_interval: 10s}}
          - {url: e, poll: {align: off}}
        """,
    ).targets
    assert [target.poll.min_interval for target in (default, slow, fast, both, off)] == [5, 30, 2, 10, 5]
    assert [target.poll.align for target in (default, slow, fast, both, off)] == ["auto"] * 4 + ["off"]


def test_strongest_login_is_used(tmp_path: Path) -> None:
    """The password of one layer must never be sent with the user name of another, or instead of its password."""
    for name in ("module", "target"):
        (tmp_path / name).write_text(f"from-{name}\n")
    own, inherited, url = load_yaml(
        tmp_path,
        """
        modules:
          prod: {username: someone, password_file: module}
        targets:
          - {url: a, module: prod, username: me, password_file: target}
          - {url: b, module: prod}
          - {url: "redis://you:from-url@c", module: prod}
        """,
    ).targets
    assert own.credentials() == ("me", "from-target")
    assert inherited.credentials() == ("someone", "from-module")
    assert url.credentials() == ("you", "from-url")


def test_credentials_of_the_environment_are_for_redis_url_only(tmp_path: Path) -> None:
    loaded = load_yaml(tmp_path, "targets: [{url: a}]", REDIS_URL="b", REDIS_USER="me", REDIS_PASSWORD="hunter2")
    assert [target.credentials() for target in loaded.targets] == [(None, None), ("me", "hunter2")]
    loaded = load_yaml(tmp_path, "targets: [{url: a}]", REDIS_PASSWORD="hunter2")
    assert [target.credentials() for target in loaded.targets] == [(None, None)]
    assert "REDIS_PASSWORD and REDIS_PASSWORD_FILE are not used" in loaded.warnings[0]


def test_password_file_is_read_at_every_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    (target,) = load_yaml(tmp_path, "targets: [{url: a, password_file: password}]").targets
    file.write_text(" new \n\n")
    assert target.credentials() == (None, " new \n")
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        target.credentials()
    file.write_bytes(b"\xff")
    with pytest.raises(OSError, match="not UTF-8"):
        target.credentials()


def test_password_file_of_redis_exporter_is_supported(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"redis://a:6379": "for-a", "rediss://me@b": "for-b", "http://c": "x"}')
    one, two, none = load(None, {"REDIS_ADDR": "a,b,c", "REDIS_PASSWORD_FILE": "p.json"}, tmp_path).targets
    assert (one.credentials()[1], two.credentials()[1], none.credentials()[1]) == ("for-a", "for-b", None)


def test_password_that_begins_like_json_is_a_password(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("{hunter2\n")
    (target,) = load_yaml(tmp_path, "targets: [{url: a, password_file: p}]").targets
    assert target.credentials() == (None, "{hunter2")


def test_targets_differ_if_the_password_differs(tmp_path: Path) -> None:
    text = "targets: [{url: 'redis://:one@a', labels: {team: web}, collectors: {info: }}]"
    (first,), (second,) = load_yaml(tmp_path, text).targets, load_yaml(tmp_path, text).targets
    (third,) = load_yaml(tmp_path, text.replace("one", "two")).targets
    assert first == second
    assert hash(first) == hash(second)
    assert first != third


def test_target_shows_no_secret(tmp_path: Path) -> None:
    (target,) = load_yaml(tmp_path, "targets: [{url: 'redis://hunter1:hunter2@a'}]").targets
    for text in (repr(target), str(target), repr(target.model_dump(exclude={"username"})), target.model_dump_json()):
        assert "hunter2" not in text
    assert "hunter1" not in repr(target)


def test_target_is_frozen() -> None:
    target = TargetSettings(name="a", endpoint=parse_url("a").endpoint)
    with pytest.raises(ValueError, match="frozen"):
        target.name = "b"  # type: ignore[misc]


def test_unchecked_certificate_has_no_name_check_and_a_warning(tmp_path: Path) -> None:
    loaded = load(None, {"REDIS_URL": "rediss://a?ssl_cert_reqs=none"}, tmp_path)
    assert (loaded.targets[0].tls.cert_reqs, loaded.targets[0].tls.check_hostname) == ("none", False)
    assert loaded.warnings == ("target a:6379: the certificate is not checked (tls.cert_reqs: none)",)


def test_tls_settings_without_tls_get_a_warning(tmp_path: Path) -> None:
    loaded = load_yaml(tmp_path, "targets: [{url: redis://a, tls: {server_name: x}}]")
    assert loaded.warnings == ("target a:6379: its tls settings are not used, because its url is not rediss://",)


def test_extra_targets_have_no_credentials(tmp_path: Path) -> None:
    loaded = load(None, {"REDIS_PASSWORD": "hunter2"}, tmp_path, extra_targets=[("primary", "redis://127.0.0.1:1")])
    assert [(target.name, target.credentials()) for target in loaded.targets] == [("primary", (None, None))]


def test_extra_targets_record_stalls_unless_this_is_switched_off(tmp_path: Path) -> None:
    extra = [("primary", "redis://127.0.0.1:1")]
    [target] = load(None, {"REDIS_PULSE_STALLS_THRESHOLD": "200ms"}, tmp_path, extra_targets=extra).targets
    assert (target.stalls.enabled, target.stalls.threshold) == (True, 0.2)
    [target] = load(None, {"REDIS_PULSE_STALLS_ENABLED": "false"}, tmp_path, extra_targets=extra).targets
    assert not target.stalls.enabled


def test_check_collectors_is_called_for_every_layer(tmp_path: Path) -> None:
    checked = []

    def check(name: str, options: dict[str, object]) -> list[str]:
        checked.append((name, options))
        return ["is not good"] if name == "bad" else []

    (tmp_path / "c.yaml").write_text("collectors: {info: {a: 1}}\ntargets: [{url: a}, {url: b, collectors: [bad]}]")
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(config="c.yaml"), {}, tmp_path, check_collectors=check)
    assert str(caught.value) == "c.yaml:2: targets[1].collectors.bad is not good"
    assert ("info", {"a": 1}) in checked


@pytest.mark.parametrize(("path", "message"), [("p/x", "cannot be read: Not a directory"), ("p", "is not UTF-8 text")])
def test_unreadable_password_file_is_rejected_at_load(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "p").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigError, match=message) as caught:
        load_yaml(tmp_path, f"targets: [{{url: a, password_file: {path}}}]")
    assert "hunter2" not in str(caught.value)


def test_password_file_without_the_server_gives_a_warning(tmp_path: Path) -> None:
    """The server may need no password, so none is sent. If it needs one, the warning names the cause."""
    (tmp_path / "p.json").write_text('{"redis://a:6379": "for-a"}')
    loaded = load_yaml(tmp_path, "targets: [{url: a, password_file: p.json}, {url: b, password_file: p.json}]")
    assert loaded.warnings == ("target b:6379: the password file has no entry for b:6379: no password is sent",)


@pytest.mark.parametrize(
    "text",
    [
        "modules: {m: {password_file: p.json}}\ntargets: [{url: x}]",
        "modules: {m: {password_file: p.json}}\nscrape: {adopt: {allow: [10.0.0.0/8], module: m}}\ntargets: [{url: x}]",
        "modules: {m: {password_file: p.json}}\ndiscovery: {files: [{path: '*.targets', module: m}]}",
        "targets: [{name: q, password_file: p.json, sentinel: {hosts: ['s:26379']}}]",
    ],
)
def test_password_file_for_servers_to_be_found_gives_no_warning(tmp_path: Path, text: str) -> None:
    """Their addresses are unknown here. The warning would name a server that is not in the configuration."""
    (tmp_path / "p.json").write_text('{"redis://10.0.0.7:6379": "for-it"}')
    assert load_yaml(tmp_path, text).warnings == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"redis://a:6379": {"password": "hunter2"}}',
        '{"redis://b:6379": {"password": "hunter2"}}',
        '[{"url": "redis://a:6379", "password": "hunter2"}]',
        '{"redis://a:6379": ["hunter2"]}',
        '{"redis://a:6379": true}',
    ],
)
def test_password_file_of_another_form_is_always_rejected(tmp_path: Path, text: str) -> None:
    """It is rejected at load and at every connection. A dict must never be sent as a password."""
    (tmp_path / "p.json").write_text("good")
    (target,) = load_yaml(tmp_path, "targets: [{url: a, password_file: p.json}]").targets
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ConfigError, match="holds JSON of another form than") as caught_at_load:
        load_yaml(tmp_path, "targets: [{url: a, password_file: p.json}]")
    assert "hunter2" not in str(caught_at_load.value)
    with pytest.raises(OSError, match="holds JSON of another form") as caught:
        target.credentials()
    assert "JSON" in str(caught.value.strerror)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ['["a", "b"]', "{not json", "[", '{"redis://a:6379": 8675309}'])
def test_text_that_only_looks_like_json_is_a_password(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text)
    (target,) = load_yaml(tmp_path, "targets: [{url: a, password_file: p}]").targets
    assert target.credentials()[1] == ("8675309" if "8675309" in text else text)


def settings(url: str = "redis://10.0.0.7:6379", **more: str) -> TargetSettings:
    """Return the settings of one target, without a configuration file."""
    return TargetSettings(name="cart", endpoint=parse_url(url).endpoint, **more)


def test_equal_settings_make_equal_targets() -> None:
    """A reload compares settings to find out what changed."""
    assert settings() == settings()
    assert len({settings(), settings()}) == 1
    assert settings() != settings(password="other")
    assert settings() != settings(url="redis://10.0.0.8:6379")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://10.0.0.7:6379", "10.0.0.7:6379"),
        ("rediss://user:secret@[::1]:6380/3", "[::1]:6380"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ],
)
def test_address_contains_no_credential(url: str, address: str) -> None:
    assert settings(url).address == address


def test_repr_of_target_hides_password() -> None:
    assert "hunter2" not in repr(settings(password="hunter2"))


def test_renamed_commands_of_module_and_target_are_merged(tmp_path: Path) -> None:
    first, second = load_yaml(
        tmp_path,
        """
        modules: {m: {commands: {config: a, info: b}}}
        targets: [{url: redis://h, module: m, commands: {config: c}}, {url: redis://i}]
        """,
    ).targets
    assert {name: word.get_secret_value() for name, word in first.commands.items()} == {"config": "c", "info": "b"}
    assert second.commands == {}


def test_stall_settings_come_from_target_module_and_top(tmp_path: Path) -> None:
    loaded = load_yaml(
        tmp_path,
        """
        stalls: {threshold: 200ms, enquire: false}
        modules: {near: {stalls: {threshold: 50ms}}}
        targets:
          - {url: a, module: near, stalls: {detect_pause: false}}
          - {url: b}
        """,
    )
    first, second = loaded.targets
    assert (first.stalls.threshold, first.stalls.enquire, first.stalls.detect_pause) == (0.05, False, False)
    assert (second.stalls.threshold, second.stalls.enquire, second.stalls.detect_pause) == (0.2, False, True)
