"""The site has every page of the documentation, and its links lead to the right places."""

import json
from pathlib import Path

import pytest

from redis_pulse import __version__
from tools import docs_site

NAV = (
    "nav:\n  - Start: [README.md]\n  - Runbooks: ['runbooks/*.md']\n"
    "  - changelog.md\n  - contributing.md\n  - governance.md\n"
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("docs/README.md", "docs/runbooks/b.md", "docs/runbooks/a.md", *docs_site.FROM_ROOT, "deploy/x.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    (tmp_path / "docs" / "a.png").write_bytes(b"PNG")
    (tmp_path / "mkdocs.yml").write_text(f"copyright: us\n{NAV}  - security-policy.md\n", encoding="utf-8")
    return tmp_path


def test_every_page_of_the_documentation_is_in_the_navigation() -> None:
    assert docs_site.problems() == []


def test_problems_of_a_navigation_are_found(repository: Path) -> None:
    assert docs_site.problems(repository) == []
    (repository / "mkdocs.yml").write_text(f"{NAV}  - gone.md\n  - README.md\n", encoding="utf-8")
    assert docs_site.problems(repository) == [
        "security-policy.md is not in the navigation: add it to nav in mkdocs.yml",
        "gone.md is in the navigation, and there is no such page",
        "README.md is in the navigation twice",
    ]
    with pytest.raises(docs_site.SiteError, match=r"gone\.md is in the navigation"):
        docs_site.prepare(repository / "work", repository)


def test_pattern_stands_for_all_pages_that_match() -> None:
    known = ["runbooks/b.md", "runbooks/a.md", "other.md"]
    assert docs_site.navigation([{"Runbooks": ["runbooks/*.md", "other.md"]}, {"Other": "other.md"}], known) == [
        {"Runbooks": ["runbooks/a.md", "runbooks/b.md", "other.md"]},
        {"Other": "other.md"},
    ]


@pytest.mark.parametrize(
    ("source", "link", "expected"),
    [
        ("docs/README.md", "runbooks/a.md#x", "runbooks/a.md#x"),
        ("docs/runbooks/a.md", "../README.md", "../README.md"),
        ("docs/runbooks/a.md", "../../CHANGELOG.md", "../changelog.md"),
        ("CHANGELOG.md", "docs/runbooks/a.md", "runbooks/a.md"),
        ("docs/README.md", "../deploy/x.yaml", f"{docs_site.REPOSITORY}/blob/main/deploy/x.yaml"),
        ("docs/README.md", "../deploy", f"{docs_site.REPOSITORY}/tree/main/deploy"),
        ("docs/README.md", "a.png", "a.png"),
        ("docs/README.md", "https://example.org/x.md", "https://example.org/x.md"),
        ("docs/README.md", "#here", "#here"),
    ],
)
def test_link_leads_to_the_same_place(repository: Path, source: str, link: str, expected: str) -> None:
    names = docs_site.pages(repository)
    text = f"A [text\nof two lines]({link}), and `code`.\n"
    assert docs_site.on_site(text, source, names, repository) == text.replace(link, expected)


def test_code_is_not_changed(repository: Path) -> None:
    text = "```sh\n[a](../deploy/x.yaml)\n  - b\n```\n"
    assert docs_site.on_site(text, "docs/README.md", docs_site.pages(repository), repository) == text


def test_lists_in_lists_get_the_margin_of_the_generator(repository: Path) -> None:
    text = "- a\n  - b\n\n  c\n\n1. d\n   - e\n"
    changed = docs_site.on_site(text, "docs/README.md", docs_site.pages(repository), repository)
    assert changed == "- a\n    - b\n\n    c\n\n1. d\n    - e\n"


def test_pages_pictures_and_version_are_prepared(repository: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    docs_site.prepare(work, repository)
    files = sorted(path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file())
    pages = ["README.md", "a.png", "changelog.md", "contributing.md", "governance.md", "runbooks/a.md", "runbooks/b.md"]
    assert files == [*(f"docs/{page}" for page in pages), "docs/security-policy.md", "mkdocs.yml"]
    assert f"redis-pulse {__version__}. us" in (work / "mkdocs.yml").read_text()


def test_newest_version_is_first_and_opened(tmp_path: Path) -> None:
    for name in ("0.9.0", "0.10.0", "assets"):
        (tmp_path / name).mkdir()
    docs_site.write_versions(tmp_path)
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert [(one["version"], one["aliases"]) for one in versions] == [("0.10.0", ["latest"]), ("0.9.0", [])]
    assert "url=0.10.0/" in (tmp_path / "index.html").read_text()


def test_navigation_without_a_page_ends_with_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_into: Path, _work: Path) -> Path:
        raise docs_site.SiteError("gone.md is in the navigation, and there is no such page")

    monkeypatch.setattr(docs_site, "build", fail)
    assert docs_site.main(["--into", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "make site: gone.md is in the navigation, and there is no such page\n"
