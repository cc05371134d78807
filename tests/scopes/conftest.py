"""A company, two record sources over one odd table, and rows inside and outside of what somebody is limited to."""

from __future__ import annotations

import pytest
import redis

from tests.company import Company, EstateWriter
from tests.monitoring.files import Files, UseRecords
from tests.scopes.place import OTHER_SOURCE, SOURCE, Place, fill


@pytest.fixture
def place(
    company: Company, use_estate: EstateWriter, queue: redis.Redis, files: Files, use_records: UseRecords, db: None
) -> Place:
    use_records(files.source(name=SOURCE, label="Uploads"), files.source(name=OTHER_SOURCE, label="Exports"))
    return fill(company, files)
