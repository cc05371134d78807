"""Which faults strike when: a list made from a seed alone. Pure.

A round is the whole main job with one fault or two. First each fault strikes alone, in an order of the seed's choosing;
then every pair of them comes once; then it begins again with other moments.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, count, islice
from random import Random


class Fault(StrEnum):
    CHILD_KILLED = "worker's child killed"
    WORKER_KILLED = "worker killed"
    MACHINE_GONE = "worker's machine gone, and back"
    CUT_OFF = "worker's machine cut off the network, and back"
    CLOCK_KILLED = "clock killed"
    WEB_KILLED = "web killed"
    POSTGRES_RESTARTED = "PostgreSQL restarted"
    SOURCE_CUT = "source connection cut"
    INDEX_FAILING = "index answers 500"
    INDEX_AWAY = "index does not answer"
    REDIS_EMPTIED = "Redis restarted and emptied"
    BROKER_RESTARTED = "broker restarted"
    BROKER_OF_THREE_KILLED = "broker of three killed"
    MESSAGE_TOO_LARGE = "message too large"
    DISK_FULL = "PostgreSQL's disk full"
    DEPLOYMENT = "deployment: everything stopped and started"


class Moment(StrEnum):
    """When a fault strikes. But for COMMITTED, whoever is there is held in the middle of it until the fault struck."""

    CLAIM = "while claiming"
    COMMIT = "between publish and commit"
    COMMITTED = "after a commit"
    VERIFY = "during verification"
    END = "while ending"


HTTP_INDEX = frozenset({Fault.INDEX_FAILING, Fault.INDEX_AWAY})
"""Faults that need the index behind HTTP; in other rounds it is read from PostgreSQL."""

THREE_BROKERS = frozenset({Fault.BROKER_OF_THREE_KILLED})
"""Faults that need three brokers of Apache Kafka; in other rounds the embedded one takes the messages."""

MACHINES = frozenset({Fault.CUT_OFF})
"""Faults that need workers in network namespaces of their own: in no plan, `test_machines.py` has them."""

PLANNED = tuple(fault for fault in Fault if fault not in MACHINES)

WORKER_FAULTS = frozenset({Fault.CHILD_KILLED, Fault.WORKER_KILLED, Fault.MACHINE_GONE, Fault.CUT_OFF})

WALKING = frozenset({Moment.CLAIM, Moment.COMMIT, Moment.COMMITTED})
"""Moments that come whether the index takes messages or not."""

MOST_CHUNKS = 12
LONGEST_OUTAGE = 4.0


@dataclass(frozen=True, slots=True)
class Strike:
    """`fault` at the `number`-th `moment`; what goes away stays away for `outage` seconds."""

    fault: Fault
    moment: Moment
    number: int
    outage: float


@dataclass(frozen=True, slots=True)
class Round:
    """`seed` makes the company, too. `together`: the second strike waits for nothing but the first. `index_late`: the
    index takes no message before every organization is walked, so what is published twice shows. `split`: the larger
    organizations are walked in ranges, by several workers at once."""

    number: int
    seed: str
    strikes: tuple[Strike, ...]
    together: bool
    index_late: bool
    split: bool

    @property
    def needs_http_index(self) -> bool:
        return any(strike.fault in HTTP_INDEX for strike in self.strikes)

    @property
    def needs_three_brokers(self) -> bool:
        return any(strike.fault in THREE_BROKERS for strike in self.strikes)

    def __str__(self) -> str:
        joint = " + at once " if self.together else ", then "
        late = ", the index late" if self.index_late else ""
        split = ", in ranges" if self.split else ""
        return joint.join(f"{strike.fault} ({strike.moment} {strike.number})" for strike in self.strikes) + late + split


def plan_rounds(seed: int, rounds: int, faults: Collection[Fault] = PLANNED) -> list[Round]:
    """The first `rounds` rounds of `seed` with these faults. A longer plan begins with the shorter one."""
    sets = islice(_fault_sets(seed, faults), rounds)
    return [_round(seed, number, chosen) for number, chosen in enumerate(sets, start=1)]


def quick_rounds(seed: int, faults: Collection[Fault] = PLANNED) -> list[Round]:
    """As few rounds as have every fault once: pairs, and one alone where the number is odd. What needs three brokers
    comes last and alone: nothing else goes untried where there are none."""
    order = _shuffled(Random(f"quick {seed}"), set(faults) - THREE_BROKERS)
    pairs = [tuple(order[place : place + 2]) for place in range(0, len(order), 2)]
    alone = [(fault,) for fault in sorted(THREE_BROKERS & set(faults))]
    return [_round(seed, number, chosen) for number, chosen in enumerate([*pairs, *alone], start=1)]


def _fault_sets(seed: int, faults: Collection[Fault]) -> Iterator[tuple[Fault, ...]]:
    for cycle in count():
        rng = Random(f"sets {seed} {cycle}")
        alone = _shuffled(rng, faults)
        yield from ((fault,) for fault in alone)
        pairs = list(combinations(alone, 2))
        rng.shuffle(pairs)
        yield from pairs
        if not alone:
            return


def _shuffled(rng: Random, faults: Collection[Fault]) -> list[Fault]:
    order = sorted(faults)
    rng.shuffle(order)
    return order


def _round(seed: int, number: int, faults: Sequence[Fault]) -> Round:
    """Everything about a round follows from seed and number, so one round can be run again alone."""
    rng = Random(f"round {seed} {number}")
    strikes = [_strike(rng, fault) for fault in faults]
    strikes.sort(key=lambda strike: (list(Moment).index(strike.moment), strike.number))
    together = len(strikes) > 1 and rng.random() < 0.5
    while_walking = all(strike.moment in WALKING for strike in strikes)
    index_late = while_walking and rng.random() < 0.5
    split = HTTP_INDEX.isdisjoint(faults) and rng.random() < 0.5
    return Round(number, f"{seed} {number}", tuple(strikes), together, index_late, split)


def _strike(rng: Random, fault: Fault) -> Strike:
    moment = rng.choice(_moments(fault))
    chunks = moment in (Moment.COMMIT, Moment.COMMITTED)
    return Strike(
        fault, moment, rng.randint(1, MOST_CHUNKS) if chunks else 1, round(rng.uniform(0.2, LONGEST_OUTAGE), 1)
    )


def _moments(fault: Fault) -> Sequence[Moment]:
    if fault is Fault.MESSAGE_TOO_LARGE:
        return (Moment.CLAIM,)  # it is in the company from the start
    return tuple(Moment)
