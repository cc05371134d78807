"""The companies that several benchmarks share."""

from __future__ import annotations

from uuid import UUID

from benchmarks.stage import COMPARED, Company, Stage
from opsconsole.demo.sizes import Band, Layout

LARGEST, SMALL = 0, 4
"""Bands of `main_company`."""

LARGE_OF_MEMORY, SMALL_OF_MEMORY = 0, 1
"""Bands of `memory_company`."""


def main_company(stage: Stage) -> Company:
    """5,000,000 tasks: one organization of 2,000,000, a long tail, 2,000 of 50, and 9,000 without any.

    The index over (organization, id) covers what is compared.
    """
    bands = (
        Band(1, stage.scaled(2_000_000)),
        Band(10, stage.scaled(100_000)),
        Band(100, stage.scaled(10_000)),
        Band(900, stage.scaled(1_000)),
        Band(stage.scaled(2_000), 50),
        Band(9_000, 0),
    )
    return stage.company("main", Layout(bands, compared=COMPARED))


def memory_company(stage: Stage) -> Company:
    """Two organizations, of 5,000,000 tasks and of 200,000."""
    bands = (Band(1, stage.scaled(5_000_000)), Band(1, stage.scaled(200_000)))
    return stage.company("memory", Layout(bands, compared=COMPARED, seed=7))


def only_organization(company: Company, band: int) -> UUID:
    return company.layout.organization(company.layout.numbers(band)[0])
