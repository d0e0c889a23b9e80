"""``redis-pulse assets`` writes what the checkout has, and never replaces what someone has edited."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from redis_pulse import asset_files, cli
from redis_pulse.asset_files import RECORD, AssetError, read_assets, write_assets

ROOT = Path(__file__).parents[1]
ALERTS = "deploy/prometheus/alerts.yaml"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command line, and returns exit code, stdout and stderr."""

    def run_command(*words: str) -> tuple[int, str, str]:
        code = cli.main(["assets", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_command


def test_checkout_writes_every_dashboard_rule_and_example(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    code, out, err = run(str(folder))
    assert (code, err) == (0, "")
    for folder_name in asset_files.FOLDERS:
        for path in (ROOT / folder_name).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_file() and not name.startswith("deploy/web/"):
                assert (folder / name).read_bytes() == path.read_bytes()
                assert f"wrote {folder / name}\n" in out
    assert (folder / "deploy/helm/redis-pulse/files/dashboards/redis-pulse-overview.json").is_file(), (
        "links are followed"
    )
    assert json.loads((folder / "grafana/dashboards/redis-pulse-overview.json").read_text())["panels"]


def test_links_of_the_checkout_are_written_as_copies() -> None:
    """A wheel cannot contain links, and a chart without its dashboards would be useless."""
    links = [path for folder in asset_files.FOLDERS for path in (ROOT / folder).rglob("*") if path.is_symlink()]
    assert {path.relative_to(ROOT).as_posix(): path.resolve().relative_to(ROOT).as_posix() for path in links} == (
        asset_files.LINKS
    )


def test_second_run_writes_nothing(run: Run, tmp_path: Path) -> None:
    count = len(run(str(tmp_path))[1].splitlines()) - 1
    code, out, _ = run(str(tmp_path))
    assert code == 0
    assert out.startswith(f"0 files written, {count} were up to date")


def test_record_is_read_by_sha256sum(run: Run, tmp_path: Path) -> None:
    run(str(tmp_path))
    for line in (tmp_path / RECORD).read_text().splitlines():
        digest, name = line.split("  ", 1)
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_changed_file_is_kept_and_named(run: Run, tmp_path: Path) -> None:
    run(str(tmp_path))
    (tmp_path / ALERTS).write_text("mine")
    (tmp_path / "deploy/compose.yaml").unlink()
    code, out, err = run(str(tmp_path))
    assert (code, out) == (1, "")
    assert "--force" in err
    assert err.splitlines()[1:] == [f"  {tmp_path / ALERTS}"]
    assert (tmp_path / ALERTS).read_text() == "mine"
    assert not (tmp_path / "deploy/compose.yaml").exists(), "nothing was written"


def test_force_replaces_a_changed_file(run: Run, tmp_path: Path) -> None:
    run(str(tmp_path))
    (tmp_path / ALERTS).write_text("mine")
    code, out, _ = run(str(tmp_path), "--force")
    assert code == 0
    assert out.splitlines()[0] == f"wrote {tmp_path / ALERTS}"
    assert (tmp_path / ALERTS).read_bytes() == (ROOT / ALERTS).read_bytes()


def test_new_version_replaces_files_that_were_not_edited(tmp_path: Path) -> None:
    """Without a record, every upgrade would need --force, which then also replaces edited files."""
    write_assets({"a": b"1", "b": b"1"}, tmp_path, force=False)
    assert write_assets({"a": b"2", "b": b"1", "c": b"1"}, tmp_path, force=False) == ["a", "c"]
    (tmp_path / "b").write_bytes(b"mine")
    with pytest.raises(AssetError, match=r"b$"):
        write_assets({"a": b"3", "b": b"2"}, tmp_path, force=False)
    assert (tmp_path / "a").read_bytes() == b"2"


def test_file_of_someone_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    with pytest.raises(AssetError, match="were changed"):
        write_assets({"a": b"1"}, tmp_path, force=False)


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"1")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").symlink_to(other)
    with pytest.raises(AssetError, match="were changed"):
        write_assets({"a": b"2"}, tmp_path / "folder", force=False)
    write_assets({"a": b"2"}, tmp_path / "folder", force=True)
    assert other.read_bytes() == b"1"
    assert (tmp_path / "folder" / "a").read_bytes() == b"2"


def test_installed_package_is_preferred_and_private_files_are_left_out(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "redis_pulse"
    for name in ("deploy/a.yaml", "deploy/web/key.pem", "grafana/dashboards/b.json", "mixin/c.json"):
        file = package / "assets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")
    assert sorted(read_assets(package)) == [
        "deploy/a.yaml",
        "deploy/helm/redis-pulse/files/dashboards/b.json",
        "grafana/dashboards/b.json",
        "mixin/c.json",
    ]


def test_installation_without_assets_names_the_cure(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "redis_pulse"
    package.mkdir(parents=True)
    with pytest.raises(AssetError, match="Install the wheel of redis-pulse again"):
        read_assets(package)


def test_list_names_the_files_and_writes_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("--list")
    assert code == 0
    assert {ALERTS, "deploy/systemd/redis-pulse.service"} <= set(out.splitlines())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [[], ["--list", "folder"]])
def test_missing_folder_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["assets", *words])
    assert ended.value.code == 2
    assert "redis-pulse assets DIR" in capsys.readouterr().err


def test_folder_that_cannot_be_created_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    code, _, err = run(str(tmp_path / "file" / "folder"))
    assert code == 1
    assert "Not a directory" in err
    assert "Traceback" not in err
