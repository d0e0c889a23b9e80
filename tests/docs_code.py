"""Reads the code of the documentation, and checks each block by its language. ``tests/test_docs_code.py`` uses it.

A checker returns what is wrong, or an empty text. Without its tool, a block is parsed and no more.
"""

import configparser
import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import _jsonnet
import jsonschema
import trustme
import yaml

from redis_pulse import asset_files, calibrate, cli, completion, doctor, keyspace_terminal, migrate
from redis_pulse.config import Settings
from redis_pulse.discovery.file_sd import _read_groups

ROOT = Path(__file__).parents[1]
_FENCED = re.compile(
    r"^(?P<margin> *)(?P<fence>```|~~~)(?P<language>\S*)\n(?P<text>.*?)^ *(?P=fence) *$", re.MULTILINE | re.DOTALL
)
#: An indented block after an empty line. Its language is unknown, so it cannot be checked.
_INDENTED = re.compile(r"(?<=\n\n) {4,}\S[^\n]*")
_INLINE = re.compile(r"(?<!`)`((?:redis-pulse|make|python -m redis_pulse)\s[^`]+)`")
#: What ends a command of a shell.
_OPERATORS = {"|", "||", "&&", ";", ">", ">>", "<", "&", "(", ")", "2>"}
_OWN = ("redis-pulse", ".venv/bin/redis-pulse")
_PLACEHOLDERS = {"…", "[COMMAND]", "[options]", "<its", "flags>"}
_PROMETHEUS = {"scrape_configs", "rule_files", "alerting", "global"}
_TARGETS_OF_MAKE = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


class Block(NamedTuple):
    """One block of code: its page, its first line, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'no language'})"


def documents(root: Path = ROOT) -> list[Path]:
    """Return the pages whose code is checked."""
    return [root / "README.md", *sorted(root.glob("docs/**/*.md"))]


def blocks(page: Path, root: Path = ROOT) -> Iterator[Block]:
    """Yield the blocks of code of a page. A block without a fence has no language."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(root).as_posix()
    for match in _FENCED.finditer(text):
        lines = [line.removeprefix(match["margin"]) for line in match["text"].splitlines()]
        yield Block(name, text.count("\n", 0, match.start()) + 1, match["language"], "\n".join(lines) + "\n")
    rest = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _INDENTED.finditer(rest):
        yield Block(name, rest.count("\n", 0, match.start()) + 1, "", match[0])


def inline_commands(page: Path, root: Path = ROOT) -> Iterator[Block]:
    """Yield the commands of redis-pulse and make that a page has in its sentences."""
    text = _FENCED.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
    for match in _INLINE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page.relative_to(root).as_posix(), line, "sh", " ".join(match[1].split()) + "\n")


def check_shell(block: Block, _folder: Path) -> str:
    """Check the syntax, each command line of redis-pulse, and each target of make."""
    text = block.text
    if block.language == "console":
        text = "".join(f"{line[2:]}\n" for line in text.splitlines() if line.startswith("$ "))
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False, timeout=60)
    return done.stderr or check_commands(text)


def check_commands(text: str) -> str:
    """Return what is wrong with the first command line of redis-pulse or make in a script, or an empty text."""
    for words in _commands(text):
        if error := _make_error(words) or _own_error(words):
            return f"{shlex.join(words)}: {error}"
    return ""


def _commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each simple command, without variables before it."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        with contextlib.suppress(ValueError):  # a quote that spans lines: bash has checked it
            for word in [*lexer, ";"]:
                if word in _OPERATORS or set(word) <= set("|&;<>()"):
                    yield words
                    words = []
                elif words or not re.fullmatch(r"[A-Z_]+=.*", word):
                    words.append(word)


def _make_error(words: Sequence[str]) -> str:
    if words[:1] != ["make"]:
        return ""
    targets = [word for word in words[1:] if "=" not in word and word != "…"]
    return "".join(f"the Makefile has no target {target}; " for target in targets if target not in _TARGETS_OF_MAKE)


