"""Groups of an installation's own, made in the administration of the console's permissions."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client

from opsconsole.access import Role, declared_permissions
from opsconsole.models import AuditEntry
from tests.web.test_routes import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator() -> Client:
    client = Client()
    client.force_login(person("root", Role.ADMINISTRATOR, is_staff=True))
    return client


def test_a_group_of_ones_own_gives_what_it_holds_and_no_more(administrator: Client) -> None:
    look, stage = (Permission.objects.get(codename=code) for code in ("view_job", "stage_organizations"))
    made = administrator.post("/admin/auth/group/add/", {"name": "night shift", "permissions": [look.pk, stage.pk]})
    assert made.status_code == 302
    vera = person("vera", None)
    vera.groups.add(Group.objects.get(name="night shift"))
    client = Client()
    client.force_login(vera)
    assert client.get("/sync/staged/").status_code == 200
    assert client.get("/sync/batches/new/").status_code == 403
    assert AuditEntry.objects.get(action="group.added").actor == "root"


def test_only_the_consoles_own_permissions_are_offered(administrator: Client) -> None:
    page = administrator.get("/admin/auth/group/add/")
    offered = {
        f"{one.content_type.app_label}.{one.codename}"
        for one in page.context["adminform"].form.fields["permissions"].queryset
    }
    assert offered == {one.name for one in declared_permissions()}
    superuser_only = Permission.objects.get(codename="delete_session")
    refused = administrator.post("/admin/auth/group/add/", {"name": "x", "permissions": [superuser_only.pk]})
    assert (refused.status_code, Group.objects.filter(name="x").exists()) == (200, False)


def test_the_roles_themselves_are_not_changed(administrator: Client) -> None:
    role = Group.objects.get(name=Role.VIEWER.value)
    assert administrator.post(f"/admin/auth/group/{role.pk}/change/", {"name": "viewer"}).status_code == 403
    assert administrator.post(f"/admin/auth/group/{role.pk}/delete/", {"post": "yes"}).status_code == 403
