"""Each entry of a list becomes a target by itself: an invalid entry is rejected, and all others stay."""

from redis_pulse.config import FileSourceSettings, TargetGroup
from redis_pulse.discovery.target_groups import targets_of
from tests.discovery.context import RecordingContext, names_and_addresses, source_of

FILE = source_of("file", "x", FileSourceSettings(path="x"))


def test_address_becomes_a_target_with_the_address_as_its_name() -> None:
    context = RecordingContext()
    groups = [TargetGroup(("10.0.0.1:6379", "cache"), {"team": "web"})]
    targets = targets_of(groups, FILE, "x", context.build().reject)
    assert names_and_addresses(targets) == [("10.0.0.1:6379", "10.0.0.1:6379"), ("cache:6379", "cache:6379")]
    assert [target.labels for target in targets] == [{"team": "web"}, {"team": "web"}]
    assert context.rejected == []


def test_url_sets_tls_database_and_socket() -> None:
    groups = [TargetGroup(("rediss://a/3", "unix:///run/redis.sock", "/run/b.sock"), {})]
    targets = targets_of(groups, FILE, "x", print)
    assert [(target.address, target.endpoint.tls, target.db) for target in targets] == [
        ("a:6379", True, 3),
        ("/run/redis.sock", False, 0),
        ("/run/b.sock", False, 0),
    ]


def test_plain_address_has_the_scheme_of_the_source() -> None:
    source = source_of("file", "x", FileSourceSettings(path="x", scheme="rediss"), "rediss://placeholder")
    targets = targets_of([TargetGroup(("a", "redis://b"), {})], source, "x", print)
    assert [target.endpoint.tls for target in targets] == [True, False]


def test_labels_set_the_name_and_the_module_of_a_target() -> None:
    labels = {"__name": "sessions", "__module": "prod", "__meta_region": "eu", "team": "web"}
    (target,) = targets_of([TargetGroup(("10.0.0.1:6379",), labels)], FILE, "x", print)
    assert (target.name, target.username, target.labels) == ("sessions", "exporter", {"team": "web"})


def test_name_for_several_targets_is_ignored() -> None:
    targets = targets_of([TargetGroup(("a", "b"), {"__name": "sessions"})], FILE, "x", print)
    assert names_and_addresses(targets) == [("a:6379", "a:6379"), ("b:6379", "b:6379")]


def test_invalid_entry_is_rejected_with_location_and_hint() -> None:
    context = RecordingContext()
    groups = [
        TargetGroup(("redis://me:hunter2@a", "a:99999", "reids://a", "good"), {}),
        TargetGroup(("b",), {"__module": "prd"}),
        TargetGroup(("c",), {"instance": "x"}),
        TargetGroup(("d",), {"__name": "redis://d"}),
    ]
    targets = targets_of(groups, FILE, "x.yaml", context.build().reject)
    assert names_and_addresses(targets) == [("good:6379", "good:6379")]
    assert context.rejected == [
        "unreadable: x.yaml[0].targets[0] must not contain a user name or password: name a module that has them",
        "unreadable: x.yaml[0].targets[1] must have a port between 1 and 65535",
        "unreadable: x.yaml[0].targets[2] has the unknown scheme reids://: did you mean redis://?",
        "unreadable: x.yaml[1].labels.__module is not the name of a module: did you mean prod?",
        "unreadable: x.yaml[2].labels must not have the label instance, which is reserved",
        "unreadable: x.yaml[3].targets[0] has a __name that is not printable text of at most 200 characters",
    ]