def _own_error(words: Sequence[str]) -> str:
    """Return the message of the real parser of arguments, or an empty text if it accepts them."""
    if words[:3] == ["python", "-m", "redis_pulse"]:
        arguments = list(words[3:])
    elif words and words[0] in _OWN:
        arguments = list(words[1:])
    else:
        return ""
    arguments = [word for word in arguments if word not in _PLACEHOLDERS]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            return _parse(arguments)
    except SystemExit as end:
        return said.getvalue() if end.code else ""


def _parse(arguments: list[str]) -> str:
    own = {"doctor": doctor, "keyspace": keyspace_terminal, "calibrate": calibrate, "assets": asset_files}
    match arguments:
        case ["doctor" | "keyspace" | "calibrate" | "assets" as command, *rest]:
            own[command].parser().parse_args(rest)
        case ["web-config", "check", _] | ["web-config", "hash"] | ["migrate-flags"] | ["completion"]:
            pass
        case ["completion", shell] if shell in completion.SHELLS:
            pass
        case ["migrate-flags", "--", *flags]:
            known = {f"-{row.name}" for row in migrate.FLAG_TABLE}
            unknown = [flag for flag in flags if flag.startswith("-") and flag.partition("=")[0] not in known]
            return f"redis_exporter has no flag {unknown[0]}" if unknown else ""
        case ["web-config" | "completion" | "migrate-flags", *_]:
            return "wrong arguments"
        case _:
            cli._parse(cli._take_foreign(arguments)[0])
    return ""


def check_yaml(block: Block, folder: Path) -> str:
    """Check a block by what it is: ours, or a configuration of Prometheus, Alertmanager, Helm, Kubernetes, compose."""
    try:
        parts = list(yaml.safe_load_all(block.text))
    except yaml.YAMLError as error:
        return str(error)
    text = block.text
    for script in re.findall(r"/[\w/-]+\.lua", text):  # the daemon reads scripts when it reads its configuration
        (folder / Path(script).name).write_text("return {}", encoding="utf-8")
        text = text.replace(script, str(folder / Path(script).name))
    (folder / "it.yaml").write_text(text, encoding="utf-8")
    for part in parts:
        check = _kind(part)
        if check is None:
            return "this is no known kind of YAML: teach tests/docs_code.py to check it"
        if wrong := check(part, folder):
            return wrong
    return ""


def _kind(part: Any) -> Callable[[Any, Path], str] | None:
    if isinstance(part, list) and all(isinstance(group, dict) and "targets" in group for group in part):
        return _check_target_file
    if not isinstance(part, dict):
        return None
    keys = set(part)
    kinds: list[tuple[set[str], Callable[[Any, Path], str]]] = [
        (set(Settings.model_fields), _check_configuration),
        ({"tls_server_config", "basic_auth_users", "http_server_config", "rate_limit"}, _check_web_configuration),
        (_PROMETHEUS, _check_prometheus),
        ({"route", "receivers", "inhibit_rules", "time_intervals", "global"}, _check_alertmanager),
        ({"services", "volumes"}, _check_compose),
        (set(_values()["properties"]), _check_values),
        ({"apiVersion", "kind", "metadata", "spec", "data", "providers", "datasources"}, _check_object),
    ]
    return next((check for known, check in kinds if keys <= known), None)


