"""Adopted targets: servers that a scrape named, and that are monitored while scrapes name them.

This module decides, and does no I/O except looking up a name. ``daemon.adoption`` applies its decisions. A target is
adopted only if all of these hold:

1. The request has no credentials. A module of the configuration holds them.
2. ``scrape.adopt.allow`` contains the server (``AdoptList``). Each of its connections is checked again. The owner
   of a name may change its address after the first check.
3. There are fewer than ``scrape.adopt.max`` targets.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from redis_pulse import blocking
from redis_pulse.config import AdoptRules, Endpoint, TargetSettings, closest_name, has_credentials, parse_url
from redis_pulse.config.networks import PermittedAddresses, matches_name, numeric_host, split_patterns

Reason = Literal["credentials", "unreadable", "not_allowed", "unresolved", "module", "too_many", "browser"]
#: Every reason for which a request to adopt a target is refused: the label ``reason`` of a metric.
REASONS: tuple[Reason, ...] = (
    *("credentials", "unreadable", "not_allowed", "unresolved", "module", "too_many", "browser"),
)
#: Seconds in which a name must be looked up.
LOOKUP_TIMEOUT = 2.0
#: Characters of a target. A name in DNS has at most 253.
MAX_LENGTH = 300
#: Share of ``forget_after`` without a scrape with the module in use. Then another module may replace it.
MODULE_PAUSE = 0.1
NOT_ENABLED = "targets are not adopted: see scrape.adopt in the configuration"

#: Returns the addresses of a name. Raises OSError.
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class AdoptError(Exception):
    """A target is not adopted. The text is for the client, and repeats neither a URL nor a secret."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(slots=True)
class _Adopted:
    settings: TargetSettings
    #: as the request named it; None stands for ``scrape.adopt.module``
    module: str | None
    #: monotonic seconds of the newest request
    asked: float


