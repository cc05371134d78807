"""Results in words: a line a round, a table by fault, and one object for machines. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.faults.plan import Fault
from tests.faults.rounds import Injected, Result

HEAD = ("fault", "injected", "drift left", "messages repeated", "recovery, most", "median")


def line_of(result: Result) -> str:
    recovered = ", ".join(_seconds(one.recovery) for one in result.injected) or "struck too late"
    outcome = "; ".join(result.problems) or "fine"
    return (
        f"round {result.round.number}: {result.round}: {outcome}. Recovered in {recovered}; "
        f"{result.repeated} repeated, {result.uncounted} uncounted, {result.waits_cut} waits cut; "
        f"{result.seconds:.1f} s"
    )


def as_json(results: Sequence[Result], seconds: float) -> dict[str, object]:
    recoveries = [one.recovery for one in _injected(results) if one.recovery is not None]
    return {
        "rounds": len(results),
        "faults": sum(1 for _ in _injected(results)),
        "failed_rounds": sum(bool(result.problems) for result in results),
        "drift_left": sum(result.drift_left for result in results),
        "repeated_messages": sum(result.repeated for result in results),
        "uncounted_tasks": sum(result.uncounted for result in results),
        "max_recovery_seconds": round(max(recoveries, default=0.0), 1),
        "seconds": round(seconds, 1),
    }


def table(results: Sequence[Result]) -> str:
    """By fault. Messages repeated in a round of two faults are counted with both."""
    by_fault: dict[Fault, list[tuple[Result, Injected]]] = defaultdict(list)
    for result in results:
        for one in result.injected:
            by_fault[one.strike.fault].append((result, one))
    lines = [_row(HEAD), _row("---" for _ in HEAD)]
    for fault in sorted(by_fault):
        seen = by_fault[fault]
        drift, repeated = (sum(numbers) for numbers in zip(*((r.drift_left, r.repeated) for r, _ in seen), strict=True))
        seconds = sorted(one.recovery for _, one in seen if one.recovery is not None)
        most, median = (seconds[-1], seconds[len(seconds) // 2]) if seconds else (None, None)
        lines.append(_row((fault, len(seen), drift, repeated, _seconds(most), _seconds(median))))
    return "\n".join(lines)


def _injected(results: Iterable[Result]) -> Iterable[Injected]:
    return (one for result in results for one in result.injected)


def _row(cells: Iterable[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
