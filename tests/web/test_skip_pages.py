"""The skip list's pages: the list, putting on and taking off, the CSV out and in."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import escape
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponseBase
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from opsconsole.access import Role
from opsconsole.models import AuditEntry
from sync.models import SkippedOrganization
from tests.company import Company, EstateWriter
from tests.sync.jobs import make_job
from tests.web.sync_rows import HOSTILE, MOST_QUERIES, client_of

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _estate(use_estate: EstateWriter) -> None:
    """Every page of this file reads the test's own company."""


def entry(organization: object = "", **fields: Any) -> SkippedOrganization:
    values = {"organization_id": str(organization or uuid4()), "reason": "by_hand", "skipped_by": "tests"}
    return SkippedOrganization.objects.create(**(values | fields))


def exported(client: Client, query: str = "") -> str:
    response: Any = client.get(f"/sync/skipped/skip-list.csv{query}")
    assert response.status_code == 200
    return str(b"".join(response.streaming_content).decode())


def text_of(page: HttpResponseBase) -> str:
    content: Any = page
    return str(content.content.decode())


def hidden(page: HttpResponseBase, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text_of(page))
    assert found, name
    return found[1]


def test_open_ones_come_first_and_say_all_there_is() -> None:
    now = timezone.now()
    job, later = make_job(), make_job()
    old = entry(name=HOSTILE, note="=1+1\n<i>", job=job, skipped_at=now - timedelta(days=9), reason="looped")
    done = entry(name="Newer", resolved_at=now, resolved_by_job=later, resolution="Synced")
    text = client_of(Role.VIEWER).get("/sync/skipped/").content.decode()
    assert text.index(old.organization_id) < text.index(done.organization_id)
    for said in (escape(HOSTILE), "&lt;i&gt;", "Looped", f"/sync/jobs/{job.pk}/", f"By job {later.pk}"):
        assert said in text
    assert HOSTILE not in text
    assert 'method="post"' not in text.split("<main")[1].split("</main>")[0], "a viewer has nothing to change"


def test_filters_and_pages() -> None:
    now = timezone.now()
    mine = entry(reason="too_large")
    gone = entry(resolved_at=now)
    for number in range(30):
        entry(skipped_at=now - timedelta(minutes=number))
    client = client_of(Role.OPERATOR)
    ids: list[str] = []
    address = "/sync/skipped/?size=7"
    while address:
        text = client.get(address).content.decode()
        ids += re.findall(r'data-copy="s-([0-9a-f-]{36})"', text)
        following = re.search(r'href="(\?[^"]*cursor=[^"]*)"[^>]*rel="next"', text) or re.search(
            r'rel="next"[^>]*href="(\?[^"]*)"', text
        )
        address = f"/sync/skipped/{following[1].replace('&amp;', '&')}" if following else ""
    assert len(ids) == len(set(ids)) == 32
    assert ids[-1] == gone.organization_id
    for query, only in (
        ("state=resolved", gone),
        ("reason=too_large", mine),
        (f"organization=s-{mine.organization_id}", mine),
    ):
        text = client.get(f"/sync/skipped/?{query}").content.decode()
        assert re.findall(r'data-copy="s-([0-9a-f-]{36})"', text) == [only.organization_id], query
        assert exported(client, f"?{query}").count("\r\n") == 2
    bad = client.get("/sync/skipped/?organization=foo")
    assert bad.status_code == 400
    assert "is no UUID" in bad.content.decode()
    assert client.get("/sync/skipped/skip-list.csv?reason=x").status_code == 400


def test_put_on_the_list_twice_and_with_a_bad_id(company: Company) -> None:
    one = str(company.organizations()[0])
    client = client_of(Role.OPERATOR)
    sent = {"ids": f"s-{one}", "reason": "too_large", "note": "ask Ada"}
    assert "1 put on the skip list." in client.post("/sync/skipped/add/", sent, follow=True).content.decode()
    again = client.post("/sync/skipped/add/", sent, follow=True).content.decode()
    assert "0 put on the skip list; 1 were on it already" in again
    bad = client.post("/sync/skipped/add/", sent | {"ids": f"{one} foo<b>"})
    assert bad.status_code == 400
    assert "foo&lt;b&gt;" in bad.content.decode()
    assert "ask Ada" in bad.content.decode()
    assert SkippedOrganization.objects.count() == 1


def test_taking_off_asks_why_first() -> None:
    entries = [entry(name=f"Customer {number}") for number in range(3)]
    client = client_of(Role.OPERATOR)
    sent = {"selected": [str(one.pk) for one in entries[:2]] + ["x", "9" * 30]}
    asked = client.post("/sync/skipped/off/", sent)
    assert "Take 2 organizations off the skip list?" in asked.content.decode()
    assert SkippedOrganization.objects.open().count() == 3
    assert client.post("/sync/skipped/off/", sent | {"reason": " "}).status_code == 400
    done = client.post("/sync/skipped/off/", sent | {"reason": "it was fixed"}, follow=True)
    assert "2 taken off the skip list." in done.content.decode()
    assert SkippedOrganization.objects.open().count() == 1
    again = client.post("/sync/skipped/off/", sent | {"reason": "it was fixed"}, follow=True)
    assert "nothing was taken off" in again.content.decode()
    assert AuditEntry.objects.get(action="organizations.unskipped").reason == "it was fixed"


def test_ticked_entries_fill_the_form_of_a_window() -> None:
    one, other = entry(), entry()
    text = client_of(Role.OPERATOR).post("/sync/by-hand/windows/", {"selected": [one.pk]}).content.decode()
    assert f"s-{one.organization_id}</textarea>" in text
    assert other.organization_id not in text


