"""Find relative links in Markdown that lead nowhere, for the tests and ``make release-check``."""

import re
from collections.abc import Iterator
from pathlib import Path


def pages(root: Path) -> list[Path]:
    """Return the Markdown files below a folder, except those of tools in hidden folders."""
    return sorted(
        path
        for path in root.rglob("*.md")
        if not any(
            part == "node_modules" or (part.startswith(".") and part not in (".github", ".ci"))
            for part in path.relative_to(root).parts
        )
    )


def dead_links(root: Path) -> Iterator[str]:
    """Yield each relative link without a target, with its page."""
    for page in pages(root):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            to = page.parent / path if path else page
            if not to.exists():
                yield f"{page.relative_to(root)}: {link} leads to no file"
            elif anchor and anchor not in _anchors(to):
                yield f"{page.relative_to(root)}: {link} leads to no heading"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
