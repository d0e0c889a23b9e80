"""The web configuration file with all files that it names: read, checked, and read again when one has changed.

Nothing here blocks the event loop: files are read in a thread with a deadline. A file that is broken, or whose file
system hangs, leaves in force what was valid before.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from redis_pulse import log
from redis_pulse.blocking import FILES, BlockedError, NoThreadError, read_regular_file
from redis_pulse.config import ConfigError, ParsedWebConfig, Problem, RateLimitConfig, parse_web_config
from redis_pulse.web.tls import TlsAccess, build_tls

#: Seconds to read all files at the start, and later, when clients wait.
FIRST_READ_TIMEOUT, REREAD_TIMEOUT = 5.0, 0.5
#: Seconds in which an open connection may rely on files that were read before.
MAX_AGE = 1.0
#: Seconds without another try after the files could not be read in time.
PAUSE_AFTER_HANG = 10.0
#: Seconds that a file which takes protection away must stay the same. A program may be about to write the rest of it.
SETTLE = 2.0
_MAX_FILE_BYTES = 1 << 20
MIN_TOKEN = 16
MAX_TOKENS = 100

_log = log.get("web")


@dataclass(frozen=True, eq=False)
class WebAccess:
    """Who may look at the pages, as the newest valid files say it. The default is: everyone, without TLS."""

    tls: TlsAccess | None = None
    #: bcrypt hashes by user
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rate_limit: RateLimitConfig = field(default_factory=RateLimitConfig)
    excluded_paths: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()
    content: "FileContent | None" = None

    @property
    def requires_password(self) -> bool:
        """Whether a request needs a password or a token."""
        return bool(self.users or self.tokens)

    @property
    def requires_login(self) -> bool:
        """Whether a client must show who it is: by a password, a token, or a certificate."""
        return self.requires_password or (self.tls is not None and self.tls.requires_client)

    def is_weaker_than(self, other: "WebAccess") -> bool:
        """Return whether a protection is missing here that the other one has."""
        return (
            (self.tls is None and other.tls is not None)
            or (not self.requires_password and other.requires_password)
            or (not self.requires_login and other.requires_login)
        )


class FileContent:
    """The files that were read, in their order, and a digest of their content."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._paths: list[Path] = []

    @property
    def digest(self) -> bytes:
        """The digest of all paths and contents."""
        return self._hash.digest()

    def read(self, path: Path) -> bytes:
        """Return the content of a file. Raises OSError."""
        try:
            data = read_regular_file(path, _MAX_FILE_BYTES)
        except OSError as error:
            self._add(path, str(error.errno).encode())
            raise
        self._add(path, data)
        return data

    def is_unchanged(self) -> bool:
        """Read the files again, and return whether their content is the same."""
        now = FileContent()
        for path in self._paths:
            with suppress(OSError):
                now.read(path)
        return hmac.compare_digest(now.digest, self.digest)

    def _add(self, path: Path, data: bytes) -> None:
        self._paths.append(path)
        for part in (str(path).encode("utf-8", "surrogateescape"), data):
            self._hash.update(len(part).to_bytes(8, "big") + part)


class WebConfigError(ConfigError):
    """The files cannot be used. ``content`` is what they had."""

    def __init__(self, problems: Sequence[Problem], content: FileContent) -> None:
        super().__init__(problems)
        self.content = content


def load_web_access(path: Path, shown: str) -> WebAccess:
    """Return what a web configuration file and the files in it say. It reads files. Raises WebConfigError.

    ``shown`` is the name of the file in messages.
    """
    files = FileContent()
    try:
        return _load(path, shown, files)
    except ConfigError as error:
        problems = error.problems
    raise WebConfigError(problems, files)


def _load_if_changed(path: Path, shown: str, known: FileContent | None) -> WebAccess | None:
    """Return what the files say, or None if they have the known content."""
    return None if known is not None and known.is_unchanged() else load_web_access(path, shown)


def _load(path: Path, shown: str, files: FileContent) -> WebAccess:
    try:
        data = files.read(path)
    except OSError as error:
        raise ConfigError([Problem(shown, _describe(error), f"looked for in {path.parent}")]) from None
    parsed = parse_web_config(data, path, shown=shown)

    def read(file: Path, *setting: str) -> bytes:
        try:
            return files.read(file)
        except OSError as error:
            location = parsed.locate(*setting)
            raise ConfigError([Problem(location, f"names a file that {_describe(error)}", _folder(file))]) from None

    tls, warnings = build_tls(parsed, lambda file, name: read(file, "tls_server_config", name))
    config = parsed.config
    tokens: tuple[bytes, ...] = ()
    if config.bearer_token_file is not None:
        tokens = _tokens(parsed, read(config.bearer_token_file, "bearer_token_file"))
        if any(len(token) < MIN_TOKEN for token in tokens):
            warnings.append(f"bearer_token_file has a token of less than {MIN_TOKEN} characters, which can be guessed")
    return WebAccess(
        tls=tls,
        users={name: secret.get_secret_value() for name, secret in config.basic_auth_users.items()},
        tokens=tokens,
        headers=tuple(
            (name.lower().encode(), value.encode())
            for name, value in config.http_server_config.headers.items()
            if value
        ),
        rate_limit=config.rate_limit,
        excluded_paths=frozenset(config.auth_excluded_paths),
        warnings=(*config.warnings(), *warnings),
        content=files,
    )


