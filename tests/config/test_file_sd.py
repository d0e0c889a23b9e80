"""Lists of targets have the format of Prometheus. Messages have a line or an index, and repeat no value."""

import json

import pytest

from redis_pulse.config import TargetGroup, file_sd, read_groups

YAML = """
- targets: ["10.0.0.1:6379", "rediss://10.0.0.2:6380"]
  labels: {team: web}
- targets: [a]
"""
GROUPS = [TargetGroup(("10.0.0.1:6379", "rediss://10.0.0.2:6380"), {"team": "web"}), TargetGroup(("a",), {})]


def test_yaml_and_json_give_the_same_groups() -> None:
    assert read_groups(YAML, is_yaml=True) == GROUPS
    written = json.dumps([{"targets": list(group.targets), "labels": group.labels} for group in GROUPS])
    assert read_groups(written, is_yaml=False) == GROUPS
    assert read_groups(written, is_yaml=True) == GROUPS


def test_anchors_and_merge_keys_are_resolved() -> None:
    text = "- &one {targets: &t [a], labels: &l {team: web}}\n- {targets: *t, labels: {<<: *l, tier: '1'}}"
    assert read_groups(text, is_yaml=True)[1] == TargetGroup(("a",), {"team": "web", "tier": "1"})


def test_long_list_in_json_is_the_same_as_a_short_one() -> None:
    """Long texts are read by another decoder, which gives way to other threads."""
    groups = [{"targets": [f"10.0.0.{number}:6379"], "labels": {"team": "wéb\n"}} for number in range(5000)]
    read = read_groups(json.dumps(groups), is_yaml=False)
    assert read == [TargetGroup((f"10.0.0.{number}:6379",), {"team": "wéb\n"}) for number in range(5000)]


@pytest.mark.parametrize("is_yaml", [True, False])
def test_targets_beyond_the_limit_are_counted_and_dropped(monkeypatch: pytest.MonkeyPatch, *, is_yaml: bool) -> None:
    """Attack H3: 400 000 texts took 30 MB, which the process never gave back."""
    monkeypatch.setattr(file_sd, "_MAX_TEXTS", 3)
    monkeypatch.setattr(file_sd, "_QUICK", 0)
    groups = [{"targets": ["a", "b"]}, {"targets": ["c", "d", "e"], "labels": {"team": "web"}}, {"targets": ["f"]}]
    assert read_groups(json.dumps(groups), is_yaml=is_yaml) == [
        TargetGroup(("a", "b"), {}),
        TargetGroup(("c",), {"team": "web"}, dropped=2),
        TargetGroup((), {}, dropped=1),
    ]


@pytest.mark.parametrize("is_yaml", [True, False])
def test_groups_beyond_the_limit_are_counted_and_dropped(monkeypatch: pytest.MonkeyPatch, *, is_yaml: bool) -> None:
    monkeypatch.setattr(file_sd, "_MAX_GROUPS", 1)
    monkeypatch.setattr(file_sd, "_QUICK", 0)
    groups = [{"targets": ["a"]}, {"targets": ["b"]}, {"targets": ["c"]}]
    assert read_groups(json.dumps(groups), is_yaml=is_yaml) == [
        TargetGroup(("a",), {}),
        TargetGroup((), {}, dropped=2),
    ]


def test_empty_list_has_no_groups() -> None:
    assert read_groups("[]", is_yaml=False) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("targets: [a]", "must be a list of groups"),
        ("- [a]", "[0] must be a mapping with targets"),
        ("- {targets: [a]}\n- {target: [b]}", "[1] must be a mapping with targets"),
        ("- {targets: a}", "[0].targets must be a list of texts"),
        ("- {targets: [6379]}", "[0].targets must be a list of texts"),
        ("- {targets: [a], labels: {port: 6379}}", "[0].labels must be a mapping from names to texts"),
        ("- {targets: [a}\n", "is not valid YAML, at line 1"),
        ("- &a [*a]", "has an alias without a value, at line 1"),
        ("- !!python/object:os.system {}", "is not valid YAML, at line 1"),
        ("[" * 100 + "]" * 100, "nested too deep"),
        ("[]\n---\n[]", "has a second document"),
        ("- {targets: [a], targets: [b]}", "has a key that is set twice or is not text, at line 1"),
        ("hunter2", "must be a list of groups"),
        ("", "must be a list of groups"),
    ],
)
def test_yaml_that_is_not_a_list_of_groups_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not|has|is nested") as caught:
        read_groups(text, is_yaml=True)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"targets": ["hunter2"]},\n oops]', "is not valid JSON, at line 2"),
        ('{"hunter2": 1}', "must be a list of groups"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_json_that_is_not_a_list_of_groups_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not|holds") as caught:
        read_groups(text, is_yaml=False)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
