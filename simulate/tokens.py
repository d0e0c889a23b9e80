"""A server behind IAM, and the program that prints its tokens. They end, and so do the connections that used them."""

import json
import random

from simulate.network import Host, Network
from simulate.server import NOAUTH, OK, WRONGPASS, ServerConnection, SimulatedServer

#: Seconds for which a token is valid.
LIFE = 20.0
USER = "exporter"


class TokenServer(SimulatedServer):
    """Accepts the tokens that it issued, and cuts each connection at the end of its token."""

    def __init__(self, network: Network, rng: random.Random, host: Host, port: int, software: str) -> None:
        #: Unix time at which each token ends
        self._ends: dict[str, float] = {}
        #: logins that succeeded, and connections that were cut
        self.logins = self.cuts = 0
        super().__init__(network, rng, host, port, software)

    def print_token(self) -> tuple[int, bytes]:
        """Return the exit code and the output of the program."""
        now = self.network.loop.clock.wall()
        self._ends = {token: ends for token, ends in self._ends.items() if ends > now}
        token, ends = f"token-{self.random.randbytes(8).hex()}", now + LIFE
        self._ends[token] = ends
        return 0, json.dumps({"username": USER, "password": token, "expires_at": ends}).encode()

    def _authorized_reply(self, connection: ServerConnection, words: tuple[str, ...]) -> bytes:
        if words[0].upper() != "AUTH":
            return super()._authorized_reply(connection, words) if connection.is_authenticated else NOAUTH
        left = self._ends.get(words[-1], 0.0) - self.network.loop.clock.wall()
        if left <= 0 or words[1:-1] != (USER,):
            return WRONGPASS
        if not connection.is_authenticated:
            self.logins += 1
            self.network.loop.call_later(left, self._cut, connection)
        connection.is_authenticated = True
        return OK

    def _cut(self, connection: ServerConnection) -> None:
        if self.connections.pop(connection.stream.number, None) is not None:
            self.cuts += 1
            connection.stream.close()
