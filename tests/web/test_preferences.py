"""What somebody likes is their own: a zone, and lists as they want to see them again."""

from __future__ import annotations

import pytest

from opsconsole.access import Role
from opsconsole.models import AuditEntry, SavedFilter, User
from opsconsole.preferences import MOST_FILTERS
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytestmark = pytest.mark.django_db
JOBS = "/sync/jobs/"


def test_a_zone_is_kept_and_told_to_the_page() -> None:
    client = client_of(Role.VIEWER)
    assert "data-zone" not in client.get(JOBS).content.decode()
    assert client.post("/account/preferences/", {"zone": "europe/paris"}).status_code == 302
    assert '<html lang="en" data-zone="Europe/Paris">' in client.get(JOBS).content.decode()
    assert AuditEntry.objects.get(action="person.zone_changed").details == {"zone": "Europe/Paris"}
    assert client.post("/account/preferences/", {"zone": ""}).status_code == 302
    assert "data-zone" not in client.get(JOBS).content.decode()


def test_what_is_no_zone_is_refused_and_kept_typed() -> None:
    client = client_of(Role.VIEWER)
    refused = client.post("/account/preferences/", {"zone": "Mars/<b>"})
    text = refused.content.decode()
    assert refused.status_code == 400
    assert "Mars/&lt;b&gt;" in text
    assert "is no time zone; allowed are names as Europe/Paris" in text
    assert "data-zone" not in text


def test_a_filter_is_kept_shown_replaced_and_removed() -> None:
    client = client_of(Role.VIEWER)
    asked = {"page": JOBS, "name": HOSTILE, "query": "state=looping&cursor=x&size=10"}
    assert client.post("/account/filters/save/", asked).headers["Location"] == f"{JOBS}?state=looping"
    text = client.get(f"{JOBS}?state=looping&batch=").content.decode()
    assert f'href="{JOBS}?state=looping" aria-current="page">&lt;script&gt;' in text
    assert 'name="query" value="state=looping"' in text
    client.post("/account/filters/save/", asked | {"query": "state=failed"})
    assert SavedFilter.objects.get().query == "state=failed"
    saved = SavedFilter.objects.get()
    other = client_of(Role.OPERATOR)
    assert "&lt;script&gt;" not in other.get(JOBS).content.decode()
    assert other.post(f"/account/filters/{saved.pk}/remove/").status_code == 404
    assert client.post(f"/account/filters/{saved.pk}/remove/").status_code == 302
    assert not SavedFilter.objects.exists()
    acts = AuditEntry.objects.filter(action__startswith="filter.").order_by("pk")
    assert list(acts.values_list("action", flat=True)) == [
        "filter.saved",
        "filter.saved",
        "filter.removed",
    ]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"page": "//elsewhere.example/"}, "is no page of the console"),
        ({"page": "https://elsewhere.example/"}, "is no page of the console"),
        ({"page": "/nowhere/"}, "is no page of the console"),
        ({"query": "cursor=x"}, "Nothing is asked of the list"),
        ({"name": ""}, "Give it a name."),
        ({"query": "a" * 2_001}, "at most 2000 characters"),
    ],
)
def test_what_cannot_be_kept(wrong: dict[str, str], sentence: str) -> None:
    asked = {"page": JOBS, "name": "mine", "query": "state=done"} | wrong
    refused = client_of(Role.VIEWER).post("/account/filters/save/", asked)
    assert refused.status_code == 400
    assert sentence in refused.content.decode()
    assert not SavedFilter.objects.exists()


def test_nobody_keeps_more_than_enough(django_assert_max_num_queries: pytest.FixtureRequest) -> None:
    client = client_of(Role.VIEWER)
    person = User.objects.get(username="a-viewer")
    SavedFilter.objects.bulk_create(
        SavedFilter(owner=person, page=JOBS, name=str(number), query="state=done") for number in range(MOST_FILTERS)
    )
    asked = {"page": JOBS, "name": "more", "query": "state=done"}
    assert f"{MOST_FILTERS} filters are kept" in client.post("/account/filters/save/", asked).content.decode()
    assert client.post("/account/filters/save/", asked | {"name": "7"}).status_code == 302
    with django_assert_max_num_queries(MOST_QUERIES):  # type: ignore[operator]
        client.get(JOBS)
