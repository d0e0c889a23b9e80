"""``make release-check`` reports every check, and its exit code never hides a failure."""

from pathlib import Path

import pytest

from tools.release import check
from tools.release.result import ProgramError, Release, Result, run


def good(_release: Release) -> Result:
    return Result("ok", "fine")


def skipped(_release: Release) -> Result:
    return Result("skipped", "no helm: make deploy-tools")


def bad(_release: Release) -> Result:
    return Result("failed", "one\ntwo")


def broken(release: Release) -> Result:
    run(["sh", "-c", "echo why; exit 3"], cwd=release.scratch)
    return good(release)


@pytest.mark.parametrize(
    ("checks", "arguments", "code"),
    [
        ({"good": good}, [], 0),
        ({"good": good, "skipped": skipped}, [], 0),
        ({"good": good, "skipped": skipped}, ["--tag", "v0.2.0"], 1),
        ({"bad": bad, "good": good}, [], 1),
        ({"bad": bad, "good": good}, ["--only", "good"], 0),
        ({"broken": broken, "good": good}, [], 1),
    ],
)
def test_exit_code_follows_the_worst_result(
    checks: dict[str, check.Check], arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main(arguments, checks) == code
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert rows[:-1] == (["good"] if "--only" in arguments else list(checks))


def test_program_that_fails_is_a_failure_with_its_output(tmp_path: Path) -> None:
    result = check.perform(broken, Release(tmp_path))
    assert result.state == "failed"
    assert "exit code 3\nwhy" in result.text


def test_later_checks_run_after_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([], {"bad": bad, "good": good}) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:2] == ["bad", "failed"]
    assert out[0].endswith("one")
    assert out[1].strip() == "two"
    assert out[2].split()[:2] == ["good", "ok"]
    assert out[3] == "1 ok, 1 failed, 0 skipped"


def test_unknown_check_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        check.main(["--only", "lnks"])
    assert ended.value.code == 2
    assert "there is no check lnks: use some of versions, links," in capsys.readouterr().err


def test_missing_program_is_not_silent(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="exit code 1"):
        run(["false"], cwd=tmp_path)


def test_checks_that_need_a_build_are_skipped_without_it(tmp_path: Path) -> None:
    for name in ("contents", "description", "install", "assets", "licences", "commands"):
        assert check.CHECKS[name](Release(tmp_path)).state == "skipped", name
