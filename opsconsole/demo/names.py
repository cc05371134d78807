"""Made-up names: organizations that could exist, and tasks that somebody could have written."""

from __future__ import annotations

from itertools import product
from random import Random

FIRST = (
    "Alder", "Amber", "Anchor", "Ashgrove", "Beacon", "Birchwood", "Bluewater", "Brightside", "Calder", "Cedar",
    "Copper", "Crestline", "Dovetail", "Eastgate", "Fairfield", "Foxglove", "Granite", "Greystone", "Harbour",
    "Hawthorn", "Highfield", "Ironbridge", "Juniper", "Kestrel", "Lakeshore", "Larkspur", "Lindenhof", "Marlow",
    "Meridian", "Millstone", "Northwind", "Oakridge", "Orchard", "Pinewood", "Quayside", "Redwood", "Riverbank",
    "Rowan", "Saltmarsh", "Silverdale", "Southbank", "Stonefield", "Sycamore", "Thistle", "Tidewater", "Umber",
    "Valley", "Westbrook", "Willow", "Yarrow",
)  # fmt: skip
SECOND = (
    "Accounting", "Architects", "Bakery Group", "Builders", "Care Homes", "Clinics", "Consulting", "Dental",
    "Electrical", "Energy", "Engineering", "Estates", "Events", "Facilities", "Foods", "Freight", "Garden Centres",
    "Housing", "Insurance", "Interiors", "Law", "Logistics", "Media", "Nurseries", "Optics", "Pharmacy", "Plumbing",
    "Printing", "Property", "Recruitment", "Roofing", "School Trust", "Security", "Software", "Surveyors",
    "Textiles", "Training", "Travel", "Veterinary", "Workshops",
)  # fmt: skip
VERBS = (
    "Call back about", "Check", "Approve", "Prepare", "Send", "File", "Review", "Chase", "Update", "Sign off",
    "Renew", "Reconcile", "Schedule", "Confirm", "Archive", "Translate", "Inspect", "Order parts for",
)  # fmt: skip
THINGS = (
    "the invoice", "the site visit", "the annual report", "the insurance claim", "the delivery note", "the rota",
    "the contract", "the safety inspection", "the quote", "the onboarding pack", "the budget", "the lease",
    "the audit", "the complaint", "the grant application", "the stock count", "the newsletter", "the fire drill",
    "the boiler service", "the price list", "the payroll run", "the board papers",
)  # fmt: skip


def organization_names(rng: Random, count: int) -> list[str]:
    """`count` different names; beyond 2,000 they are numbered."""
    names = [f"{first} {second}" for first, second in product(FIRST, SECOND)]
    rng.shuffle(names)
    rounds = (f"{name} {number}" for number in range(2, count // len(names) + 3) for name in names)
    return [*names[:count], *(next(rounds) for _ in range(count - len(names)))]


def task_titles() -> list[str]:
    """Beginnings of titles; a task adds its own number."""
    return [f"{verb} {thing}" for verb, thing in product(VERBS, THINGS)]
