"""Limits: the estate's defaults, and what an administrator sets instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.pipeline import limits
from monitoring.pipeline.forms import field_name, typed_value
from monitoring.pipeline.limits import LIMITS, applied, value_of
from monitoring.pipeline.models import ChangedLimit
from opsconsole.access import Role
from opsconsole.estate import units
from opsconsole.estate.model import Pipeline
from opsconsole.models import AuditEntry
from tests.web.sync_rows import client_of

pytest_plugins = ["tests.fixtures_sync"]

ADDRESS = "/pipeline/limits/"


@given(st.data())
def test_every_limit_can_be_changed_alone(data: st.DataObject) -> None:
    limit = data.draw(st.sampled_from(LIMITS))
    value = float(data.draw(st.integers(int(limit.minimum), int(limit.maximum))))
    changed = applied(Pipeline(), {limit.name: value})
    assert value_of(changed, limit.name) == value
    others = [one.name for one in LIMITS if one is not limit]
    assert [value_of(changed, name) for name in others] == [value_of(Pipeline(), name) for name in others]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_default_reads_as_it_is_written(limit: limits.Limit) -> None:
    value = value_of(Pipeline(), limit.name)
    text = typed_value(limit, value)
    assert (units.seconds(text) if limit.unit == "duration" else float(text)) == value


@pytest.mark.usefixtures("committed", "use_estate")
class TestPage:
    def form(self, **changes: str) -> dict[str, str]:
        now = limits.current()
        return (
            {field_name(one): typed_value(one, value_of(now, one.name)) for one in LIMITS} | {"reason": "r"} | changes
        )

    def test_change_and_back(self) -> None:
        client = client_of(Role.ADMINISTRATOR)
        assert client.get(ADDRESS).status_code == 200
        assert client.post(ADDRESS, self.form(high__age="90s", lag_limit="7")).status_code == 302
        assert (limits.current().high.age, limits.current().lag_limit) == (90.0, 7)
        (entry,) = AuditEntry.objects.filter(action="pipeline.limits_changed")
        assert entry.before == {"high.age": None, "lag_limit": None}
        assert entry.after == {"high.age": 90.0, "lag_limit": 7.0}
        client.post(ADDRESS, self.form(high__age="", lag_limit="10000"))
        assert limits.current() == Pipeline()
        assert not ChangedLimit.objects.exists()

    def test_nothing_changed_is_no_act(self) -> None:
        client_of(Role.ADMINISTRATOR).post(ADDRESS, self.form())
        assert not AuditEntry.objects.filter(action="pipeline.limits_changed").exists()

    @pytest.mark.parametrize(
        ("field", "text", "said"),
        [("high__age", "soon", "cannot be used"), ("high__age", "0s", "out of bounds"), ("lag_limit", "-1", "out of")],
    )
    def test_mistakes_are_named(self, field: str, text: str, said: str) -> None:
        answer = client_of(Role.ADMINISTRATOR).post(ADDRESS, self.form(**{field: text}))
        assert answer.status_code == 400
        assert said in answer.content.decode()

    def test_an_operator_may_not(self) -> None:
        assert client_of(Role.OPERATOR).get(ADDRESS).status_code == 403
