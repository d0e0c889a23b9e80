"""What happens, to what, and when: a pure function of the seed, so that a seed repeats a round."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Servers that stand alone and are declared in the configuration file.
SOLO = ("redis", "valkey", "tls", "auth", "acl", "mover")
#: Targets that the discovery files name at first.
FOUND = ("found-0", "found-1", "found-2")
#: The server in a network namespace of its own.
FAR = "far"
ONE = (*SOLO, *FOUND, FAR)

#: Seconds within which the events of one burst begin.
SPREAD = 4.0


@dataclass(frozen=True)
class Kind:
    """One kind of event: what it may be done to, in which ways, and how many seconds pass until it is undone."""

    name: str
    on: tuple[str, ...]
    how: tuple[str, ...] = ("",)
    seconds: tuple[float, float] = (2.0, 9.0)
    weight: int = 2
    #: whether it may stay until the end of the next burst, so that a known server is down in a quiet period
    stays: bool = False


KINDS = (
    Kind("kill", ONE, stays=True, weight=3),
    Kind("freeze", ONE, stays=True, weight=3),
    Kind("restart", ONE, seconds=(0.0, 0.0)),
    Kind("failover", ("queue",), ("command", "kill", "freeze"), (3.0, 9.0), stays=True, weight=4),
    Kind("failover", ("cart",), ("command", "kill", "freeze"), (4.0, 9.0), weight=2),
    Kind("replica", ("queue", "cart"), ("kill", "freeze", "restart"), stays=True),
    Kind("sentinel", ("queue",), ("kill", "freeze"), weight=1),
    Kind("reshard", ("cart",), seconds=(1.0, 4.0)),
    Kind("move", ("mover",), weight=3, seconds=(0.0, 5.0)),
    Kind("move", ("found",), weight=2, seconds=(0.0, 5.0)),
    Kind("leave", ("mover", "tls", "found-0", "found-1", "found-2"), ("freeze", "kill"), weight=4),
    Kind("password", ("auth",), ("file first", "server first")),
    Kind("acl", ("acl",), ("off", "commands", "password")),
    Kind("certificate", ("tls",), ("same authority", "new authority")),
    Kind("files", ("found",), ("remove", "add", "half", "rename"), weight=3),
    Kind("storm", ("configuration",), ("labels", "targets", "settings"), seconds=(0.5, 3.0), weight=3),
    Kind("slow readers", ("pages",)),
    Kind("descriptors", ("limits",)),
    Kind("blocked log", ("log",)),
    Kind("clock", ("clock",), ("+3600", "-3600", "+0.7", "-2")),
    Kind("cut", (FAR,), ("drop", "reject", "drop replies", "link"), stays=True, weight=3),
    Kind("restart daemon", ("daemon",), seconds=(0.0, 0.0), weight=1),
)


@dataclass(frozen=True)
class Step:
    """One event of a burst: it begins ``at`` seconds, and is undone ``seconds`` later (or with the next burst)."""

    kind: str
    on: str
    how: str
    at: float
    seconds: float
    stays: bool
    #: what the event chooses with: a replica, a slot, a place
    pick: int

    def __str__(self) -> str:
        how = f" ({self.how})" if self.how else ""
        until = "until the end of the next burst" if self.stays else f"for {self.seconds:.1f} s"
        return f"{self.at:4.1f} s: {self.kind} {self.on}{how} {until}, pick {self.pick}"


@dataclass(frozen=True)
class Settings:
    """What is chosen once a round."""

    #: whether the daemon runs under libfaketime, so that its clock can be stepped
    faketime: bool
    #: software of the Sentinel set and of the cluster
    queue: str
    cart: str
    #: whether the servers of the Sentinel set, and its Sentinels, want TLS: only Redis can
    queue_tls: bool
    #: seconds; the longest time for which a breaker is open
    open_interval_max: float
    #: the servers that hang when the daemon is ended at last
    hung_at_end: tuple[str, ...]


@dataclass(frozen=True)
class Moment:
    """One thing to do in a burst: to begin a step, or to undo it."""

    at: float
    step: Step
    undo: bool


@dataclass(frozen=True)
class Burst:
    """Two to four events that overlap; a quiet period follows."""

    steps: tuple[Step, ...]

    def moments(self) -> list[Moment]:
        """Return what is done when, in its order. What stays is not undone here."""
        found = [Moment(step.at, step, undo=False) for step in self.steps]
        found += [Moment(step.at + step.seconds, step, undo=True) for step in self.steps if not step.stays]
        return sorted(found, key=lambda moment: (moment.at, moment.undo))


@dataclass
class Plan:
    """The settings of a round and as many bursts as one asks for; the same for the same seed, on every machine."""

    seed: int
    settings: Settings = field(init=False)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(f"redis-pulse chaos {self.seed}")
        choose = self._random.choice
        queue_tls = choose((True, False))
        self.settings = Settings(
            faketime=choose((True, False)),
            queue="redis" if queue_tls else "valkey",
            cart=choose(("redis", "valkey")),
            queue_tls=queue_tls,
            open_interval_max=choose((2.0, 60.0)),
            hung_at_end=tuple(self._random.sample(("redis", "tls", "acl", "mover"), self._random.randint(0, 2))),
        )

    def bursts(self) -> Iterator[Burst]:
        """Yield bursts without end. Ask once."""
        staying: set[str] = set()
        while True:
            steps: list[Step] = []
            taken = set(staying)
            wanted = self._random.randint(2, 4)
            while len(steps) < wanted:
                step = self._step()
                if step.on not in taken:
                    taken.add(step.on)
                    steps.append(step)
            staying = {step.on for step in steps if step.stays}
            yield Burst(tuple(sorted(steps, key=lambda step: step.at)))

    def _step(self) -> Step:
        kinds = [kind for kind in KINDS if self.settings.faketime or kind.name != "clock"]
        (kind,) = self._random.choices(kinds, [kind.weight for kind in kinds])
        return Step(
            kind=kind.name,
            on=self._random.choice(kind.on),
            how=self._random.choice(kind.how),
            at=round(self._random.uniform(0, SPREAD), 1),
            seconds=round(self._random.uniform(*kind.seconds), 1),
            stays=kind.stays and self._random.random() < 0.25,
            pick=self._random.randrange(1000),
        )
