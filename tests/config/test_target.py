"""A target is concrete: modules and defaults are merged in, and equal settings make equal targets."""

import argparse
from pathlib import Path

import pytest

from redis_pulse.config import ConfigError, LoadedConfig, TargetSettings, load, parse_url


def resolved(directory: Path, text: str, **environ: str) -> LoadedConfig:
    """Load a YAML text."""
    (directory / "c.yaml").write_text(text)
    return load(argparse.Namespace(config="c.yaml"), environ, directory)


def test_without_any_target_the_local_server_is_watched_and_that_is_said(tmp_path: Path) -> None:
    loaded = load(None, {}, tmp_path)
    assert [target.address for target in loaded.targets] == ["localhost:6379"]
    assert loaded.warnings[0].startswith("no target is set: watching redis://localhost:6379")


def test_the_target_overrides_its_module_and_that_the_defaults(tmp_path: Path) -> None:
    (target,) = resolved(
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


def test_a_target_may_have_buckets_of_its_own(tmp_path: Path) -> None:
    """An edge of the SLO must be among those that it has in the end, wherever either was said."""
    near, far, sharp = resolved(
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


def test_an_unnamed_target_has_the_name_of_its_address_and_no_collectors_means_the_default_ones(tmp_path: Path) -> None:
    (target,) = resolved(tmp_path, "targets: [{url: 'redis://A/4'}]").targets
    assert (target.name, target.db, target.collectors) == ("a:6379", 4, None)


def test_the_limits_that_hang_on_the_interval_of_a_poll_move_with_it(tmp_path: Path) -> None:
    slow, fast, own = resolved(
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


def test_the_nearest_credentials_are_taken_whole(tmp_path: Path) -> None:
    """A password of one place must never be sent with the user name, or instead of the password, of another."""
    for name in ("module", "target"):
        (tmp_path / name).write_text(f"from-{name}\n")
    own, inherited, url = resolved(
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


def test_credentials_of_the_environment_go_to_the_url_of_the_environment_alone(tmp_path: Path) -> None:
    loaded = resolved(tmp_path, "targets: [{url: a}]", REDIS_URL="b", REDIS_USER="me", REDIS_PASSWORD="hunter2")
    assert [target.credentials() for target in loaded.targets] == [(None, None), ("me", "hunter2")]
    loaded = resolved(tmp_path, "targets: [{url: a}]", REDIS_PASSWORD="hunter2")
    assert [target.credentials() for target in loaded.targets] == [(None, None)]
    assert "REDIS_PASSWORD and REDIS_PASSWORD_FILE are not used" in loaded.warnings[0]


def test_a_password_file_is_read_at_every_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")
    (target,) = resolved(tmp_path, "targets: [{url: a, password_file: password}]").targets
    file.write_text(" new \n\n")
    assert target.credentials() == (None, " new \n")
    file.unlink()
    with pytest.raises(OSError, match="No such file"):
        target.credentials()
    file.write_bytes(b"\xff")
    with pytest.raises(OSError, match="not UTF-8"):
        target.credentials()


def test_a_password_file_of_redis_exporter_is_understood(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"redis://a:6379": "for-a", "rediss://me@b": "for-b", "http://c": "x"}')
    one, two, none = load(None, {"REDIS_ADDR": "a,b,c", "REDIS_PASSWORD_FILE": "p.json"}, tmp_path).targets
    assert (one.credentials()[1], two.credentials()[1], none.credentials()[1]) == ("for-a", "for-b", None)


def test_a_password_that_begins_like_json_is_a_password(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("{hunter2\n")
    (target,) = resolved(tmp_path, "targets: [{url: a, password_file: p}]").targets
    assert target.credentials() == (None, "{hunter2")


def test_equal_settings_make_equal_targets_and_a_changed_password_another(tmp_path: Path) -> None:
    text = "targets: [{url: 'redis://:one@a', labels: {team: web}, collectors: {info: }}]"
    (first,), (second,) = resolved(tmp_path, text).targets, resolved(tmp_path, text).targets
    (third,) = resolved(tmp_path, text.replace("one", "two")).targets
    assert first == second
    assert hash(first) == hash(second)
    assert first != third


def test_a_target_shows_no_secret(tmp_path: Path) -> None:
    (target,) = resolved(tmp_path, "targets: [{url: 'redis://hunter1:hunter2@a'}]").targets
    for text in (repr(target), str(target), repr(target.model_dump(exclude={"username"})), target.model_dump_json()):
        assert "hunter2" not in text
    assert "hunter1" not in repr(target)


def test_a_target_does_not_change() -> None:
    target = TargetSettings(name="a", endpoint=parse_url("a").endpoint)
    with pytest.raises(ValueError, match="frozen"):
        target.name = "b"  # type: ignore[misc]


def test_tls_without_a_check_checks_no_name_either_and_is_warned_about(tmp_path: Path) -> None:
    loaded = load(None, {"REDIS_URL": "rediss://a?ssl_cert_reqs=none"}, tmp_path)
    assert (loaded.targets[0].tls.cert_reqs, loaded.targets[0].tls.check_hostname) == ("none", False)
    assert loaded.warnings == ("target a:6379: the certificate is not checked (tls.cert_reqs is none)",)


def test_tls_settings_of_a_target_in_plain_text_are_warned_about(tmp_path: Path) -> None:
    loaded = resolved(tmp_path, "targets: [{url: redis://a, tls: {server_name: x}}]")
    assert loaded.warnings == ("target a:6379: its tls settings are not used, since its url is not rediss://",)


def test_targets_of_a_demo_stand_beside_and_get_no_credential(tmp_path: Path) -> None:
    loaded = load(None, {"REDIS_PASSWORD": "hunter2"}, tmp_path, extra_targets=[("primary", "redis://127.0.0.1:1")])
    assert [(target.name, target.credentials()) for target in loaded.targets] == [("primary", (None, None))]


def test_the_hook_for_collectors_hears_of_every_choice(tmp_path: Path) -> None:
    heard = []

    def check(name: str, options: dict[str, object]) -> list[str]:
        heard.append((name, options))
        return ["is not good"] if name == "bad" else []

    (tmp_path / "c.yaml").write_text("collectors: {info: {a: 1}}\ntargets: [{url: a}, {url: b, collectors: [bad]}]")
    with pytest.raises(ConfigError) as caught:
        load(argparse.Namespace(config="c.yaml"), {}, tmp_path, check_collectors=check)
    assert str(caught.value) == "c.yaml:2: targets[1].collectors.bad is not good"
    assert ("info", {"a": 1}) in heard


@pytest.mark.parametrize(("place", "told"), [("p/x", "cannot be read: Not a directory"), ("p", "is not UTF-8 text")])
def test_a_password_file_that_cannot_be_read_is_refused_at_load(tmp_path: Path, place: str, told: str) -> None:
    (tmp_path / "p").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigError, match=told) as caught:
        resolved(tmp_path, f"targets: [{{url: a, password_file: {place}}}]")
    assert "hunter2" not in str(caught.value)


def test_a_password_file_that_does_not_name_the_server_is_a_warning_that_names_it(tmp_path: Path) -> None:
    """Such a server may want no password, so it is asked without one; if it wants one, this is the cause."""
    (tmp_path / "p.json").write_text('{"redis://a:6379": "for-a"}')
    loaded = resolved(tmp_path, "targets: [{url: a, password_file: p.json}, {url: b, password_file: p.json}]")
    assert loaded.warnings == (
        "target b:6379: the password file has no entry for b:6379: it is asked without a password",
    )


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
def test_a_password_file_of_another_form_is_refused_at_load_and_at_every_connection(tmp_path: Path, text: str) -> None:
    """Before, Python's spelling of a dict was sent as the password."""
    (tmp_path / "p.json").write_text("good")
    (target,) = resolved(tmp_path, "targets: [{url: a, password_file: p.json}]").targets
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(ConfigError, match="holds JSON of another form than") as refused:
        resolved(tmp_path, "targets: [{url: a, password_file: p.json}]")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(OSError, match="holds JSON of another form") as caught:
        target.credentials()
    assert "JSON" in str(caught.value.strerror)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ['["a", "b"]', "{not json", "[", '{"redis://a:6379": 8675309}'])
def test_what_only_looks_like_json_is_a_password(tmp_path: Path, text: str) -> None:
    (tmp_path / "p").write_text(text)
    (target,) = resolved(tmp_path, "targets: [{url: a, password_file: p}]").targets
    assert target.credentials()[1] == ("8675309" if "8675309" in text else text)
