"""Affected organizations for whoever is limited: the source is asked for theirs alone, and by whom is kept."""

from __future__ import annotations

import json

import pytest
import redis

from opsconsole import scope
from opsconsole.access import Role
from opsconsole.audit import Actor, Door
from opsconsole.scope import Scope
from sync.models import AffectedRow, QueryRun
from sync.operations.affected import AffectedQuery
from sync.operations.query_runs import start_run
from tests.affected import HOUR, hit_three, join
from tests.api.callers import token_of
from tests.company import Company, EstateWriter
from tests.hardened.doors import text_of
from tests.scopes.place import limited_person
from tests.web.test_routes import person

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records"]
ACTOR = Actor("lim", Door.PAGE)


def test_a_run_looks_for_nothing_outside_and_says_so(
    committed: None, company: Company, use_estate: EstateWriter
) -> None:
    first, second, _ = hit_three(company)
    held = Scope(frozenset({str(second)}))
    with scope.within(held):
        run = join(start_run(AffectedQuery(HOUR), {}, ACTOR))
        assert QueryRun.objects.filter(pk=run.pk).exists()
    assert (run.state, run.organizations, run.tasks_updated, run.within) == ("done", 1, 2, [str(second)])
    assert [row.organization_id for row in AffectedRow.objects.all()] == [str(second)]
    whole = join(start_run(AffectedQuery(HOUR), {}, ACTOR))
    assert (whole.organizations, whole.within) == (3, None)
    with scope.within(held):
        assert not QueryRun.objects.filter(pk=whole.pk).exists()
    with scope.within(Scope(frozenset({str(first), str(second)}))):
        assert QueryRun.objects.get() == run


@pytest.mark.django_db
def test_the_stream_has_what_is_seen(company: Company, use_estate: EstateWriter, queue: redis.Redis) -> None:
    """It is made while it is sent, when the request has been left."""
    _, second, _ = hit_three(company)
    asked = {"from": "2031-05-01 12:00:00", "to": "2031-05-01 13:00:00"}

    def found(text: str) -> list[str]:
        lines = [json.loads(line) for line in text.splitlines()]
        return [line["found"]["organization"] for line in lines if line.get("found")]

    limited = token_of(limited_person(organizations=[str(second)])).get("affected-organizations", asked)
    assert found(text_of(limited)) == [str(second)]
    everybody = token_of(person("vera", Role.VIEWER)).get("affected-organizations", asked)
    assert len(found(text_of(everybody))) == 3
