"""Licences are read from every kind of metadata, and an unknown one is never taken for an allowed one."""

import pytest

from tools.release.installed import judge_licences, licence_names


@pytest.mark.parametrize(
    ("expression", "text", "classifiers", "names"),
    [
        ("MIT", "", [], ["MIT"]),
        ("Apache-2.0 OR BSD-2-Clause", "", [], ["Apache-2.0"]),
        ("GPL-3.0-only OR MIT", "", [], ["MIT"]),
        ("MIT AND Python-2.0", "", [], ["MIT", "Python-2.0"]),
        ("MIT AND GPL-3.0-only", "", [], ["MIT", "GPL-3.0-only"]),
        ("", "Apache License, Version 2.0", [], ["Apache-2.0"]),
        ("", "", ["BSD License"], ["BSD"]),
        ("", "Copyright (c) Someone\n\nPermission is hereby granted", ["MIT License"], ["MIT"]),
        ("", "", [], []),
    ],
)
def test_licence_is_read_from_the_metadata(
    expression: str, text: str, classifiers: list[str], names: list[str]
) -> None:
    assert licence_names(expression, text, classifiers) == names


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("x", "", "", []), "x: its metadata names no licence: empty"),
        (("x", "GPL-3.0-only", "", []), "x: GPL-3.0-only is not in ALLOWED"),
        (("x", "MIT AND GPL-3.0-only", "", []), "x: GPL-3.0-only is not in ALLOWED"),
        (("x", "", "Proprietary", []), "x: Proprietary is not in ALLOWED"),
    ],
)
def test_licence_that_is_not_allowed_is_named(row: tuple[str, str, str, list[str]], message: str) -> None:
    result = judge_licences([("good", "MIT", "", []), row])
    assert result.state == "failed"
    assert result.text.startswith(message)


def test_allowed_licences_are_listed() -> None:
    assert judge_licences([("a", "MIT", "", []), ("b", "", "", ["BSD License"])]).text == "2 libraries: BSD, MIT"
