"""The command ``redis-pulse web-config``: check a web configuration file, or make a bcrypt hash of a password."""

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path

from redis_pulse.config import MIN_COST, ConfigError
from redis_pulse.web.passwords import make_hash
from redis_pulse.web.web_config_file import WebAccess, load_web_access

USAGE = """\
usage: redis-pulse web-config check FILE
       redis-pulse web-config hash [--cost N]

check reads a web configuration file, and every file that it names, and prints every problem.
hash prints the bcrypt hash of a password, for basic_auth_users. It asks for the password twice.
Without a terminal it reads one line of standard input. One more for the cost doubles the time
of a verification; 10 is the default, and takes about 70 ms.
"""
_MAX_COST = 20


def run(words: Sequence[str]) -> int:
    """Run the command with the words that follow ``web-config``. Return the exit code."""
    match list(words):
        case ["-h" | "--help"] | ["check" | "hash", "-h" | "--help"]:
            sys.stdout.write(USAGE)
            return 0
        case ["check", file]:
            return check(file)
        case ["hash"]:
            return print_hash(MIN_COST)
        case ["hash", "--cost", text] if text.isdigit() and 4 <= int(text) <= _MAX_COST:
            return print_hash(int(text))
        case ["hash", "--cost", *_]:
            sys.stderr.write(f"redis-pulse: --cost is a number from 4 to {_MAX_COST}\n")
            return 2
    sys.stderr.write(USAGE)
    return 2


def check(file: str) -> int:
    """Check a web configuration file, and print what it protects, or every problem. Return the exit code."""
    try:
        access = load_web_access(Path(file).expanduser(), file)
    except ConfigError as error:
        lines = "".join(f"  {line}\n" for line in str(error).splitlines())
        sys.stderr.write(f"redis-pulse: this web configuration cannot be used:\n{lines}")
        return 1
    sys.stdout.write(f"ok: {describe(access)}\n")
    sys.stdout.writelines(f"warning: {warning}\n" for warning in access.warnings)
    return 0


def describe(access: WebAccess) -> str:
    """Return in one line how the pages are protected."""
    parts = ["plain HTTP" if access.tls is None else "TLS"]
    if access.tls is not None and access.tls.requires_client:
        parts.append("a client certificate is required")
    if access.users:
        parts.append(f"{len(access.users)} user{'' if len(access.users) == 1 else 's'}")
    if access.tokens:
        parts.append(f"{len(access.tokens)} bearer token{'' if len(access.tokens) == 1 else 's'}")
    if not access.requires_login:
        parts.append("no login")
    return ", ".join(parts)


def print_hash(cost: int) -> int:
    """Read a password, and print its hash. Return the exit code."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            sys.stderr.write("redis-pulse: the two passwords differ\n")
            return 1
        data = password.encode()
    else:
        data = sys.stdin.buffer.readline(4096).removesuffix(b"\n").removesuffix(b"\r")
    try:
        sys.stdout.write(make_hash(data, cost) + "\n")
    except ValueError as error:
        sys.stderr.write(f"redis-pulse: the password {error}\n")
        return 1
    return 0
