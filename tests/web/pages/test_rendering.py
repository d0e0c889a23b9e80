"""The templates: strict, escaping, and without anything that the policy of the pages forbids."""

import re

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from redis_pulse.slices import SharedTurns
from redis_pulse.web.pages.rendering import _ENVIRONMENT, POLICY, STYLE, _load, render
from redis_pulse.web.pages.rendering import _TEMPLATES as TEMPLATES


@pytest.mark.parametrize("name", TEMPLATES)
def test_template_has_no_script_no_inline_style_and_no_foreign_address(name: str) -> None:
    text = _load(name)
    assert not re.search(
        r"<script|javascript:|\sstyle=|\son(click|load|error|focus|mouse\w*)=|https?://|\|\s*safe\b|autoescape", text
    )


def test_style_loads_nothing() -> None:
    addresses = re.findall(r"url\(([^)]*)", STYLE)
    assert addresses
    assert all(address.startswith(("#", '"data:image/svg+xml,')) for address in addresses)
    assert "@import" not in STYLE


def test_policy_allows_no_script_and_no_connection() -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search("script-src|connect-src|unsafe|https?:", POLICY)


def test_values_are_escaped_and_missing_ones_are_an_error() -> None:
    template = _ENVIRONMENT.from_string("{{ value }} {{ value|visible }}")
    assert template.render(value="<b>") == "&lt;b&gt; &lt;b&gt;"
    assert template.render(value=Markup("<i>")) == "<i> <i>"
    with pytest.raises(UndefinedError):
        template.render()


async def test_page_that_lacks_a_value_fails_and_sends_nothing() -> None:
    with pytest.raises(UndefinedError):
        await render("overview.html", {}, SharedTurns())
