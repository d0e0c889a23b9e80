"""The pages for people in a real Chromium: light, dark and narrow, with many targets, and with hostile names."""

import asyncio
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from redis_pulse.status import STATES, StatusEvent
from redis_pulse.web import StatusView
from tests.integration.browser import Browser
from tests.integration.requirements import need_npm_file
from tests.web.fakes import UP, FakeDaemon, served
from tests.web.pages.scenes import HOSTILE, NOW, OWN, STALL, TROUBLED_OWN, FakeStatus, eight, keyspace, target, thousand

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: Where the pictures go, for a look at them and for docs/img.
PICTURES = os.environ.get("STATUS_PICTURES")
VIEWS = [(1280, False), (1280, True), (390, False), (390, True)]


def hostile() -> list[StatusView]:
    """Return a target for each hostile name. It is name, address, label, error and software at once."""
    return [
        target(
            name,
            STATES[number % len(STATES)],
            address=name,
            error=name,
            software=name,
            version=name,
            role=name,
            labels={"team": name},
            stalls=(STALL,),
        )
        for number, name in enumerate(HOSTILE)
    ]


def scene(views: Sequence[StatusView], *, troubled: bool = False) -> FakeDaemon:
    events = [
        StatusEvent(NOW - 60 * n, view.name, "state", view.error, view.state) for n, view in enumerate(views[:12])
    ]
    own = TROUBLED_OWN if troubled else replace(OWN, declared=len(views))
    names = [replace(UP, name=view.name, address=view.address) for view in views]
    return FakeDaemon(views=names, status=FakeStatus(views, own, happened=events))


def keys(pattern: str) -> FakeDaemon:
    """Return a daemon that knows the keys of its only target."""
    report = keyspace(pattern, f"{pattern}17".encode(errors="replace"))
    status = FakeStatus([target("cart")], OWN, keys={"cart": report})
    return FakeDaemon(views=[replace(UP, name="cart")], status=status)


SCENES = {
    "overview": lambda: scene(eight(), troubled=True),
    "calm": lambda: scene([target("localhost:6379")]),
    "thousand": lambda: scene(thousand()),
    "hostile": lambda: scene(hostile()),
    "empty": lambda: scene([]),
    "keys": lambda: keys("cart:*"),
    "hostile-keys": lambda: keys(HOSTILE[0]),
}
PAGES = [
    *(("overview", ""), ("overview", "?target=cart"), ("calm", ""), ("thousand", "")),
    *(("hostile", ""), ("hostile", f"?target={quote(HOSTILE[0], safe='')}"), ("empty", "")),
    *(("keys", "keyspace?target=cart"), ("keys", "keyspace"), ("hostile-keys", "keyspace?target=cart")),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Serve each scene with the real application and the real server, in a loop of its own."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    found: dict[str, str] = {}

    async def serve() -> None:
        contexts = {name: served(make()) for name, make in SCENES.items()}
        for name, context in contexts.items():
            found[name] = f"http://127.0.0.1:{(await context.__aenter__()).port}/"
        ready.set()
        await stop.wait()
        for context in contexts.values():
            await context.__aexit__(None, None, None)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(30), "the pages are not served"
    yield found
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.mark.parametrize(("width", "dark"), VIEWS)
@pytest.mark.parametrize(("name", "query"), PAGES)
def test_page_is_complete_inert_and_fits(
    browser: Browser, addresses: dict[str, str], name: str, query: str, width: int, dark: bool
) -> None:
    browser.complaints.clear()
    browser.requested.clear()
    browser.set_view(width=width, dark=dark)
    browser.open(addresses[name] + query)
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("document.scripts.length") == 0
    assert browser.evaluate("document.querySelectorAll('[style], [onclick], [onload], [onerror], iframe').length") == 0
    wide = "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    sideways = browser.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways <= 0, browser.evaluate(f"{wide}.slice(-3).map(e => e.outerHTML.slice(0, 200))")
    assert browser.complaints == []
    assert {url.split(":")[0] for url in browser.requested} <= {"http", "data"}
    assert all(url.startswith((addresses[name], "data:")) for url in browser.requested)
    background = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") != dark
    if PICTURES:
        kind = query.replace("?target=cart", "-target") if "keyspace" in query else ("target" if query else name)
        browser.screenshot(Path(PICTURES) / f"{name}-{kind}-{width}-{'dark' if dark else 'light'}.png")


@pytest.mark.parametrize(("width", "dark"), VIEWS)
@pytest.mark.parametrize(("name", "query"), PAGES)
def test_everybody_can_read_it(
    browser: Browser, addresses: dict[str, str], name: str, query: str, width: int, dark: bool
) -> None:
    axe = need_npm_file("axe-core", "axe.min.js").read_text()
    browser.set_view(width=width, dark=dark)
    browser.open(addresses[name] + query)
    browser.evaluate(axe)
    rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}"
    run = f"axe.run({rules}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).slice(0, 3)))"
    assert browser.evaluate(run) == []


def test_keyboard_reaches_the_first_problem(browser: Browser, addresses: dict[str, str]) -> None:
    browser.set_view(width=1280, dark=False)
    browser.open(addresses["overview"])
    first = (
        "[...document.querySelectorAll('a, button, input, select, summary, [tabindex]')].filter(e => e.tabIndex >= 0)"
    )
    assert browser.evaluate(f"{first}[0].textContent") == "Skip to what is wrong"
    browser.evaluate(f"{first}[0].focus()")
    assert browser.evaluate("getComputedStyle(document.activeElement).left") != "-1386px"
    assert browser.evaluate("document.querySelector(document.activeElement.getAttribute('href')).tagName") == "MAIN"


def test_hostile_names_are_text_only(browser: Browser, addresses: dict[str, str]) -> None:
    browser.set_view(width=1280, dark=False)
    browser.open(addresses["hostile"])
    assert browser.evaluate("document.body.textContent.includes('<script>alert(1)</script>')")
    hidden = "[...document.body.textContent].filter(c => /[\\u202a-\\u202e\\u200b\\u0007]/.test(c)).length"
    assert browser.evaluate(hidden) == 0
