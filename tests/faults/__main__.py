"""`make faults SEED=… ROUNDS=…`: rounds of the main job under faults, a line each; last, one JSON object.

Ends with 1 where anything was left wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from opsconsole.errors import UnavailableError
from tests.brokers.artifacts import NoKafkaError, class_path
from tests.faults.plan import Round, plan_rounds, quick_rounds
from tests.faults.report import as_json, line_of, table
from tests.faults.rounds import Result, run_round
from tests.faults.stage import Stage, TooSlowError


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=0, help="How many; 0: the quick set, every fault once.")
    parser.add_argument("--only", type=int, default=0, help="Just the round with this number.")
    options = parser.parse_args(arguments)
    planned = plan_rounds(options.seed, options.rounds) if options.rounds else quick_rounds(options.seed)
    return perform([one for one in planned if options.only in (0, one.number)])


def perform(planned: Sequence[Round]) -> int:
    """Runs the rounds one after another, last those that need three brokers, and reports. The exit status."""
    results: list[Result] = []
    begun = time.monotonic()
    embedded = [one for one in planned if not one.needs_three_brokers]
    three = [one for one in planned if one.needs_three_brokers]
    whole = _on_a_stage(embedded, "", results) and _on_three_brokers(three, results)
    print(table(results))
    print(json.dumps(as_json(results, time.monotonic() - begun)))
    return 0 if whole and not any(result.problems for result in results) else 1


def _on_three_brokers(planned: Sequence[Round], results: list[Result]) -> bool:
    """Without Apache Kafka these rounds are skipped; on CI that is a failure."""
    if not planned:
        return True
    try:
        found = class_path()
    except NoKafkaError as error:
        numbers = ", ".join(str(one.number) for one in planned)
        print(f"not run: {numbers}, which need three brokers of Apache Kafka: {error}.")
        return not os.environ.get("CI")
    return _on_a_stage(planned, found, results)


def _on_a_stage(planned: Sequence[Round], class_path: str, results: list[Result]) -> bool:
    """Adds to `results`. False where a round did not come to its end; no other is tried then."""
    if not planned:
        return True
    with tempfile.TemporaryDirectory(prefix="opsconsole-faults-") as folder, Stage(Path(folder), class_path) as stage:
        for one in planned:
            try:
                results.append(run_round(stage, one))
            except (TooSlowError, UnavailableError) as error:
                print(f"round {one.number}: {one}\n{error}\n{stage.logs()}")
                return False
            print(line_of(results[-1]), flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
