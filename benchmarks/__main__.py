"""Measures what must be fast and prints one table: `make bench`, or `make bench ARGS="check publish"` for some of it.
What takes long by itself (`LONG`) runs only where it is named.

A benchmark is a module named in `BENCHMARKS` with `measure(stage)` that gives Measurements; one whose `measure` takes
no stage brings servers of its own and runs in a process of its own. QUICK=1 takes small sizes and
2 repeats (REPEATS=n: n of them); KEEP=1 keeps servers and companies in .cache/bench, so that the next run need not make
them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from benchmarks.measurement import Measurement, is_quick, measure_alone
from benchmarks.stage import Stage, open_stage, say

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
BENCHMARKS = (
    "abandonment",
    "affected",
    "check",
    "clock",
    "ids",
    "memory",
    "pages",
    "publish",
    "queueing",
    "ranges",
    "records",
    "scale",
    "small",
)
LONG = ("scale",)
"""Half an hour at full size: a million jobs and ten million drift rows have to be made first."""


def main(wanted: list[str]) -> None:
    unknown = [name for name in wanted if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"There is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}.")
    found = []
    quick, keep = is_quick(), bool(os.environ.get("KEEP"))
    with open_stage(quick=quick, keep=keep) as stage:
        print(_row("what", "ours", "bound", "figure", "goal", ""))
        usual = [name for name in BENCHMARKS if name not in LONG]
        for one in measurements(stage, [name for name in BENCHMARKS if name in (wanted or usual)]):
            found.append(one)
            print(describe(one), flush=True)
    RESULTS.write_text(json.dumps([one.to_json() for one in found], indent=2) + "\n", encoding="utf-8")
    if quick:
        print("QUICK=1: small sizes, where what a job costs once weighs most. The goals are those of the full sizes.")


def measurements(stage: Stage, modules: list[str]) -> Iterator[Measurement]:
    """Runs the modules one after the other."""
    for module in modules:
        say(f"{module} (load {os.getloadavg()[0]:.1f}) ...")
        measure, begun = import_module(f"benchmarks.{module}").measure, perf_counter()
        if signature(measure).parameters:
            yield from measure(stage)
        else:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
                yield from alone.submit(measure_alone, module).result()
        say(f"{module} took {perf_counter() - begun:.0f} s.")


def describe(one: Measurement) -> str:
    unit = one.goal.unit if one.goal else "x"
    verdict = {True: "holds", False: "DOES NOT HOLD", None: ""}[one.holds]
    goal = str(one.goal) if one.goal else "shown"
    return _row(
        one.name,
        f"{one.ours:,.3g} {one.unit}",
        f"{one.bound:,.3g} {one.unit}",
        f"{one.figure:,.3g} {unit}",
        goal,
        verdict,
    )


def _row(*cells: str) -> str:
    name, ours, bound, figure, goal, verdict = cells
    return f"{name:<58} {ours:>12} {bound:>12} {figure:>12}   {goal:<22} {verdict}".rstrip()


if __name__ == "__main__":
    main(sys.argv[1:])
