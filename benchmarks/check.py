"""The check of one organization of 2,000,000 tasks, against reading both sides bare, and against reladiff."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from benchmarks import reladiff
from benchmarks.checking import check_and_expect
from benchmarks.companies import LARGEST, main_company, only_organization
from benchmarks.measurement import Goal, Measurement, in_turn, seconds
from benchmarks.stage import COMPARED, Company, Stage, finish

GOALS = {0.0: Goal(1.4), 0.001: Goal(1.4), 0.1: Goal(3)}
AGAINST_RELADIFF = 0.001
COMMAND = 'make bench ARGS="check"'


def measure(stage: Stage) -> Iterator[Measurement]:
    company = main_company(stage)
    stage.use(company, settle_time="2s")
    organization = only_organization(company, LARGEST)
    tasks = company.layout.bands[LARGEST].total
    for share, goal in GOALS.items():
        drift = company.spread_drift(organization, share)
        ours, bound = partial(check_and_expect, organization, drift), partial(copy_both, stage, company, organization)
        took = in_turn({"ours": ours, "bound": bound}, stage.repeats)
        name = f"check, {tasks:,} tasks, drift {share:.1%}, against bare COPY"
        yield Measurement(name, took["ours"], took["bound"], goal, COMMAND)
        if share == AGAINST_RELADIFF:
            yield from _against_reladiff(stage, company, organization, took["ours"])


def _against_reladiff(stage: Stage, company: Company, organization: UUID, ours: float) -> Iterator[Measurement]:
    """As it comes, once: it takes most of a minute. And at its best."""
    reladiff.prepare(company)
    goal = Goal(15, "x faster", at_most=False)
    name = f"the same at {AGAINST_RELADIFF:.1%} against reladiff"
    usual = seconds(partial(reladiff.run, company, organization, reladiff.AS_IT_COMES))
    yield Measurement(name, ours, usual, goal, COMMAND, other_figure=usual / ours)
    best = in_turn({"best": partial(reladiff.run, company, organization, reladiff.BEST)}, stage.few_repeats)["best"]
    yield Measurement(f"{name} at its best setting", ours, best, None, COMMAND, other_figure=best / ours)


def copy_both(stage: Stage, company: Company, organization: UUID) -> None:
    """Both sides at once, ordered, binary, to nowhere: what reading the bytes once costs."""
    columns = ", ".join(("id", *COMPARED))
    rows = f"SELECT {columns} FROM tasks WHERE organization_id = '{organization}'"  # noqa: S608  (our own values)
    sides = ((company.source_url, f"{rows} AND deleted_at IS NULL"), (company.index_url, rows))
    finish([stage.psql(url, f"COPY ({query} ORDER BY id) TO STDOUT (FORMAT binary)") for url, query in sides])
