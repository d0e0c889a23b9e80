"""Files of targets are read whole when they change; one that cannot be read keeps what it said."""

import errno
import os
from pathlib import Path

import pytest

from redis_pulse.config import FileSourceSettings
from redis_pulse.discovery import DiscoveryError, PartlyFoundError, file_sd
from redis_pulse.discovery.file_sd import FileSource
from tests.discovery.context import RecordingContext, names_and_addresses, source_of


def source(path: Path | str, around: RecordingContext | None = None) -> FileSource:
    return FileSource(
        source_of("file", str(path), FileSourceSettings(path=str(path))), (around or RecordingContext()).build()
    )


def write(path: Path, text: str) -> None:
    """Put a file in place at once, as configuration management does."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


async def test_a_pattern_takes_json_and_yaml_files_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b.json", '[{"targets": ["b"]}]')
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    write(tmp_path / "c.yml", "- targets: [c]\n")
    (tmp_path / "readme.txt").write_text("no targets")
    assert names_and_addresses(list(await source(tmp_path / "*.[jy]*").refresh())) == [
        *(("a:6379", "a:6379"), ("b:6379", "b:6379"), ("c:6379", "c:6379"))
    ]


async def test_a_file_that_is_replaced_added_or_removed_is_noticed(tmp_path: Path) -> None:
    found = source(tmp_path / "*.yaml")
    assert await found.refresh() == []
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    assert [one.name for one in await found.refresh()] == ["a:6379"]
    write(tmp_path / "a.yaml", "- targets: [b]\n")
    assert [one.name for one in await found.refresh()] == ["b:6379"]
    write(tmp_path / "c.yaml", "- targets: [c]\n")
    assert [one.name for one in await found.refresh()] == ["b:6379", "c:6379"]
    (tmp_path / "a.yaml").unlink()
    assert [one.name for one in await found.refresh()] == ["c:6379"]


async def test_a_link_that_is_turned_to_another_folder_is_followed(tmp_path: Path) -> None:
    """So Kubernetes updates a ConfigMap."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.yaml").write_text(f"- targets: [{name}]\n")
    link = tmp_path / "data"
    link.symlink_to("one")
    found = source(link / "t.yaml")
    assert [one.name for one in await found.refresh()] == ["one:6379"]
    beside = tmp_path / "data.new"
    beside.symlink_to("two")
    beside.replace(link)
    assert [one.name for one in await found.refresh()] == ["two:6379"]


async def test_a_file_that_turns_bad_keeps_what_it_said_and_the_others_go_on(tmp_path: Path) -> None:
    found = source(tmp_path / "*.yaml")
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    write(tmp_path / "b.yaml", "- targets: [b]\n")
    await found.refresh()
    write(tmp_path / "a.yaml", "- targets: [a, hunter2\n")
    write(tmp_path / "b.yaml", "- targets: [b2]\n")
    with pytest.raises(PartlyFoundError) as failed:
        await found.refresh()
    assert [one.name for one in failed.value.targets] == ["a:6379", "b2:6379"]
    assert str(failed.value) == f"{tmp_path / 'a.yaml'} is not valid YAML, at line 2"
    write(tmp_path / "a.yaml", "- targets: [a3]\n")
    assert [one.name for one in await found.refresh()] == ["a3:6379", "b2:6379"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: write [] when there are no targets"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: 1", "must be a list"),
    ],
)
async def test_a_file_that_never_was_good_says_why(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(DiscoveryError, match=says.replace("[", r"\[")):
        await source(tmp_path / "a.yaml").refresh()


async def test_a_path_that_leads_nowhere_is_an_error_and_a_pattern_without_files_is_none(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryError, match="cannot be read: No such file or directory"):
        await source(tmp_path / "a.yaml").refresh()
    with pytest.raises(DiscoveryError, match="its folder does not exist"):
        await source(tmp_path / "nowhere" / "*.yaml").refresh()
    assert await source(tmp_path / "*.yaml").refresh() == []


async def test_entries_that_are_refused_are_told(tmp_path: Path) -> None:
    write(tmp_path / "a.json", '[{"targets": ["good", "reids://bad"]}]')
    around = RecordingContext()
    assert [one.name for one in await source(tmp_path / "a.json", around).refresh()] == ["good:6379"]
    assert around.refused == [
        f"unreadable: {tmp_path / 'a.json'}[0].targets[1] has the unknown scheme reids://: did you mean redis://?"
    ]


async def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For want of a descriptor all targets were gone for a moment, and their counters with them."""
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    found = source(tmp_path / "*.yaml")
    assert [one.name for one in await found.refresh()] == ["a:6379"]

    def scandir(_path: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DiscoveryError, match="cannot be looked for: Too many open files"):
        await found.refresh()


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*.yaml", ["a.yaml"]),
        (".*.yaml", [".hidden.yaml"]),
        ("**/*.yaml", ["a.yaml", "x/b.yaml", "x/y/c.yaml"]),
        ("*/*.yaml", ["x/b.yaml"]),
        ("x/[yz]/c.yaml", ["x/y/c.yaml"]),
        ("x/**", ["x/b.yaml", "x/y", "x/y/c.yaml"]),
        ("*/nothing/*", []),
    ],
)
def test_patterns_match_as_those_of_the_shell_do(tmp_path: Path, pattern: str, matches: list[str]) -> None:
    for name in ("a.yaml", ".hidden.yaml", "x/b.yaml", "x/y/c.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert file_sd._found(f"{tmp_path}/{pattern}") == [str(tmp_path / name) for name in matches]
