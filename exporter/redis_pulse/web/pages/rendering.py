"""Render the templates, in slices: a long page must not delay the pings.

Every value is escaped (``autoescape``), and a name that a template does not get is an error (``StrictUndefined``).
The policy of the pages allows their own style, by its hash, and no script.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from redis_pulse.slices import SharedTurns
from redis_pulse.status import WORDS
from redis_pulse.web.pages import texts

#: Parts of a page after which the clock is read. A row of a list has 20 parts.
_PARTS_PER_LOOK = 8
_TEMPLATES = ("base.html", "overview.html", "target.html", "keyspace.html", "keyspaces.html", "parts.html")


def _load(name: str) -> str:
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _minified(style: str) -> str:
    lines = (line.strip() for line in re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).splitlines())
    return "\n" + "\n".join(line for line in lines if line) + "\n"


STYLE = _minified(_load("style.css"))
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: The pages run no script and load nothing. Their forms only lead to themselves.
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({name: _load(name) for name in _TEMPLATES}),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
    )
    environment.filters.update(
        visible=texts.visible,
        plain=texts.plain,
        short=texts.short,
        clock=texts.clock,
        iso=texts.iso,
        span=texts.span,
        num=texts.number,
        ms=texts.milliseconds,
        dur=texts.duration,
    )
    environment.globals.update(style=Markup(STYLE), words=WORDS)  # noqa: S704  # a file of this package
    return environment


_ENVIRONMENT = _environment()
for _template in _TEMPLATES:
    _ENVIRONMENT.get_template(_template)  # compiled now: it takes 60 ms, and later pings would be late


async def render(template: str, values: Mapping[str, Any], turns: SharedTurns) -> bytes:
    """Return a page. ``values`` may hold iterators, which are read while the page is made."""
    parts: list[str] = []
    for number, part in enumerate(_ENVIRONMENT.get_template(template).generate(**values)):
        parts.append(part)
        if number % _PARTS_PER_LOOK == 0:
            await turns.take_for_page()
    return "".join(parts).encode()
