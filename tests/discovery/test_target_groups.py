"""Entries of a list become targets one by one: one that cannot be a target is refused, and harms no other."""

from redis_pulse.config import FileSourceSettings, TargetGroup
from redis_pulse.discovery.target_groups import targets_of
from tests.discovery.context import RecordingContext, names_and_addresses, source_of

FILE = source_of("file", "x", FileSourceSettings(path="x"))


def test_an_address_is_a_target_called_by_its_address() -> None:
    around = RecordingContext()
    found = targets_of([TargetGroup(("10.0.0.1:6379", "cache"), {"team": "web"})], FILE, "x", around.build().reject)
    assert names_and_addresses(found) == [("10.0.0.1:6379", "10.0.0.1:6379"), ("cache:6379", "cache:6379")]
    assert [target.labels for target in found] == [{"team": "web"}, {"team": "web"}]
    assert around.refused == []


def test_urls_say_tls_database_and_socket() -> None:
    found = targets_of([TargetGroup(("rediss://a/3", "unix:///run/redis.sock", "/run/b.sock"), {})], FILE, "x", print)
    assert [(one.address, one.endpoint.tls, one.db) for one in found] == [
        ("a:6379", True, 3),
        ("/run/redis.sock", False, 0),
        ("/run/b.sock", False, 0),
    ]


def test_the_scheme_of_the_source_is_that_of_bare_addresses() -> None:
    source = source_of("file", "x", FileSourceSettings(path="x", scheme="rediss"), "rediss://to-be-found")
    found = targets_of([TargetGroup(("a", "redis://b"), {})], source, "x", print)
    assert [one.endpoint.tls for one in found] == [True, False]


def test_a_label_names_the_target_and_another_one_its_module() -> None:
    labels = {"__name": "sessions", "__module": "prod", "__meta_region": "eu", "team": "web"}
    (target,) = targets_of([TargetGroup(("10.0.0.1:6379",), labels)], FILE, "x", print)
    assert (target.name, target.username, target.labels) == ("sessions", "exporter", {"team": "web"})


def test_a_name_for_several_targets_would_be_one_name_too_few() -> None:
    found = targets_of([TargetGroup(("a", "b"), {"__name": "sessions"})], FILE, "x", print)
    assert names_and_addresses(found) == [("a:6379", "a:6379"), ("b:6379", "b:6379")]


def test_what_cannot_be_a_target_is_refused_with_place_and_cure_and_the_rest_is_taken() -> None:
    around = RecordingContext()
    groups = [
        TargetGroup(("redis://me:hunter2@a", "a:99999", "reids://a", "good"), {}),
        TargetGroup(("b",), {"__module": "prd"}),
        TargetGroup(("c",), {"instance": "x"}),
        TargetGroup(("d",), {"__name": "redis://d"}),
    ]
    assert names_and_addresses(targets_of(groups, FILE, "x.yaml", around.build().reject)) == [
        ("good:6379", "good:6379")
    ]
    assert around.refused == [
        "unreadable: x.yaml[0].targets[0] must not hold a user name or password: name a module that has them",
        "unreadable: x.yaml[0].targets[1] must have a port between 1 and 65535",
        "unreadable: x.yaml[0].targets[2] has the unknown scheme reids://: did you mean redis://?",
        "unreadable: x.yaml[1].labels.__module is no module: did you mean prod?",
        "unreadable: x.yaml[2].labels must not have the label instance, which is taken",
        "unreadable: x.yaml[3].targets[0] has a __name that is no printable text of at most 200 characters",
    ]
