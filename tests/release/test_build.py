"""The wheel that users get: equal bytes for everyone, typed, with all assets, and with no private file."""

import shutil
import zipfile
from pathlib import Path

import pytest

from redis_pulse import asset_files
from tools.release import build
from tools.release.result import ROOT, Release

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the tree with private files beside it."""
    copy = build.copy_tree(ROOT, tmp_path_factory.mktemp("tree") / "copy")
    (copy / "deploy" / "web").mkdir()
    (copy / "deploy" / "web" / "key.pem").write_text("private")
    return copy


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (built,) = build.build(tree, tmp_path_factory.mktemp("built"), "1700000000", "wheel")
    return built


@pytest.fixture
def release(wheel: Path, tmp_path: Path) -> Release:
    return Release(tmp_path, root=ROOT, files=[Path(shutil.copy2(wheel, tmp_path))])


def test_wheel_is_typed_and_has_every_asset(wheel: Path, release: Release) -> None:
    assert build.contents(release).state == "ok", build.contents(release).text
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "redis_pulse/py.typed" in names
    assert {f"redis_pulse/assets/{name}" for name in asset_files.stored_assets(ROOT)} <= set(names)
    assert not [name for name in names if "web/key.pem" in name]


def test_second_build_has_the_same_bytes(tree: Path, wheel: Path, tmp_path: Path) -> None:
    (tree / "README.md").touch()
    (again,) = build.build(tree, tmp_path, "1700000000", "wheel")
    assert build.digest(again) == build.digest(wheel)


def test_other_date_has_other_bytes(tree: Path, wheel: Path, tmp_path: Path) -> None:
    """Otherwise the comparison of builds would prove nothing."""
    (other,) = build.build(tree, tmp_path, "1600000000", "wheel")
    assert build.digest(other) != build.digest(wheel)


def rewrite(release: Release, drop: str = "", **added: str) -> None:
    """Replace the wheel by one without a file, and with others."""
    (old,) = release.files
    new = release.scratch / f"new-{old.name}"
    with zipfile.ZipFile(old) as source, zipfile.ZipFile(new, "w") as target:
        for name in source.namelist():
            if name != drop:
                target.writestr(name, source.read(name))
        for name, text in added.items():
            target.writestr(name, text)
    release.files = [new]


@pytest.mark.parametrize(
    ("drop", "added", "message"),
    [
        ("redis_pulse/py.typed", {}, "redis_pulse/py.typed is missing"),
        (
            "redis_pulse/assets/deploy/prometheus/alerts.yaml",
            {},
            "deploy/prometheus/alerts.yaml is missing or differs",
        ),
        ("", {"redis_pulse/assets/deploy/web/x": ""}, "deploy/web/x is not an asset"),
        ("", {"redis_pulse/key.pem": ""}, "redis_pulse/key.pem does not belong into a wheel"),
    ],
)
def test_wrong_content_of_a_wheel_is_named(release: Release, drop: str, added: dict[str, str], message: str) -> None:
    rewrite(release, drop, **added)
    assert build.contents(release).text == message


def test_long_description_has_absolute_links_only(wheel: Path) -> None:
    text = str(build.metadata_of(wheel).get_payload())
    assert "](docs/" not in text
    assert "https://github.com/redis-pulse/redis-pulse/blob/v" in text
    assert "https://raw.githubusercontent.com/redis-pulse/redis-pulse/v" in text


def test_long_description_is_rendered(release: Release) -> None:
    result = build.long_description(release)
    if result.state == "skipped":
        pytest.skip(result.text)
    assert result.state == "ok", result.text


def test_relative_link_in_the_description_is_found() -> None:
    html = '<a href="docs/x.md">x</a> <img src="https://a.example/b.png"> <a href="#top">y</a>'
    assert build.relative_links(html) == ["the link docs/x.md is relative"]
