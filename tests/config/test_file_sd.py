"""Lists of targets have the format of Prometheus. Messages have a line or an index, and repeat no value."""

import json

import pytest

from redis_pulse.config import TargetGroup, read_groups

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
        ("- &a [*a]", "holds a value that YAML cannot read"),
        ("- !!python/object:os.system {}", "is not valid YAML, at line 1"),
        ("[" * 100 + "]" * 100, "nested too deep"),
        ("hunter2", "must be a list of groups"),
        ("", "must be a list of groups"),
    ],
)
def test_yaml_that_is_not_a_list_of_groups_is_rejected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not|holds") as caught:
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
