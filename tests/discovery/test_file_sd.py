"""A changed file is read again as a whole; an unreadable file keeps its last targets."""

import errno
import os
import re
from pathlib import Path

import pytest

from redis_pulse.config import FileSourceSettings
from redis_pulse.discovery import DiscoveryError, PartlyFoundError, file_sd
from redis_pulse.discovery.file_sd import FileSource
from tests.discovery.context import RecordingContext, names_and_addresses, source_of


def make_source(path: Path | str, context: RecordingContext | None = None) -> FileSource:
    options = FileSourceSettings(path=str(path))
    return FileSource(source_of("file", str(path), options), options, (context or RecordingContext()).build())


async def names(source: FileSource) -> list[str]:
    return [target.name for target in await source.refresh()]


def write(path: Path, text: str) -> None:
    """Replace a file atomically, as configuration management does."""
    temporary = path.with_suffix(".new")
    temporary.write_text(text)
    temporary.replace(path)


async def test_pattern_matches_json_and_yaml_files_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b.json", '[{"targets": ["b"]}]')
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    write(tmp_path / "c.yml", "- targets: [c]\n")
    (tmp_path / "readme.txt").write_text("no targets")
    targets = await make_source(tmp_path / "*.[jy]*").refresh()
    assert names_and_addresses(list(targets)) == [*(("a:6379", "a:6379"), ("b:6379", "b:6379"), ("c:6379", "c:6379"))]


async def test_replaced_added_and_removed_files_change_the_targets(tmp_path: Path) -> None:
    source = make_source(tmp_path / "*.yaml")
    assert await names(source) == []
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    assert await names(source) == ["a:6379"]
    write(tmp_path / "a.yaml", "- targets: [b]\n")
    assert await names(source) == ["b:6379"]
    write(tmp_path / "c.yaml", "- targets: [c]\n")
    assert await names(source) == ["b:6379", "c:6379"]
    (tmp_path / "a.yaml").unlink()
    assert await names(source) == ["c:6379"]


async def test_replaced_symbolic_link_changes_the_targets(tmp_path: Path) -> None:
    """Kubernetes updates a ConfigMap in this way."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.yaml").write_text(f"- targets: [{name}]\n")
    link = tmp_path / "data"
    link.symlink_to("one")
    source = make_source(link / "t.yaml")
    assert await names(source) == ["one:6379"]
    new_link = tmp_path / "data.new"
    new_link.symlink_to("two")
    new_link.replace(link)
    assert await names(source) == ["two:6379"]


async def test_invalid_file_keeps_its_targets_and_other_files_update(tmp_path: Path) -> None:
    source = make_source(tmp_path / "*.yaml")
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    write(tmp_path / "b.yaml", "- targets: [b]\n")
    await source.refresh()
    write(tmp_path / "a.yaml", "- targets: [a, hunter2\n")
    write(tmp_path / "b.yaml", "- targets: [b2]\n")
    with pytest.raises(PartlyFoundError) as error:
        await source.refresh()
    assert [target.name for target in error.value.targets] == ["a:6379", "b2:6379"]
    assert str(error.value) == f"{tmp_path / 'a.yaml'} is not valid YAML, at line 2"
    write(tmp_path / "a.yaml", "- targets: [a3]\n")
    assert await names(source) == ["a3:6379", "b2:6379"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: write [] for no targets"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"a: 1", "must be a list"),
    ],
)
async def test_invalid_file_is_an_error_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(DiscoveryError, match=re.escape(message)):
        await make_source(tmp_path / "a.yaml").refresh()


async def test_missing_file_is_an_error_but_pattern_without_files_is_empty(tmp_path: Path) -> None:
    with pytest.raises(DiscoveryError, match="cannot be read: No such file or directory"):
        await make_source(tmp_path / "a.yaml").refresh()
    with pytest.raises(DiscoveryError, match="its folder does not exist"):
        await make_source(tmp_path / "nowhere" / "*.yaml").refresh()
    assert await make_source(tmp_path / "*.yaml").refresh() == []


async def test_rejected_entry_is_reported_with_its_location(tmp_path: Path) -> None:
    write(tmp_path / "a.json", '[{"targets": ["good", "reids://bad"]}]')
    context = RecordingContext()
    assert await names(make_source(tmp_path / "a.json", context)) == ["good:6379"]
    assert context.rejected == [
        f"unreadable: {tmp_path / 'a.json'}[0].targets[1] has the unknown scheme reids://: did you mean redis://?"
    ]


async def test_unlistable_folder_is_an_error_and_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without free file descriptors, all targets would vanish for a moment, and with them their counters."""
    write(tmp_path / "a.yaml", "- targets: [a]\n")
    source = make_source(tmp_path / "*.yaml")
    assert await names(source) == ["a:6379"]

    def scandir(_path: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DiscoveryError, match="cannot be searched: Too many open files"):
        await source.refresh()


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
def test_pattern_matches_the_same_files_as_in_a_shell(tmp_path: Path, pattern: str, matches: list[str]) -> None:
    for name in ("a.yaml", ".hidden.yaml", "x/b.yaml", "x/y/c.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert file_sd._find_files(f"{tmp_path}/{pattern}") == [str(tmp_path / name) for name in matches]