def _tokens(parsed: ParsedWebConfig, data: bytes) -> tuple[bytes, ...]:
    """Return the tokens of a file, one a line. During a rotation the file has two."""
    tokens = tuple(line.strip() for line in data.splitlines() if line.strip())
    is_text = all(0x21 <= byte <= 0x7E for token in tokens for byte in token)
    if not tokens or not is_text or len(tokens) > MAX_TOKENS:
        message = f"must name a file with one token a line, of printable ASCII, and at most {MAX_TOKENS} of them"
        raise ConfigError([Problem(parsed.locate("bearer_token_file"), message)])
    return tokens


def _describe(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, IsADirectoryError):
        return "is a directory"
    return f"cannot be read: {error.strerror}"


def _folder(file: Path) -> str:
    return f"looked for in {file.parent}: a relative path begins at the folder of the web configuration file"


class WebConfigWatcher:
    """Holds the newest valid ``WebAccess``, and reads the files again when a client comes.

    ``on_valid`` is called with True and False, after every reading of the files.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        on_valid: Callable[[bool], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._shown = "" if path is None else str(path)
        self._on_valid = on_valid
        self._clock = clock
        self._checked_at = float("-inf")
        self._paused_until = float("-inf")
        #: what was read last, valid or not
        self._known: FileContent | None = None
        #: content that is weaker than what is in force, and since when it is there
        self._weaker: tuple[bytes, float] | None = None
        self._changes = log.StateChangeFilter()
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.access = WebAccess()

    async def start(self) -> None:
        """Read the files for the first time. Raises ConfigError."""
        if self._path is None:
            return
        load = partial(load_web_access, self._path, self._shown)
        try:
            access = await FILES.run(("web-config", self._path), load, within=FIRST_READ_TIMEOUT)
        except (BlockedError, NoThreadError) as error:
            raise ConfigError([Problem(self._shown, f"cannot be read: {error.strerror}")]) from None
        self._checked_at = self._clock()
        self._take(access)

    async def refresh(self, max_age: float) -> WebAccess:
        """Return what is in force, after reading the files if the last reading began before ``max_age`` seconds."""
        if self._path is None or self._clock() - self._checked_at < max_age or self._clock() < self._paused_until:
            return self.access
        if self._next is None:
            # A reading that is running may have passed a file that has changed since. So clients share the next one.
            self._next = asyncio.get_running_loop().create_task(self._read_after(self._running, self._path))
        await asyncio.shield(self._next)
        return self.access

    async def for_new_connection(self) -> TlsAccess | None:
        """Return the TLS of a new connection, or None for plain HTTP."""
        return (await self.refresh(0)).tls

    def is_current(self, tls: TlsAccess | None) -> bool:
        """Return whether a connection that has this TLS may stay open after its response."""
        return tls is self.access.tls

    async def _read_after(self, running: "asyncio.Task[None] | None", path: Path) -> None:
        if running is not None:
            await asyncio.wait({running})
        self._running, self._next = self._next, None
        if self._clock() >= self._paused_until:
            await self._read(path)

    async def _read(self, path: Path) -> None:
        self._checked_at = self._clock()
        load = partial(_load_if_changed, path, self._shown, self._known)
        try:
            access = await FILES.run(("web-config", path), load, within=REREAD_TIMEOUT)
        except WebConfigError as error:
            self._known = error.content
            self._refuse(str(error))
        except (BlockedError, NoThreadError) as error:
            self._paused_until = self._clock() + PAUSE_AFTER_HANG
            self._known = None
            self._refuse(f"{self._shown} cannot be read: {error.strerror}")
        except Exception as error:  # noqa: BLE001  # clients are served whatever happens here
            self._known = None
            self._refuse(f"internal error ({type(error).__name__})")
        else:
            if access is not None and self._has_settled(access):
                self._take(access)

    def _has_settled(self, access: WebAccess) -> bool:
        """Return whether new content may be taken over. Content that takes protection away must stay for a while."""
        if not access.is_weaker_than(self.access) or access.content is None:
            return True
        if self._weaker is None or self._weaker[0] != access.content.digest:
            self._weaker = (access.content.digest, self._clock())
        return self._clock() - self._weaker[1] >= SETTLE

    def _take(self, access: WebAccess) -> None:
        previous, self.access = self.access, access
        self._known, self._weaker = access.content, None
        for warning in access.warnings:
            if self._changes.changed(("warning", warning), True):
                _log.warning("web configuration", warning=warning)
        if previous.content is not None:
            _log.info("web configuration taken over", file=self._shown)
            if access.is_weaker_than(previous):
                _log.warning("the pages have less protection than before", file=self._shown)
        self._changes.changed("error", "")
        self._on_valid(True)

    def _refuse(self, error: str) -> None:
        self._on_valid(False)
        if self._changes.changed("error", error):
            _log.error("the web configuration cannot be used; the previous one stays in force", error=error)
