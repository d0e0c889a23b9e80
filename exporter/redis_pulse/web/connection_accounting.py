"""Count the clients of the port, and decide which of them is closed when there are too many.

The newest client is never refused. It may be Prometheus, and the others may be an attacker at the same address.
A client that is closed first has sent no complete request, or it is idle between two requests. Such a client loses
nothing: its HTTP library connects again. A client that does not fetch its response follows. A busy client is the last.

Every connection counts from its ``accept``. So an unfinished TLS handshake counts too.
"""

import asyncio
import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

from redis_pulse import file_descriptors

#: States of a client, in the order in which they are closed.
WAITING, STALLED, BUSY = range(3)
#: Pages that may be sent at the same time, however large they are.
MIN_PAGES = 3
#: Clients that are kept when descriptors are missing.
MIN_CLIENTS = 16
#: Clients that are checked for unread bytes before one is closed. Each check is a call of the kernel.
_MAX_CHECKED = 64
#: Seconds after a lack of descriptors until the full number of clients is accepted again.
SHORTAGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The most clients of the port, and the most bytes of the pages that are being sent to them."""

    #: of all addresses together
    total: int = 1024
    #: of one address
    per_address: int = 512
    #: of distinct pages; a page that several clients fetch counts once
    page_bytes: int = 16 * 1024 * 1024


class Client:
    """One connection to the port. Its owner tells it what the client does, and calls ``left`` once at the end."""

    __slots__ = (
        "_accounting",
        "_page",
        "_request",
        "address",
        "close",
        "has_unread_bytes",
        "is_gone",
        "state",
    )

    def __init__(self, accounting: "ConnectionAccounting", address: str, close: Callable[[], object]) -> None:
        self._accounting = accounting
        self.address = address
        #: closes the connection; the owner replaces it when another object takes over
        self.close = close
        #: whether the client has sent bytes that were not read yet; they may be a complete request
        self.has_unread_bytes: Callable[[], bool] = _no
        self.state = WAITING
        self._page: Sized | None = None
        #: the task that responds to a request of the client
        self._request: asyncio.Task[object] | None = None
        #: whether the connection has ended, so that a response has no receiver
        self.is_gone = False

    def waits(self) -> None:
        """Record that the client has sent no complete request, or is idle."""
        self._set(WAITING)

    def works(self) -> None:
        """Record that a request is complete, or that the client has fetched a part of its response."""
        self._set(BUSY)

    def stalls(self) -> None:
        """Record that the client does not fetch its response for now."""
        self._set(STALLED)

    def holds(self, page: Sized | None) -> None:
        """Record the page that is being sent to this client, or None at its end."""
        self._accounting.replace_page(self, self._page, page)
        self._page = page

    def responds(self, request: "asyncio.Task[object] | None") -> None:
        """Record the task that responds to a request now, or None at its end."""
        self._request = request

    def cancel_request(self) -> None:
        """End the work for a client that is gone. It could leave again and again, and the work would pile up."""
        self.is_gone = True
        if self._request is not None:
            self._request.cancel()

    def left(self) -> None:
        """Record the end of the connection."""
        # They refer to the connection, which refers to this object.
        self.close, self.has_unread_bytes = _nothing, _no
        self.holds(None)
        self._accounting.remove(self)

    @property
    def page(self) -> Sized | None:
        """The page that is being sent to this client."""
        return self._page

    def _set(self, state: int) -> None:
        if state != self.state:
            before, self.state = self.state, state
            self._accounting.move(self, before)


class _Clients:
    """Clients in the order in which they are closed: by state, then by the time since when they have it.

    Nothing is sorted. In a flood of connections each one closes another one, so that must be cheap.
    """

    __slots__ = ("_by_state",)

    def __init__(self) -> None:
        self._by_state: tuple[dict[Client, None], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return sum(map(len, self._by_state))

    def add(self, client: Client) -> None:
        self._by_state[client.state][client] = None

    def remove(self, client: Client, state: int) -> bool:
        """Remove a client that was added with this state. Return whether it was there."""
        clients = self._by_state[state]
        if client not in clients:
            return False
        del clients[client]
        return True

    def in_order(self, states: Iterable[int]) -> Iterator[Client]:
        return chain.from_iterable(self._by_state[state] for state in states)


class ConnectionAccounting:
    """All clients of the port. ``on_closed`` is called for each client that is closed because there are too many."""

    def __init__(self, limits: ClientLimits, clock: Callable[[], float], on_closed: Callable[[], None]) -> None:
        self._limits = limits
        self._now = clock
        self._on_closed = on_closed
        self._clients = _Clients()
        self._by_address: dict[str, _Clients] = defaultdict(_Clients)
        #: by id of a page: its size, and how many clients fetch it
        self._pages: dict[int, list[int]] = {}
        self.page_bytes = 0
        self._shortage_total = 0
        self._shortage_until = 0.0

    def __len__(self) -> int:
        """Return the number of clients."""
        return len(self._clients)

    def part(self, limits: ClientLimits) -> "ConnectionAccounting":
        """Return what counts a part of the clients, with limits of its own."""
        return ConnectionAccounting(limits, self._now, self._on_closed)

    def add(self, host: str, close: Callable[[], object]) -> Client:
        """Count a new client, and close another one if there are too many. ``close`` closes the new one."""
        client = Client(self, address_key(host), close)
        same_address = self._by_address[client.address]
        self._clients.add(client)
        same_address.add(client)
        if len(same_address) > self.max_clients_of_one_address():
            self._close_one(same_address, client)
        elif len(self._clients) > self.max_clients() and not (
            self._close_one(same_address, client, states=(WAITING,)) or self._close_one(self._clients, client)
        ):  # pragma: no cover  # the limit is above one, so another client exists
            raise AssertionError("no client can be closed")
        return client

    def remove(self, client: Client) -> None:
        """Forget a client that has left. It may have been closed, and forgotten, before."""
        if self._clients.remove(client, client.state):
            same_address = self._by_address[client.address]
            same_address.remove(client, client.state)
            if not len(same_address):
                del self._by_address[client.address]

    def move(self, client: Client, before: int) -> None:
        """Note that the state of a client has changed. The client may have left."""
        if self._clients.remove(client, before):
            self._clients.add(client)
            same_address = self._by_address[client.address]
            same_address.remove(client, before)
            same_address.add(client)

    def max_clients(self) -> int:
        """Return how many clients may be connected now: a part of the descriptors, and fewer if some were missing."""
        most = self._limits.total
        descriptors = file_descriptors.limit()
        if descriptors is not None:
            most = min(most, max(MIN_CLIENTS, descriptors // 4))
        if self._now() < self._shortage_until:
            most = min(most, self._shortage_total)
        return most

    def max_clients_of_one_address(self) -> int:
        """Return how many clients may be connected from one address now: at most half of all."""
        return min(self._limits.per_address, self.max_clients() // 2)

    def close_half(self) -> None:
        """Close half of the clients, because a descriptor is missing. Targets get the descriptors of those."""
        self._shortage_total = max(MIN_CLIENTS, len(self._clients) // 2)
        self._shortage_until = self._now() + SHORTAGE_SECONDS
        while len(self._clients) > self._shortage_total and self._close_one(self._clients, None):
            pass

    def replace_page(self, client: Client, old: Sized | None, new: Sized | None) -> None:
        """Count the page that is sent to a client. Too many bytes close the client that stalls for the longest time."""
        if new is not None:
            entry = self._pages.setdefault(id(new), [len(new), 0])
            entry[1] += 1
            self.page_bytes += len(new) if entry[1] == 1 else 0
        if old is not None:
            entry = self._pages[id(old)]
            entry[1] -= 1
            if not entry[1]:
                del self._pages[id(old)]
                self.page_bytes -= entry[0]
        # Two Prometheus servers may fetch large pages at the same time.
        while new is not None and self.page_bytes > max(self._limits.page_bytes, MIN_PAGES * len(new)):
            stalled = self._clients.in_order((STALLED,))
            if not self._close_first((one for one in stalled if one.page is not None and one.page is not new), client):
                return

    def _close_one(
        self, clients: _Clients, newest: Client | None, states: tuple[int, ...] = (WAITING, STALLED, BUSY)
    ) -> bool:
        """Close the first client in the order of closing. Return whether there was one."""
        return self._close_first(clients.in_order(states), newest)

    def _close_first(self, clients: Iterable[Client], newest: Client | None) -> bool:
        candidates = list(islice((one for one in clients if one is not newest), _MAX_CHECKED))
        # If many clients connect at once, the request of one may have arrived but not have been read yet.
        victim = next((one for one in candidates if not one.has_unread_bytes()), None)
        if victim is None and candidates:
            victim = candidates[0]
        if victim is None:
            return False
        close = victim.close
        victim.left()
        self._on_closed()
        close()
        return True


def _nothing() -> None:
    """Close nothing: the connection has ended."""


def _no() -> bool:
    return False


@lru_cache(maxsize=256)
def address_key(host: str) -> str:
    """Return what counts as one address: of IPv6 its first 64 bits, because one machine has all of them."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
