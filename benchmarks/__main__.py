"""Runs every `benchmarks/bench_*.py` and prints one table: `make bench`.

A benchmark is a module with `measure() -> list[Measurement]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from benchmarks.measurement import Measurement


def measurements() -> Iterator[Measurement]:
    """Imports and runs the modules one after the other, in the order of their names."""
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        yield from import_module(f"benchmarks.{path.stem}").measure()


def main() -> None:
    found = list(measurements())
    if not found:
        print("No benchmark yet.")
        return
    print(f"{'benchmark':<50} {'seconds':>10} {'bound':>10} {'ratio':>7}")
    for one in found:
        print(f"{one.name:<50} {one.seconds:>10.3f} {one.bound_seconds:>10.3f} {one.ratio:>6.1f}x")


if __name__ == "__main__":
    main()