def _check_configuration(_part: Any, folder: Path) -> str:
    """Load it as the daemon does. Files of secrets need not exist."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["check-config", "--no-secrets", str(folder / "it.yaml")])
    return said.getvalue() if code else ""


def _check_web_configuration(part: dict[str, Any], folder: Path) -> str:
    """Load it as the daemon does, beside real certificates with the names that it has."""
    tls = part.get("tls_server_config", {})
    authority = trustme.CA()
    certificate = authority.issue_cert("redis-pulse.example.com")
    if "cert_file" in tls:
        certificate.cert_chain_pems[0].write_to_path(folder / tls["cert_file"])
        certificate.private_key_pem.write_to_path(folder / tls["key_file"])
    if "client_ca_file" in tls:
        authority.cert_pem.write_to_path(folder / tls["client_ca_file"])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = cli.main(["web-config", "check", str(folder / "it.yaml")])
    return said.getvalue() if code else ""


def _check_target_file(_part: Any, folder: Path) -> str:
    try:
        groups = _read_groups(folder / "it.yaml", 1_000_000)
    except ValueError as error:
        return str(error)
    return "" if groups else "it has no targets"


def _check_prometheus(part: dict[str, Any], folder: Path) -> str:
    for name in part.get("rule_files", []):
        shutil.copyfile(ROOT / "deploy" / "prometheus" / name, folder / name)
    return _run("promtool", "check", "config", str(folder / "it.yaml"))


def _check_alertmanager(_part: Any, folder: Path) -> str:
    return _run("amtool", "check-config", str(folder / "it.yaml"))


def _check_compose(part: dict[str, Any], _folder: Path) -> str:
    missing = [name for name, service in part["services"].items() if not {"image", "build"} & set(service)]
    return f"a service needs an image: {missing}" if missing else ""


def _values() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((ROOT / "deploy/helm/redis-pulse/values.schema.json").read_text())
    return schema


def _check_values(part: Any, _folder: Path) -> str:
    errors = jsonschema.Draft7Validator(_values()).iter_errors(part)
    return "; ".join(error.message for error in errors)


def _check_object(part: dict[str, Any], _folder: Path) -> str:
    """Check the shape that all objects of Kubernetes have. Files of Grafana have an apiVersion too."""
    if part.get("apiVersion") == 1:
        return "" if {"providers", "datasources"} & set(part) else "Grafana needs providers or datasources"
    return "" if {"apiVersion", "kind", "metadata"} <= set(part) else "it lacks apiVersion, kind or metadata"


def _run(tool: str, *arguments: str) -> str:
    """Return what a tool complains about, or an empty text. Without the tool the block is parsed and no more."""
    if shutil.which(tool) is None:
        return ""
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False, timeout=120)
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def check_json(block: Block, _folder: Path) -> str:
    """Check that it is JSON."""
    try:
        json.loads(block.text)
    except ValueError as error:
        return str(error)
    return ""


def check_ini(block: Block, _folder: Path) -> str:
    """Check a drop-in of systemd."""
    parser = configparser.ConfigParser()
    try:
        parser.read_string(block.text)
    except configparser.Error as error:
        return str(error)
    return "" if set(parser) & {"Service", "Unit", "Install"} else "it has no section of a unit"


def check_python(block: Block, _folder: Path) -> str:
    """Check that it compiles."""
    try:
        compile(block.text, str(block), "exec")
    except SyntaxError as error:
        return str(error)
    return ""


def check_jsonnet(block: Block, _folder: Path) -> str:
    """Evaluate it beside the mixin."""
    try:
        _jsonnet.evaluate_snippet(str(block), block.text, [str(ROOT)])
    except RuntimeError as error:
        return str(error)
    return ""


def check_dockerfile(block: Block, _folder: Path) -> str:
    """Check that each line begins with an instruction."""
    lines = block.text.replace("\\\n", " ").splitlines()
    wrong = [line for line in lines if not re.match(r"(FROM|RUN|COPY|ENV|USER|ARG|ENTRYPOINT|CMD|WORKDIR)\s|#|$", line)]
    return f"no instruction: {wrong[0]}" if wrong else ""


def expressions(block: Block) -> list[str]:
    """Return the expressions of a block of PromQL. A line that continues none begins one."""
    joined: list[str] = []
    for line in block.text.splitlines():
        is_rest = line.startswith((" ", ")", "/", "*", "+", "-", "and ", "or ", "unless ", "> ", "< "))
        is_open = bool(joined) and joined[-1].count("(") > joined[-1].count(")")
        if joined and (is_rest or is_open):
            joined[-1] += f"\n{line}"
        elif line.strip() and not line.startswith("#"):
            joined.append(line)
    return joined


#: What is only shown, and is nothing that a reader can run: output and drawings.
SHOWN = ("text",)
CHECKS: dict[str, Callable[[Block, Path], str]] = {
    "sh": check_shell,
    "console": check_shell,
    "yaml": check_yaml,
    "json": check_json,
    "ini": check_ini,
    "python": check_python,
    "jsonnet": check_jsonnet,
    "dockerfile": check_dockerfile,
}