class AdoptedTargets:
    """The adopted targets, in the order of their first request. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], resolve: Resolve | None = None) -> None:
        self._clock = clock
        self._resolve = resolve or _resolve
        self._rules: AdoptRules | None = None
        self._permitted = PermittedAddresses()
        self._names: tuple[str, ...] = ()
        self._adopted: dict[str, _Adopted] = {}

    def __len__(self) -> int:
        return len(self._adopted)

    def __contains__(self, name: str) -> bool:
        return name in self._adopted

    @property
    def is_enabled(self) -> bool:
        """Whether the configuration allows to adopt targets."""
        return self._rules is not None

    @property
    def names(self) -> frozenset[str]:
        """The names of all adopted targets."""
        return frozenset(self._adopted)

    def configure(self, rules: AdoptRules | None) -> None:
        """Apply a configuration. Targets stay if it still allows them, with the settings of the new modules."""
        self._rules, before = rules, self._adopted
        self._adopted = {}
        if rules is None:
            return
        networks, self._names = split_patterns(rules.options.allow)
        self._permitted = PermittedAddresses(networks)
        for name, adopted in before.items():
            endpoint, module = adopted.settings.endpoint, adopted.module
            is_known = module is None or module in rules.modules
            if is_known and self._is_listed(endpoint) and len(self._adopted) < rules.options.max:
                settings = self._settings(_template(rules, module), endpoint, name, adopted.settings.db)
                self._adopted[name] = _Adopted(settings, module, adopted.asked)

    def target_of(self, text: str, module: str | None) -> TargetSettings:
        """Return the target that a request names, if it may be adopted. Raises AdoptError.

        ``check_addresses`` has to follow.
        """
        rules = self._rules
        if rules is None:
            raise AdoptError("not_allowed", NOT_ENABLED)
        _check_module(rules, module)
        template = _template(rules, module)
        endpoint, db = _server(text, template)
        if not self._is_listed(endpoint):
            raise AdoptError("not_allowed", f"{endpoint.address} is not in scrape.adopt.allow")
        return self._settings(template, endpoint, endpoint.address, db)

    async def check_addresses(self, target: TargetSettings) -> None:
        """Look up the name of a target. Raises AdoptError if no address of it is permitted."""
        host = target.endpoint.host
        if numeric_host(host) is not None:
            return
        try:
            addresses = await self._resolve(host)
        except (OSError, UnicodeError) as error:
            text = getattr(error, "strerror", None) or "the name is not valid"
            raise AdoptError("unresolved", f"{target.address} has no address: {text}") from None
        if not any(address in self._permitted for address in addresses):
            raise AdoptError("not_allowed", f"no address of {target.address} is in scrape.adopt.allow")

    def add(self, target: TargetSettings, module: str | None) -> None:
        """Adopt a target that was checked. Raises AdoptError if there are too many."""
        self.check_room()
        self._adopted[target.name] = _Adopted(target, module, self._clock())

    def check_room(self) -> None:
        """Raise AdoptError if no further target can be adopted now."""
        if self._rules is None:
            raise AdoptError("not_allowed", NOT_ENABLED)
        options = self._rules.options
        if len(self._adopted) >= options.max:
            text = f"{options.max} targets are adopted already, which is scrape.adopt.max; one that no request names "
            raise AdoptError("too_many", f"{text}is forgotten after {options.forget_after:g} s")

    def asked(self, name: str, module: str | None) -> bool:
        """Record a request for an adopted target. Return whether its module changes. Raises AdoptError.

        A target has one module. Another one replaces it when no scrape has named the first one for a while.
        """
        adopted, rules, now = self._adopted[name], self._rules, self._clock()
        assert rules is not None  # noqa: S101  # without rules there is no adopted target
        default = rules.options.module
        if (module or default) == (adopted.module or default):
            adopted.asked = now
            return False
        _check_module(rules, module)
        pause = MODULE_PAUSE * rules.options.forget_after
        if now - adopted.asked < pause:
            used = adopted.module or default
            other = "without a module" if used is None else f"with module={used}"
            text = f"{name} is scraped {other}; another one can replace it {pause:g} s after the last such scrape"
            raise AdoptError("module", text)
        settings = adopted.settings
        changed = self._settings(_template(rules, module), settings.endpoint, name, settings.db)
        self._adopted[name] = _Adopted(changed, module, now)
        return True

    def forget_unasked(self) -> list[str]:
        """Forget the targets that no request has named for ``forget_after``. Return their names."""
        if self._rules is None:
            return []
        limit = self._clock() - self._rules.options.forget_after
        names = [name for name, adopted in self._adopted.items() if adopted.asked < limit]
        for name in names:
            del self._adopted[name]
        return names

    def besides(self, others: Iterable[TargetSettings]) -> list[TargetSettings]:
        """Return the adopted targets. One that is among ``others`` now, by name or by server, is forgotten."""
        names, servers = set(), set()
        for other in others:
            names.add(other.name)
            servers.add(other.address)
        known = [name for name, one in self._adopted.items() if name in names or one.settings.address in servers]
        for name in known:
            del self._adopted[name]
        return [adopted.settings for adopted in self._adopted.values()]

    def _is_listed(self, endpoint: Endpoint) -> bool:
        """Return whether the list contains an address, or a name as far as this is known without DNS."""
        if numeric_host(endpoint.host) is not None:
            return bool(self._permitted.networks) and endpoint.host.partition("%")[0] in self._permitted
        return not self._names or matches_name(endpoint.host, self._names)

    def _settings(self, template: TargetSettings, endpoint: Endpoint, name: str, db: int | None) -> TargetSettings:
        return template.at(endpoint, name, db=db).model_copy(update={"permitted": self._permitted})


def _check_module(rules: AdoptRules, module: str | None) -> None:
    if module is not None and module not in rules.modules:
        guess = closest_name(module[:MAX_LENGTH], list(rules.modules))
        hint = f": did you mean {guess}?" if guess else ""
        raise AdoptError("module", f"module: the configuration has no module of this name{hint}")


def _template(rules: AdoptRules, module: str | None) -> TargetSettings:
    return rules.template if module is None else rules.modules[module]


def _server(text: str, template: TargetSettings) -> tuple[Endpoint, int | None]:
    """Return the endpoint and the database of a target. Raises AdoptError, whose text repeats nothing of it."""
    if len(text) > MAX_LENGTH:
        raise AdoptError("unreadable", f"target: must have at most {MAX_LENGTH} characters")
    if has_credentials(text):
        raise AdoptError("credentials", "target: must not contain a user name or password: name a module that has them")
    is_address = "://" not in text and not text.startswith("/")
    scheme = "rediss" if template.endpoint.tls else "redis"
    try:
        url = parse_url(f"{scheme}://{text}" if is_address else text)
    except ValueError as error:
        raise AdoptError("unreadable", f"target: {error}") from None
    if url.cert_reqs is not None:
        raise AdoptError("unreadable", "target: must not have ssl_cert_reqs: name a module with tls.cert_reqs")
    if url.endpoint.kind == "unix":
        raise AdoptError("not_allowed", "target: must not be a socket of the machine of the exporter")
    if not url.endpoint.address.isprintable():
        raise AdoptError("unreadable", "target: must have a host of printable characters")
    if template.endpoint.tls and not url.endpoint.tls:
        raise AdoptError("not_allowed", "target: the module demands TLS: write rediss://host:port, or host:port alone")
    return url.endpoint, url.db


async def _resolve(name: str) -> list[str]:
    return [str(address[0]) for _, address in await blocking.resolve(name, 0, within=LOOKUP_TIMEOUT)]