def test_the_csv_is_safe_to_open_and_comes_back_as_nothing(company: Company) -> None:
    for organization, note in zip(company.organizations(), ("=1+1", "@x", "-2", "a\nb;c"), strict=False):
        entry(organization, note=note, name="=HYPERLINK()", skipped_by="+ada")
    client = client_of(Role.OPERATOR)
    text = exported(client)
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    page = client.post("/sync/skipped/import/", {"file": SimpleUploadedFile("list.csv", text.encode())})
    assert page.status_code == 200
    assert "Nothing would change" in page.content.decode()
    pasted = client.post("/sync/skipped/import/", {"text": text})
    assert "Nothing would change" in pasted.content.decode()


def test_import_is_previewed_then_applied_as_it_was_shown_once(company: Company) -> None:
    one, other = (str(key) for key in company.organizations()[:2])
    entry(one, note="old")
    client = client_of(Role.OPERATOR)
    text = f"organization_id,reason,note\ns-{one},looped,<b>new\n{other},,=fresh\n"
    page = client.post("/sync/skipped/import/", {"text": text})
    shown = page.content.decode()
    assert "Import 2 changes" in shown
    assert "&lt;b&gt;new" in shown
    assert SkippedOrganization.objects.count() == 1
    sent = {"text": text.replace("\n", "\r\n"), "digest": hidden(page, "digest"), "reason": "spring cleaning"}
    assert client.post("/sync/skipped/import/apply/", sent | {"reason": ""}).status_code == 400
    done = client.post("/sync/skipped/import/apply/", sent, follow=True)
    assert "Imported: 1 new, 1 changed, 0 unchanged." in done.content.decode()
    notes = dict(SkippedOrganization.objects.values_list("organization_id", "note"))
    assert notes == {one: "<b>new", other: "=fresh"}
    again = client.post("/sync/skipped/import/apply/", sent)
    assert again.status_code == 400
    assert "changed since the preview" in again.content.decode()
    assert AuditEntry.objects.get(action="skip_list.imported").reason == "spring cleaning"


def test_another_list_than_was_previewed_is_not_imported(company: Company) -> None:
    one = str(company.organizations()[0])
    kept = entry(one, note="old")
    client = client_of(Role.OPERATOR)
    text = f"organization_id,note\n{one},new\n"
    digest = hidden(client.post("/sync/skipped/import/", {"text": text}), "digest")
    SkippedOrganization.objects.filter(pk=kept.pk).update(note="meanwhile")
    sent = {"text": text, "digest": digest, "reason": "x"}
    changed = client.post("/sync/skipped/import/apply/", sent)
    assert "changed since the preview" in changed.content.decode()
    assert "meanwhile" in changed.content.decode()
    kept.refresh_from_db()
    assert kept.note == "meanwhile"
    client.post("/sync/skipped/import/apply/", sent | {"digest": hidden(changed, "digest")})
    kept.refresh_from_db()
    assert kept.note == "new", "looked at again, it is done"


def test_wrong_rows_and_wrong_files_are_said_and_kept(company: Company) -> None:
    client = client_of(Role.OPERATOR)
    text = f"organization_id,reason\n{uuid4()},\nfoo<b>,\n{company.organizations()[0]},because\n"
    page = client.post("/sync/skipped/import/", {"text": text})
    shown = page.content.decode()
    assert "Nothing can be imported while rows are wrong" in shown
    for said in ("is not known to the source", "is no UUID", "allowed are looped", escape(text)):
        assert said in shown
    sent = {"text": text, "digest": hidden_or_nothing(page), "reason": "x"}
    assert client.post("/sync/skipped/import/apply/", sent).status_code == 400
    for wrong, said in (
        ({"text": ""}, "Choose a CSV file, or paste one."),
        ({"text": "a,b\n1,2"}, "No column has the organizations"),
        ({"file": SimpleUploadedFile("x.csv", b"\xff\xff")}, "is not UTF-8 text"),
    ):
        refused = client.post("/sync/skipped/import/", wrong)
        assert refused.status_code == 400
        assert said in refused.content.decode()
    assert not SkippedOrganization.objects.exists()


def hidden_or_nothing(page: HttpResponseBase) -> str:
    return hidden(page, "digest") if 'name="digest"' in text_of(page) else "0"


def test_query_budget(company: Company, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    for organization in company.organizations():
        entry(organization, job=make_job(), resolved_by_job=make_job(), resolved_at=timezone.now())
        entry(organization, job=make_job(organization_id=str(organization), state="done"))
    client = client_of(Role.OPERATOR)
    text = exported(client)
    for address in ("", "?state=open&reason=by_hand", "import/", "skip-list.csv"):
        with django_assert_max_num_queries(MOST_QUERIES):
            assert client.get(f"/sync/skipped/{address}").status_code == 200
    with django_assert_max_num_queries(MOST_QUERIES):
        client.post("/sync/skipped/import/", {"text": text})


def test_methods_and_permissions() -> None:
    one = entry()
    viewer, operator = client_of(Role.VIEWER), client_of(Role.OPERATOR)
    for address in ("add/", "off/", "import/apply/"):
        assert operator.get(f"/sync/skipped/{address}").status_code == 405
        assert viewer.post(f"/sync/skipped/{address}", {"selected": one.pk, "reason": "x"}).status_code == 403
    assert viewer.get("/sync/skipped/import/").status_code == 403
    assert viewer.get("/sync/skipped/skip-list.csv").status_code == 200
    assert operator.post("/sync/skipped/").status_code == 405
    assert SkippedOrganization.objects.open().count() == 1
