"""`manage.py estate check` of tracked tasks: columns, conditions, rights, and the role that disables."""

from __future__ import annotations

from dataclasses import replace

from opsconsole.estate.model import DisableWay, SqlStatements, TrackedSource
from sync.estate_check.result import Result, Status
from sync.estate_check.tracked import check_tracked_source
from tests.monitoring.abandonment.plane import Plane

pytest_plugins = ["tests.fixtures_abandonment"]


def found(source: TrackedSource) -> dict[str, Result]:
    return {result.name.removeprefix("tracked tasks live").strip(): result for result in check_tracked_source(source)}


def test_a_source_that_fits(plane: Plane) -> None:
    results = found(plane.source())
    assert {name for name, result in results.items() if result.status is Status.PROBLEM} == set()
    assert {"", "enabled", "has_shards", "protected", "meaning", "disable"} <= set(results)


def test_what_does_not_fit_is_named(plane: Plane) -> None:
    results = found(plane.source(owner="email", enabled="on_of = 'on'"))
    assert "column 'email' is not in it (nearest: 'mail')" in results[""].sentence
    results = found(plane.source(enabled="on_of = 'on'", last_data_at=""))
    assert results["enabled"].status is Status.PROBLEM
    assert "nothing is idle" in results["meaning"].sentence


def test_a_query_and_its_columns(plane: Plane) -> None:
    source = replace(
        plane.source(), table=None, query="SELECT 1 AS id, now() AS primary_at", last_healthy_at="primary_at"
    )
    results = found(source)
    assert "gives no column 'Id', 'Na\"me', 'kind'" in results[""].sentence
    assert "does not work" in found(replace(source, query="SELEC 1"))[""].sentence


def test_a_statement_that_does_not_work(plane: Plane) -> None:
    way = SqlStatements(plane.store.url, "UPDATE nowhere SET x = %(id)s", "SELECT %(id)s")
    result = found(plane.source(disable=DisableWay(sql=way)))["disable"]
    assert result.status is Status.PROBLEM
    assert '"nowhere" does not exist' in result.sentence
    away = SqlStatements("postgresql://nobody@127.0.0.1:1/none", "", "")
    assert "cannot be reached" in found(plane.source(disable=DisableWay(sql=away)))["disable"].sentence


def test_without_a_way_nothing_is_disabled(plane: Plane) -> None:
    assert found(plane.source(disable=None))["disable"].status is Status.WARNING
