"""Equal settings of a thousand targets are one object. Different ones are never mixed up."""

import argparse
from pathlib import Path

from redis_pulse import collectors
from redis_pulse.config import LoadedConfig, SharedOptions, load
from redis_pulse.config.models import BreakerSettings, ProbeSettings, SloSettings
from redis_pulse.config.shared_options import MAX_SHARED


def loaded(folder: Path, text: str) -> LoadedConfig:
    file = folder / "redis-pulse.yaml"
    file.write_text(text)
    return load(argparse.Namespace(config=str(file)), {}, folder)


def test_equal_options_become_one_object() -> None:
    share = SharedOptions().share
    first = share(ProbeSettings(interval=2.0))
    assert share(ProbeSettings(interval=2.0)) is first
    assert share(ProbeSettings(interval=3.0)) is not first


def test_options_of_two_classes_with_the_same_values_stay_apart() -> None:
    """Several collectors have no option at all. Each needs an object of its own class."""
    share = SharedOptions().share
    kinds = {collector.options for collector in collectors.load().values()} | {BreakerSettings, SloSettings}
    for kind in kinds:
        assert type(share(kind())) is kind


def test_option_that_was_set_to_its_default_is_not_the_default() -> None:
    """A value that a user set wins over a layer below it, so both objects differ."""
    share = SharedOptions().share
    assert share(ProbeSettings()) is not share(ProbeSettings(interval=1.0))


def test_number_of_remembered_options_is_bounded() -> None:
    shared = SharedOptions()
    first = shared.share(ProbeSettings(interval=0.5))
    for number in range(MAX_SHARED):
        assert shared.share(ProbeSettings(interval=1.0 + number)).interval == 1.0 + number
    assert shared.share(ProbeSettings(interval=0.5)) is not first


def test_targets_share_the_groups_in_which_they_are_equal(tmp_path: Path) -> None:
    targets = loaded(
        tmp_path,
        "probe: {interval: 2s}\n"
        "targets:\n"
        "- {name: a, url: 'redis://a'}\n"
        "- {name: b, url: 'redis://b', slo: {latency: 5ms}}\n"
        "- {name: c, url: 'redis://c', probe: {timeout: 500ms}}\n",
    ).targets
    a, b, c = targets
    assert a.probe is b.probe
    assert a.slo is not b.slo
    assert a.slo is c.slo
    assert (a.probe.timeout, c.probe.timeout) == (1.0, 0.5)
    for group in ("tls", "connection", "poll", "breaker", "canary", "stalls"):
        assert getattr(a, group) is getattr(b, group) is getattr(c, group), group
