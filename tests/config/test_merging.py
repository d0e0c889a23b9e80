"""The settings of a target are merged from layers: the strongest layer that sets a key decides."""

from redis_pulse.config import parse_url
from redis_pulse.config.merging import (
    SettingsLayer,
    enabled_collectors,
    merge_group,
    merge_poll,
    merge_tls,
    of_targets,
    path_of_setting,
)
from redis_pulse.config.models import PollSettings, ProbeSettings, StallSettings, TlsSettings
from redis_pulse.config.settings import Module

TOP = SettingsLayer(Module(probe=ProbeSettings(interval=2.0, timeout=1.5)), ())
MODULE = SettingsLayer(Module(probe=ProbeSettings(interval=4.0)), ("modules", "prod"))
SETS = {"lean": ("info", "errorstats")}


def test_strongest_layer_decides_each_key() -> None:
    merged = merge_group(ProbeSettings, "probe", [TOP, MODULE])
    assert (merged.interval, merged.timeout) == (4.0, 1.5)
    assert path_of_setting([TOP, MODULE], ("probe", "interval")) == ("modules", "prod", "probe", "interval")
    assert path_of_setting([TOP, MODULE], ("probe", "timeout")) == ("probe", "timeout")
    assert path_of_setting([TOP, MODULE], ("probe", "buckets")) == ("probe", "buckets")


def test_poll_defaults_follow_the_interval() -> None:
    slow = merge_poll([SettingsLayer(Module(poll=PollSettings(interval=2.0)), ())])
    assert (slow.timeout, slow.max_age, slow.min_interval) == (2.0, 6.0, 2.0)


def test_key_that_all_targets_share_is_left_out() -> None:
    layer = SettingsLayer(Module(stalls=StallSettings(enabled=True, threshold=0.2)), ())
    assert of_targets("stalls", [layer], "threshold") == {"enabled": True}


def test_url_that_checks_no_certificate_checks_no_name() -> None:
    layer = SettingsLayer(Module(tls=TlsSettings(cert_reqs="required")), ())
    merged = merge_tls([layer], parse_url("rediss://a?ssl_cert_reqs=none"))
    assert (merged.cert_reqs, merged.check_hostname) == ("none", False)


def test_set_is_replaced_by_its_members_and_a_name_can_be_taken_out() -> None:
    assert enabled_collectors({"lean": {}, "slowlog": {"max": 1}, "errorstats": None}, SETS) == {
        "info": {},
        "slowlog": {"max": 1},
    }
