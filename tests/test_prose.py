"""Checks that docstrings, comments and documentation are plain English.

``violations(root)`` reads the files below ``root`` and returns one line for each problem.
``python -m tests.test_prose exporter/redis_pulse/client docs`` prints the problems in some files only.
"""

import ast
import io
import re
import sys
import textwrap
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
MAX_WORDS = 20
MAX_COLUMNS = 100
MAX_TEST_NAME = 72

CODE_FOLDERS = ("exporter", "tests", "grafana", "tools", "bench", "chaos", "attack", "fuzz", "simulate", "stalls_bench")
DOCUMENTS = ("*.md", ".github/*.md", "docs/**/*.md", "bench/README.md", "deploy/**/*.md")
#: String literals of these folders become messages, logs and HELP texts.
MESSAGE_FOLDERS = ("exporter/", "grafana/")
#: Recorded data, not prose.
DATA = ("tests/replies/", "tests/golden/")
#: Methods of loggers. Their first argument, the event, is a stable name that users search for.
LOG_METHODS = ("debug", "info", "warning", "error", "exception")

#: Banned word or phrase → what to write instead. Words in capitals are banned in capitals only. In all others, only
#: the case of the first letter is ignored. So "is None" is allowed.
BANNED = {
    word: solution
    for words, solution in (
        ("whoever, whomever", "name the actor, or write 'anyone who'"),
        ("nobody, somebody, everybody", "name the actor"),
        ("anew, but for, besides", "again; except; also"),
        ("of that, as it is, is none", "name the thing; unchanged; is missing"),
        ("no matter of, held against, put together", "is not part of; compared with; combined"),
        ("THE TABLE", "INFO_METRICS"),
        ("of ours, of ourselves", "our, or 'of the exporter'"),
        ("wherefore, thus, hence, lest", "so, therefore, so that"),
        ("thereof, hereby, whereby, ere, forth, amiss, naught, for ever", "use everyday words"),
        ("shall, says so", "must, will; reports it"),
        ("the house, rota, cohort, cohorts", "package; round robin; phase group"),
        ("books, ledger, ledgers", "accounting, or 'records'"),
        ("feel, feels, felt, hears, heard", "measure, receive, observe"),
        ("owes, owed", "name what is expected or outstanding"),
        ("is told, are told", "receives, is notified"),
        ("is asked, are asked, was asked, were asked", "is queried, is requested"),
    )
    for word in words.split(", ")
}
#: Banned only in docstrings and comments of ``exporter/`` and ``tests/``.
BANNED_IN_CODE = {"room": "module, package, or 'space'", "rooms": "modules", "floor": "layer", "floors": "layers"}
SLOGAN = re.compile(r"what\s+(a\s+client\s+feels|the\s+server\s+says)", re.IGNORECASE)

COMMENT_START = re.compile(r"#[:!]? ?")
DIRECTIVE = re.compile(r"noqa(: ?[A-Z]+\d+(, ?[A-Z]+\d+)*)?|type: ?ignore(\[[\w, -]*\])?|pragma: no \w+|fmt: ?\w+")
FENCE = re.compile(r"\s*(```|~~~)")
LIST_ITEM = re.compile(r"\s*(>\s|[-*+•]\s+|\d+[.)]\s+|:\w[^:]*:\s+)")
METRIC = re.compile(r"[a-zA-Z:]*_[\w:]*(\{.*\})? [-+\d.eE]+$|# (HELP|TYPE|UNIT|EOF)\b")
TABLE_EDGE = re.compile(r"={3,}[ =]*$")
HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
#: What ``tools/render.py`` writes has no column limit.
GENERATED = re.compile(r"<!-- (\w+) -->\n.*?<!-- /\1 -->", re.DOTALL)
INLINE_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"!?\[((?:[^\[\]]|\[[^\]]*\])*)\](\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])")
URL = re.compile(r"https?://[^\s<>]*[\w/]")
SENTENCE_END = re.compile(r"([.!?]+)([\"')\]*_”]*)\s+")
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|vs|cf|approx|resp|incl|al)$", re.IGNORECASE)


class Violation(NamedTuple):
    """One problem, with its location and its solution."""

    path: str
    line: int
    rule: str
    problem: str
    solution: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.problem}: {self.solution}"


class Block(NamedTuple):
    """Consecutive lines of prose: a paragraph, a list item, a heading or a table cell."""

    line: int
    text: str
    is_wrapped: bool  # False for headings and table cells. They have no column limit.


