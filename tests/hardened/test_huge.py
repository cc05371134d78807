"""10 MB where a door takes text from outside: refused with a sentence, or cut so that one sees it."""

from __future__ import annotations

from io import BytesIO

import pytest
from django.test import Client
from django.urls import reverse

from monitoring.schedules.models import BODY_BYTES, Monitor
from opsconsole import estate
from sync.source import LONGEST_NAME, Source
from tests.hardened.doors import LARGEST_PAGE, client_of, text_of
from tests.hardened.place import Place
from tests.hardened.strings import HUGE

pytest_plugins = ["tests.fixtures_sync", "tests.fixtures_records", "tests.fixtures_abandonment"]

FORMS: dict[str, dict[str, object]] = {
    "sync:ids": {"of": "organizations", "to": "csv"},
    "sync:skip_import": {"text": ""},
}


def test_a_ping_keeps_the_beginning_of_its_body(hostile: Place) -> None:
    monitor = Monitor.objects.get(pk=hostile.scene.monitor)
    answer = Client().post(f"/ping/{monitor.code}", HUGE, content_type="text/plain")
    assert answer.status_code == 200
    assert len(monitor.pings.latest("pk").body) == BODY_BYTES


def test_a_form_is_refused_with_what_is_allowed(hostile: Place) -> None:
    answer = client_of("operator").post(reverse("sync:ids"), {"text": HUGE})
    assert answer.status_code == 413
    assert "larger than the 8 MiB" in text_of(answer)


def test_more_fields_than_a_form_has(hostile: Place) -> None:
    answer = client_of("operator").post(reverse("sync:ids"), {"selected": [str(number) for number in range(1_100)]})
    assert answer.status_code == 400
    assert "more than the 1,000 fields" in text_of(answer)


@pytest.mark.parametrize("route", sorted(FORMS))
def test_a_file_is_refused_with_what_is_allowed(route: str, hostile: Place) -> None:
    file = BytesIO(HUGE.encode() * 3)
    file.name = "ids.csv"
    answer = client_of("administrator").post(reverse(route), FORMS[route] | {"file": file})
    text = text_of(answer)
    assert answer.status_code == 400, text[-1_500:]
    assert "allowed are" in text
    assert len(text) < LARGEST_PAGE


def test_a_name_is_cut_where_it_is_read(hostile: Place) -> None:
    with Source(estate.current().source) as source:
        found = source.organization_names([hostile.long_name])
    assert found == {hostile.long_name: HUGE[: LONGEST_NAME - 1] + "…"}
