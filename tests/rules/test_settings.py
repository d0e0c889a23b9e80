"""Settings of the rules: invalid values are rejected with their option, and the scale shortens all times together."""

from pathlib import Path

import pytest
import yaml

from grafana.rules.__main__ import main
from grafana.rules.settings import Settings, duration, options, seconds


@pytest.mark.parametrize(("text", "count"), [("250ms", 0.25), ("90s", 90), ("5m", 300), ("2h", 7200), ("30d", 2592000)])
def test_durations_have_the_format_of_prometheus(text: str, count: float) -> None:
    assert seconds(text) == count
    assert seconds(duration(count)) == count


def test_duration_is_written_in_the_largest_unit() -> None:
    assert [duration(count) for count in (0.0001, 1.25, 60, 90, 7200, 86400)] == [
        "1ms",
        "1250ms",
        "1m",
        "90s",
        "2h",
        "1d",
    ]


@pytest.mark.parametrize("text", ["", "5", "5 m", "1.5h", "-1m", "m"])
def test_invalid_duration_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration: write a whole number"):
        seconds(text)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("objective", 99.9, "--objective 99.9: must lie between 0 and 1"),
        ("latency_objective", 1.0, "--latency-objective 1.0: must lie between 0 and 1"),
        ("edge", 0.0, "--edge 0.0: must be above 0"),
        ("edge", float("nan"), "--edge nan: must be above 0"),
        ("scale", -1.0, "--scale -1.0: must be above 0"),
        ("poll_interval", "15", "--poll-interval: '15' is no duration"),
        ("group_label", "a-b", "--group-label a-b: is no name of a label"),
        ("job", 'a"b', '--job a"b: must be a regular expression without quotes'),
    ],
)
def test_invalid_setting_is_rejected_with_its_option(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is checked below
        Settings(**{name: value})  # type: ignore[arg-type]
    assert str(raised.value).startswith(message)


def test_scale_shortens_windows_and_waits_but_keeps_enough_scrapes() -> None:
    scaled = Settings(scale=0.01, scrape_interval="1s")
    assert (scaled.window("1h"), scaled.wait("1h"), scaled.wait("5m")) == ("36s", "36s", "3s")
    assert scaled.window("5m") == "4s", "rate() needs several samples at any scale"
    assert (Settings().window("5m"), Settings().wait("1h")) == ("5m", "1h")


@pytest.mark.parametrize(("edge", "le"), [(0.01, "0.01"), (1, "1.0"), (5e-05, "5e-05"), (0.0015, "0.0015")])
def test_edge_has_the_format_of_the_bucket_label(edge: float, le: str) -> None:
    assert Settings(edge=edge).le == le


def test_each_setting_has_an_option_with_a_help_text() -> None:
    for option, kind, default, text in options():
        assert option.startswith("--")
        assert isinstance(default, kind)
        assert text


def test_command_writes_rules_with_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["--into", str(tmp_path / "rules"), "--objective", "0.99", "--edge", "0.005", "--failure-ratio", "0.2"])
        == 0
    )
    assert "wrote" in capsys.readouterr().out
    text = (tmp_path / "rules" / "recording.yaml").read_text()
    assert 'le="0.005"' in text
    records = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    by_name = {rule["record"]: rule["expr"] for rule in records}
    burn = by_name["target:redis_availability_slo:burn_rate1h"]
    assert burn == "target:redis_ping_failures_per_slots:ratio_rate1h / target:redis_availability_slo:allowed_ratio"
    assert by_name["target:redis_availability_slo:allowed_ratio"].endswith(" * 0.01")
    assert by_name["target:redis_latency_slo:allowed_ratio"].endswith(" * 0.001")
    alerts = yaml.safe_load((tmp_path / "rules" / "alerts.yaml").read_text())
    [rule] = [
        one for group in alerts["groups"] for one in group["rules"] if one["alert"] == "RedisProbeFailureRateHigh"
    ]
    assert "> 0.2\n" in rule["expr"]


def test_command_names_the_invalid_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--into", str(tmp_path / "rules"), "--objective", "99.9"])
    assert raised.value.code == 2
    assert "--objective 99.9: must lie between 0 and 1" in capsys.readouterr().err
    assert not (tmp_path / "rules").exists()


def test_command_warns_if_the_edge_is_not_a_bucket(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The histogram has no data between its buckets, so the alert would never fire."""
    assert main(["--into", str(tmp_path), "--edge", "0.012"]) == 0
    assert "--edge 0.012 is not one of the default probe.buckets" in capsys.readouterr().err