def violations(root: Path) -> list[str]:
    """Return all problems below ``root``, each as ``path:line: what is wrong: how to fix``."""
    return [str(violation) for violation in check(root)]


def check(root: Path, prefixes: tuple[str, ...] = ("",)) -> list[Violation]:
    """Return the problems in files whose paths start with one of ``prefixes``, in order."""
    problems: set[Violation] = set()
    for pattern in [*(f"{folder}/**/*.py" for folder in CODE_FOLDERS), *DOCUMENTS]:
        for path in root.glob(pattern):
            name = path.relative_to(root).as_posix()
            if name.startswith(prefixes) and not name.startswith(DATA):
                check_file = _check_python if path.suffix == ".py" else _check_markdown
                problems.update(check_file(name, path.read_text(encoding="utf-8")))
    return sorted(problems)


def _check_python(name: str, source: str) -> Iterator[Violation]:
    tree = ast.parse(source)
    banned = BANNED | BANNED_IN_CODE if name.startswith(("exporter/", "tests/")) else BANNED
    for lines in [*_docstrings(tree), *_comments(source)]:
        for block in _blocks(lines):
            yield from _check_prose(name, block, banned)
    if name.startswith(MESSAGE_FOLDERS):
        for line, text in _messages(tree):
            yield from _check_words(name, line, text, BANNED)
    for match in re.finditer(rf"^ *(?:async )?def (test_\w{{{MAX_TEST_NAME - 4},}})", source, re.MULTILINE):
        problem = f"test name of {len(match[1])} characters"
        line = source.count("\n", 0, match.start()) + 1
        yield Violation(name, line, "test name", problem, f"use at most {MAX_TEST_NAME}")


def _check_markdown(name: str, text: str) -> Iterator[Violation]:
    generated: set[int] = set()
    for match in GENERATED.finditer(text):
        start = text.count("\n", 0, match.start()) + 1
        generated.update(range(start, start + match[0].count("\n")))
    text = HTML_COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for block in _blocks(enumerate(text.splitlines(), 1)):
        yield from _check_prose(name, block, BANNED)
        if not block.is_wrapped or block.line in generated or re.match(r"\[[^\]]+\]: ", block.text):
            continue
        for number, line in enumerate(block.text.splitlines(), block.line):
            unbreakable = len(LINK.sub("link", line[_marker(line) :]).split()) == 1
            if len(line) > MAX_COLUMNS and not unbreakable:
                yield Violation(name, number, "columns", f"line of {len(line)} columns", f"wrap it at {MAX_COLUMNS}")


def _docstrings(tree: ast.AST) -> Iterator[list[tuple[int, str]]]:
    """Yield the numbered lines of each string that is a statement."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text), lineno=line)):
                first, _, rest = text.partition("\n")
                yield list(enumerate([first.lstrip(), *textwrap.dedent(rest).splitlines()], line))


def _comments(source: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the numbered lines of each comment. A comment after code is a comment of its own."""
    group: list[tuple[int, str]] = []
    last = (0, -1)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, column = token.start
        is_alone = not token.line[:column].strip()
        if not is_alone or last != (line - 1, column):
            yield group
            group = []
        group.append((line, DIRECTIVE.sub("", COMMENT_START.sub("", token.string, count=1))))
        last = (line, column) if is_alone else (0, -1)
    yield group


