"""Versions that differ, breaking entries without advice, and dead links are found before a release."""

import shutil
from pathlib import Path

import pytest

from redis_pulse import __version__
from tools.release import texts
from tools.release.result import ROOT, Release

CHART = "deploy/helm/redis-pulse/Chart.yaml"
KUSTOMIZATION = "deploy/kubernetes/kustomization.yaml"


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """Return a release with copies of the files that have versions."""
    for name in (CHART, KUSTOMIZATION, "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    return Release(tmp_path, root=tmp_path)


def replace(release: Release, name: str, old: str, new: str) -> None:
    path = release.root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_versions_of_the_tree_are_equal() -> None:
    assert texts.versions(Release(ROOT)).state == "ok"
    assert texts.versions(Release(ROOT, tag=f"v{__version__}")).state == "ok"


@pytest.mark.parametrize(
    ("name", "old", "place"),
    [
        (CHART, f"version: {__version__}", "version of Chart.yaml"),
        (CHART, f'appVersion: "{__version__}"', "appVersion of Chart.yaml"),
        (KUSTOMIZATION, f'newTag: "{__version__}"', "newTag of deploy/kubernetes/kustomization.yaml"),
    ],
)
def test_other_version_is_named_with_its_place(release: Release, name: str, old: str, place: str) -> None:
    replace(release, name, old, old.replace(__version__, "0.0.7"))
    result = texts.versions(release)
    assert result.state == "failed"
    assert f"{place} has 0.0.7, and redis_pulse has {__version__}" in result.text


@pytest.mark.parametrize(
    "mention",
    [
        "ghcr.io/redis-pulse/redis-pulse:0.0.7",
        "pip install redis-pulse==0.0.7",
        "pip install 'redis-pulse[aws]==0.0.7'",
    ],
)
def test_other_version_in_a_document_is_found(release: Release, mention: str) -> None:
    (release.root / "page.md").write_text(f"Run `{mention}`.\n")
    assert texts.versions(release).text == f"page.md has 0.0.7, and redis_pulse has {__version__}"


def test_tag_of_another_version_is_refused() -> None:
    result = texts.versions(Release(ROOT, tag="v9.9.9"))
    assert (result.state, result.text) == ("failed", f"the tag is v9.9.9, and redis_pulse has {__version__}")


def test_breaking_entry_without_an_upgrade_note_is_named(release: Release) -> None:
    path = release.root / "CHANGELOG.md"
    path.write_text(
        "## Unreleased\n\n- BREAKING: a. Upgrade: b.\n- BREAKING: c\n  d.\n- New.\n\n## 0.1.0\n\n- BREAKING: e\n"
    )
    assert texts.changelog(release).text == "no upgrade note: BREAKING: c d."


def test_tag_needs_its_section_in_the_changelog(release: Release) -> None:
    path = release.root / "CHANGELOG.md"
    path.write_text("## Unreleased\n\n- New.\n")
    release.tag = f"v{__version__}"
    assert (
        texts.changelog(release).text
        == f"the newest section is Unreleased: move its entries to a section {__version__}"
    )
    path.write_text(f"## {__version__} (2026-12-01)\n\n- New.\n")
    assert texts.changelog(release).state == "ok"


def test_changelog_of_the_tree_has_upgrade_notes() -> None:
    assert texts.changelog(Release(ROOT)).text.endswith("has an upgrade note")


def test_dead_link_of_any_page_is_a_failure(release: Release) -> None:
    (release.root / "README.md").write_text("nothing\n")
    (release.root / ".github").mkdir()
    (release.root / ".github" / "TEMPLATE.md").write_text("[x](../gone.md)\n")
    (release.root / ".venv").mkdir()
    (release.root / ".venv" / "other.md").write_text("[x](gone.md)\n")
    assert texts.links(release).text == ".github/TEMPLATE.md: ../gone.md leads to no file"


def test_tag_needs_a_current_record_of_names(release: Release) -> None:
    (release.root / "CHANGELOG.md").write_text("## Unreleased\n")
    (release.root / "compat").mkdir()
    assert texts.public_names_kept(release).state == "ok"
    release.tag = f"v{__version__}"
    assert "run make compat-record" in texts.public_names_kept(release).text
