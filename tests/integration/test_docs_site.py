"""The built site in a real Chromium: search answers, no other host gets a request, every page is reached."""

import functools
import json
import re
import threading
from collections.abc import Iterator
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest

from redis_pulse import __version__
from tests.integration.browser import Browser
from tests.integration.requirements import missing
from tools import docs_site

pytestmark = [pytest.mark.integration, pytest.mark.slow]

#: What newcomers looked for, and the page that must be the first result.
QUESTIONS = {
    "managed services": "servers/",
    "supported versions": "servers/",
    "proxy in front": "proxies/",
    "silence a target for maintenance": "maintenance/",
    "time to recovery": "breaker/",
    "exit codes": "exit-codes/",
    "effective configuration": "configuration/",
    "Dragonfly and KeyDB": "servers/",
    "stalls": "stalls/",
}
#: Names that people copy from an alert or a graph. Many pages have them, and other names begin with some of them.
METRICS = ["redis_up", "redis_memory_used_bytes", "redis_stalls_total", "redis_master_link_up"]
#: Types a question into the search of a page, and returns the address of the first result.
#: Ends when the script of the page has added its parts.
LOADED = """(async () => {
  const wait = () => new Promise(done => setTimeout(done, 50));
  while (!document.querySelector('.md-version__current')) await wait();
  while (!document.querySelector('.md-search__button')) await wait();
  while (![...document.body.children].some(child => child.shadowRoot)) await wait();
  while (![...document.images].every(image => image.complete)) await wait();
})()"""
SEARCH = """(async () => {
  document.querySelector('.md-search__button').click();
  const root = [...document.body.children].find(child => child.shadowRoot).shadowRoot;
  const wait = () => new Promise(done => setTimeout(done, 50));
  while (!root.querySelector('input')) await wait();
  const input = root.querySelector('input');
  input.value = QUESTION;
  input.dispatchEvent(new Event('input', {bubbles: true}));
  const isNew = link => new URL(link.href).searchParams.get('h') === QUESTION;
  while (![...root.querySelectorAll('a')].some(isNew)) await wait();
  return [...root.querySelectorAll('a')].find(isNew).href;
})()"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_spec("zensical") is None:
        missing("the generator of the site is not installed: make site installs it")
    return docs_site.build(tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("work") / "site")


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(site.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{__version__}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.mark.parametrize("question", QUESTIONS)
def test_search_answers_a_newcomer_at_the_first_try(browser: Browser, address: str, question: str) -> None:
    browser.open(address)
    browser.evaluate(LOADED)
    found = browser.evaluate(SEARCH.replace("QUESTION", json.dumps(question)))
    assert urlsplit(found).path == urlsplit(urljoin(address, QUESTIONS[question])).path, found


@pytest.mark.parametrize("metric", METRICS)
def test_search_for_a_metric_leads_to_its_row_first(browser: Browser, address: str, metric: str) -> None:
    browser.open(address)
    browser.evaluate(LOADED)
    found = urlsplit(browser.evaluate(SEARCH.replace("QUESTION", json.dumps(metric))))
    assert (found.path, found.fragment) == (urlsplit(urljoin(address, "metrics/")).path, metric)
    browser.open(urljoin(address, "metrics/"))
    row = f"document.getElementById({json.dumps(metric)}).closest('td').textContent"
    assert browser.evaluate(row) == metric


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("page", ["", "tutorial/", "metrics/", "status-page/", "runbooks/RedisTargetDown/"])
def test_page_has_both_modes_and_asks_no_other_host(browser: Browser, address: str, page: str, dark: bool) -> None:
    browser.complaints.clear()
    browser.requested.clear()
    browser.set_view(width=1280, dark=dark)
    browser.open(address + page)
    browser.evaluate(LOADED)
    scheme = "slate" if dark else "default"
    assert browser.evaluate("document.body.dataset.mdColorScheme") == scheme
    assert browser.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert browser.complaints == []
    own = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}/"
    assert [url for url in browser.requested if not url.startswith((own, "data:", "blob:"))] == []
    assert browser.evaluate("document.querySelector('.md-version__current').textContent.trim()") == __version__


def test_every_page_can_be_reached(site: Path) -> None:
    """From the first page, by links alone."""
    first = site / "index.html"
    found, waiting = {first}, [first]
    while waiting:
        page = waiting.pop()
        for link in re.findall(r'href="?([^">\s]+)', page.read_text(encoding="utf-8")):
            path = urlsplit(unescape(link)).path
            if urlsplit(link).scheme or not path:
                continue
            to = (page.parent / path).resolve()
            to = to / "index.html" if to.is_dir() else to
            if to.suffix == ".html" and to.is_file() and to not in found:
                found.add(to)
                waiting.append(to)
    assert {path for path in site.rglob("*.html") if path.name != "404.html"} == found


def test_all_markup_was_understood(site: Path) -> None:
    """A list or a table that the generator takes for a paragraph shows its marks to the reader."""
    marks = re.compile(r"^(?:[-*] |\d+\. |\||```)", re.MULTILINE)
    wrong = []
    for page in site.rglob("*.html"):
        for paragraph in re.findall(r"<p>(.*?)</p>", page.read_text(encoding="utf-8"), re.DOTALL):
            text = re.sub(r"<[^>]+>", "", paragraph)
            if mark := marks.search(text):
                wrong.append(f"{page.relative_to(site)}: {text[mark.start() :][:60]!r}")
    assert wrong == []


def test_every_picture_of_the_documentation_is_shown(site: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert [picture.name for picture in (site / "img").iterdir() if f"img/{picture.name}" not in pages] == []