def _messages(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text of string literals with three or more words, except docstrings and log events."""
    done = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[event, *_]) if method in LOG_METHODS:
                done.add(id(event))
    for node in ast.walk(tree):
        text = ""
        if isinstance(node, ast.JoinedStr):
            done |= {id(part) for part in node.values}
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "value" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in done:
            text = node.value
        if _count_words(text) >= 3 and isinstance(node, ast.expr):
            yield node.lineno, text


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[Block]:
    """Yield the paragraphs, list items, headings and table cells in numbered lines."""
    block: list[tuple[int, str]] = []
    for line, text in [*_without_code(lines), (0, "")]:
        is_cell, is_heading = text.lstrip().startswith("|"), bool(re.match(r"#{1,6} ", text))
        if block and (not text or is_cell or is_heading or LIST_ITEM.match(text)):
            yield Block(block[0][0], "\n".join(part for _, part in block), is_wrapped=True)
            block = []
        if is_cell:
            cells = re.split(r"(?<!\\)\|", INLINE_CODE.sub("code", text).strip(" |"))
            yield from (Block(line, cell, is_wrapped=False) for cell in cells)
        elif is_heading:
            yield Block(line, text.lstrip("#"), is_wrapped=False)
        elif text:
            block.append((line, text))


def _without_code(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Replace each line that is not prose by an empty one: code blocks, doctests, reST tables, metrics, rulers."""
    skipping = ""  # "fence", "doctest" or "table" while inside one
    margin = 0  # column where the text of the current list item starts
    before = ""  # the previous line, or empty if it was not prose
    was_edge = False
    for line, text in lines:
        indent = len(text) - len(text.lstrip())
        is_fence, is_edge = bool(FENCE.match(text)), bool(TABLE_EDGE.match(text))
        is_literal = indent >= margin + 4 and (not before or before.endswith(":"))
        is_code = bool(skipping) or is_fence or is_edge or is_literal or text.lstrip().startswith(">>>")
        if skipping:
            is_end = is_fence if skipping == "fence" else not text.strip()
            skipping = "" if is_end and (skipping != "table" or was_edge) else skipping
        elif is_code and not is_literal:
            skipping = "fence" if is_fence else "table" if is_edge else "doctest"
        was_edge = is_edge
        before = "" if is_code or not re.search(r"\w", text) or METRIC.match(text.strip()) else text.rstrip()
        if before and (LIST_ITEM.match(text) or indent < margin):
            margin = _marker(text)
        yield line, before


def _marker(text: str) -> int:
    """Return the column where the text of a list item starts, or 0 if the line starts no list item."""
    match = LIST_ITEM.match(text)
    return match.end() if match else 0


def _check_prose(name: str, block: Block, banned: dict[str, str]) -> Iterator[Violation]:
    text = block.text[_marker(block.text) :]
    text = INLINE_CODE.sub(lambda match: "code" + "\n" * match[2].count("\n"), text)
    text = URL.sub("link", LINK.sub(lambda match: match[1] + "\n" * match[2].count("\n"), text))
    yield from _check_words(name, block.line, text, banned)
    for offset, sentence in sentences(text):
        line = block.line + text.count("\n", 0, offset)
        start = " ".join(sentence.split()[:6])
        if (words := _count_words(sentence)) > MAX_WORDS:
            solution = f"write sentences of at most {MAX_WORDS} words"
            yield Violation(name, line, "sentence length", f'{words} words in "{start} ..."', solution)
        if (semicolons := len(re.findall(r";(?=\s+\S)", sentence))) > 1:
            yield Violation(name, line, "semicolons", f'{semicolons} semicolons in "{start} ..."', "split it")


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the offset and the text of each sentence."""
    start = 0
    for end in SENTENCE_END.finditer(text):
        mark, closing, before = end[1], end[2], text[start : end.start()]
        following = text[end.end() : end.end() + 1]
        is_inside = following.islower() and (bool(closing) or len(mark) > 1 or before.endswith("etc"))
        is_number = bool(re.search(r"\b[Nn]o$", before)) and following.isdigit()
        if (mark == "." and ABBREVIATION.search(before)) or is_inside or is_number:
            continue
        yield start, text[start : end.end()]
        start = end.end()
    yield start + len(text[start:]) - len(text[start:].lstrip()), text[start:]


def _count_words(text: str) -> int:
    return sum(1 for token in text.split() if re.search(r"[^\W_]", token))


def _check_words(name: str, line: int, text: str, banned: dict[str, str]) -> Iterator[Violation]:
    text = SLOGAN.sub(lambda match: "\n" * match[0].count("\n"), text)
    patterns = (word if word.isupper() else f"(?i:{word[0]}){word[1:]}" for word in banned)
    for match in re.finditer(rf"(?<![\w.])(?:{'|'.join(patterns)})(?!\w)".replace(" ", r"\s+"), text):
        word = " ".join(match[0].split())
        solution = banned[word if word in banned else word[0].lower() + word[1:]]
        where = line + text.count("\n", 0, match.start())
        yield Violation(name, where, "banned word", f'"{word}" is banned', f"write: {solution}")


def test_all_prose_is_plain() -> None:
    problems = violations(ROOT)
    assert problems == [], f"{len(problems)} problems. To list them, run: python -m tests.test_prose"


LONG, FULL = "word\n" * 21, "word " * 19


@pytest.mark.parametrize(
    ("path", "text", "problem"),
    [
        ("exporter/a.py", '"""Whoever asks."""', 'exporter/a.py:1: "Whoever" is banned: write: name the actor'),
        ("exporter/a.py", '"""One.\n\nAll but\nfor one."""', 'exporter/a.py:3: "but for" is banned'),
        ("exporter/a.py", "x = 1\n# It shall\n# stay.", 'exporter/a.py:2: "shall" is banned'),
        ("exporter/a.py", "raise ValueError('nobody reads it')", 'exporter/a.py:1: "nobody" is banned'),
        ("grafana/a.py", "x = f'nobody reads {y}'", 'grafana/a.py:1: "nobody" is banned'),
        ("tests/a.py", "# a room of tests", 'tests/a.py:1: "room" is banned'),
        ("docs/a.md", "# One\n\nA client\nfeels it.", 'docs/a.md:4: "feels" is banned'),
        ("docs/a.md", "| a | is none |", 'docs/a.md:1: "is none" is banned'),
        ("docs/a.md", "See THE TABLE.", 'docs/a.md:1: "THE TABLE" is banned'),
        ("chaos/a.py", f'"""One.\n\n{LONG}"""', 'chaos/a.py:3: 21 words in "word word word word word word ..."'),
        ("docs/a.md", "One. Two\nthree. " + LONG, "docs/a.md:2: 21 words"),
        ("bench/README.md", "word e.g.\n(`x.py`) 1.5 ...\n" * 6, "bench/README.md:1: 24 words"),
        ("docs/a.md", f"- a: {FULL[50:]};\n`a b` {FULL[45:]}", "docs/a.md:1: 21 words"),
        ("docs/a.md", f"| a | {FULL} b c |", "docs/a.md:1: 21 words"),
        ("tools/a.py", "# a; b; c", "tools/a.py:1: 2 semicolons"),
        ("README.md", f"One.\n{FULL} longer", "README.md:2: line of 102 columns: wrap it"),
        ("tests/a.py", f"def test_{'x' * 68}(): ...", "tests/a.py:1: test name of 73 characters: use at most 72"),
    ],
)
def test_problem_is_found(tmp_path: Path, path: str, text: str, problem: str) -> None:
    _write(tmp_path, path, text)
    assert [one[: len(problem)] for one in violations(tmp_path)] == [problem]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("exporter/a.py", '"""Call ``whoever`` of `nobody`, see the table."""\nx = "nobody", "whoever says"'),
        ("exporter/a.py", '"""What a client feels, and what\nthe server says."""\nx = 1  # noqa: F401  # one'),
        ("exporter/a.py", '"""One::\n\n    nobody\n\n>>> nobody\nnobody\n\nTwo.\n"""'),
        ("exporter/a.py", '"""One.\n\n==== ====\nnobody x\n==== ====\nnobody x\n==== ====\n"""'),
        ("exporter/a.py", f"# {FULL}\n\n# {FULL}\n#\n# {FULL}\nx = 1  # {FULL}"),
        ("tests/a.py", f"def test_{'x' * 67}():\n    y = 'nobody reads it'"),
        ("exporter/a.py", '"""Return it if x is None."""\nlog.warning("nobody reads it", why=x)'),
        ("tests/replies/a.py", "# nobody"),
        ("docs/a.md", f"```\n{LONG}\n```\n\n    nobody\n\n- nothing:\n\n      nobody"),
        ("docs/a.md", f"- {FULL}\n- {FULL}\n\n| {FULL} | {FULL} |"),
        ("docs/a.md", "[x](nobody.md) <!-- nobody --> https://nobody.example/nobody\n\nA; b. C; d (e.g. f vs. g)."),
        ("docs/a.md", f"[text](https://example.org/{'x' * 90})\n\n# {'x' * 120}\n\n[a]: {'x' * 120} 'a'"),
        ("docs/a.md", f"<!-- flags -->\n\nsmall {'x' * 120}\n\n<!-- /flags -->"),
    ],
)
def test_plain_prose_is_accepted(tmp_path: Path, path: str, text: str) -> None:
    _write(tmp_path, path, text)
    assert violations(tmp_path) == []


def test_sentences_are_split_at_their_ends() -> None:
    text = 'Use e.g. 1.5 of `x.py`, a ... b.| "Why?" is one (yes!) too.| Is it etc. or no. 5?| Yes!| **Bold.**| End'
    parts = [sentence.strip() for _, sentence in sentences(text.replace("|", ""))]
    assert parts == text.split("| ")


def _write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    problems = check(ROOT, tuple(sys.argv[1:]) or ("",))
    print(*problems, sep="\n")
    print("by rule:", dict(Counter(problem.rule for problem in problems).most_common()))
    print("by folder:", dict(Counter(problem.path.split("/")[0] for problem in problems).most_common()))
