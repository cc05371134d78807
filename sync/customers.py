"""How an organization is shown: its id with the estate's prefix, and the link to the customer's own page."""

from __future__ import annotations

from urllib.parse import quote

from opsconsole import estate


def shown_id(organization_id: str) -> str:
    """The id as people know it. Raises EstateError."""
    return f"{estate.current().source.id_prefix}{organization_id}" if organization_id else ""


def customer_page(organization_id: str) -> str:
    """The address of the customer's page by the estate's link template; empty where it has none. Raises EstateError."""
    template = estate.current().source.organizations.link
    return template.replace("{id}", quote(organization_id, safe="")) if template and organization_id else ""
