"""`manage.py demo --check`: the whole main job, as an operator does it, through the real queue, workers and indexer."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opsconsole.demo.drift import count_drift
from opsconsole.demo.processes import OwnerLock, end_all_leftovers, wait_until
from opsconsole.demo.stack import Say, Stack, last_line
from opsconsole.errors import UnavailableError
from opsconsole.words import counted

BATCH_SIZE = 10
INDEXER_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the main job did. `drift_after` is counted by code that shares nothing with the console."""

    organizations: int
    tasks_scanned: int
    drift_found: int
    published: int
    verified: int
    unresolved: int
    drift_after: int
    lost: int
    seconds: float

    @property
    def good(self) -> bool:
        return self.drift_found > 0 and self.drift_found == self.lost and self.drift_after == 0

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def fresh_folder(folder: Path) -> Path:
    """An empty `check` folder inside `folder`: the check repeats from nothing, and the demonstration keeps its data."""
    fresh = (folder / "check").resolve()
    fresh.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = OwnerLock(fresh)
    lock.take()
    end_all_leftovers(fresh)
    for path in fresh.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != OwnerLock.NAME:
            path.unlink()
    lock.free()
    return fresh


def do_main_job(stack: Stack, say: Say) -> Outcome:
    """Find, stage, check in batches, republish, verify. Raises UnavailableError where a step fails."""
    assert stack.gap is not None
    begun = time.monotonic()
    window = ("--from", stack.gap.window_from.isoformat(), "--to", stack.gap.window_to.isoformat())
    affected = [str(found["id"]) for found in _answer(stack, "affected_orgs", *window, "--json")["organizations"]]
    say(f"{counted(len(affected), 'organization')} had updates in the window.")
    _answer(stack, "stage_orgs", "-", "--json", given="\n".join(affected) + "\n")
    totals = _process_all(stack, len(affected), say)
    addresses = stack.servers.addresses
    wait_until(lambda: count_drift(addresses.source_url, addresses.index_url) == 0, INDEXER_PATIENCE)
    return Outcome(
        organizations=len(affected),
        tasks_scanned=totals["scanned"],
        drift_found=totals["drift"],
        published=totals["published"],
        verified=totals["verified"],
        unresolved=totals["unresolved"],
        drift_after=count_drift(addresses.source_url, addresses.index_url),
        lost=stack.gap.lost,
        seconds=round(time.monotonic() - begun, 1),
    )


def _process_all(stack: Stack, staged: int, say: Say) -> dict[str, int]:
    """One batch after another until the set is empty; the sums of their totals."""
    totals = dict.fromkeys(("scanned", "drift", "published", "verified", "unresolved"), 0)
    while staged > 0:
        batch = _answer(stack, "process_batch", "--size", str(BATCH_SIZE), "--sync", "--wait", "--json")
        for name in totals:
            totals[name] += int(batch["totals"][name])
        if not batch["jobs"]:
            raise UnavailableError(f"{counted(staged, 'organization')} stayed staged: a batch took none of them.")
        staged -= len(batch["jobs"])
        say(f"Batch {batch['batch']}: {len(batch['jobs'])} organizations, {batch['totals']['drift']} out of sync.")
    return totals


def _answer(stack: Stack, *arguments: str, given: str = "") -> dict[str, Any]:
    """The JSON object on the last line of a command. Raises UnavailableError with the command's own sentence."""
    done = stack.run_manage(*arguments, given=given)
    if done.returncode:
        raise UnavailableError(f"`manage.py {arguments[0]}` ended with {done.returncode}: {last_line(done.stderr)}")
    answer: dict[str, Any] = json.loads(last_line(done.stdout))
    return answer
