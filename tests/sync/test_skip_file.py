"""The skip list as a CSV: what is written comes back, and what is wrong is named by its line."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsconsole.csvfile import csv_lines
from opsconsole.errors import UsageError
from opsconsole.keys import KeyKind
from sync.models import SkippedOrganization, SkipReason
from sync.operations.ids import IdRules, Subject
from sync.operations.skipfile import COLUMNS, cells_of, read_skip_file
from sync.operations.skiplist import tidy_note

RULES = IdRules(Subject.ORGANIZATIONS, KeyKind.UUID, prefix="s-", column="organization_id")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
ONE, OTHER = str(UUID(int=1)), str(UUID(int=2))

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00␊␍"), max_size=40
) | st.sampled_from(["=1+1", "'=x", "@a", "-1", "\tx", "+", '"', "a,b;c\nd", "=HYPERLINK(\"x\")"])  # fmt: skip
people = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20) | st.sampled_from(["=ada", "'-x"])
entries = st.builds(
    SkippedOrganization,
    organization_id=st.uuids().map(str),
    name=texts,
    reason=st.sampled_from(SkipReason.values),
    job_id=st.none() | st.integers(1, 10**12),
    note=texts.map(tidy_note),
    skipped_by=people,
    skipped_at=st.datetimes(datetime(2000, 1, 1), NOW.replace(tzinfo=None), timezones=st.just(UTC)),  # noqa: DTZ001
)


def written(rows: list[SkippedOrganization]) -> str:
    return "".join(csv_lines(tuple(COLUMNS), (cells_of(row, "s-") for row in rows)))


@given(st.lists(entries, max_size=8, unique_by=lambda entry: entry.organization_id))
def test_what_is_written_comes_back_and_runs_in_no_spreadsheet(made: list[SkippedOrganization]) -> None:
    text = written(made)
    for cells in csv.reader(io.StringIO(text, newline="")):
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    for given_text in (text, text.replace("\r\n", "\n")):
        read = read_skip_file(given_text, RULES, NOW)
        assert read.errors == ()
        assert [(row.organization_id, row.reason, row.job or None, row.note, row.skipped_by, row.skipped_at)
                for row in read.rows] == [
            (one.organization_id, one.reason, one.job_id, one.note, one.skipped_by.strip(), one.skipped_at)
            for one in made
        ]  # fmt: skip


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "\ufeff", "sep=\n"])
def test_separators_marks_and_other_names_of_the_column(separator: str, head: str) -> None:
    head = head.replace("sep=", f"sep={separator}")
    read = read_skip_file(f"{head}Org ID{separator}Reason\ns-{ONE}{separator}Too large\n\n", RULES, NOW)
    assert [(row.organization_id, row.reason, row.note) for row in read.rows] == [(ONE, SkipReason.TOO_LARGE, None)]
    assert read.errors == ()


def test_each_wrong_row_is_named_by_the_line_it_begins_on() -> None:
    text = (
        "organization_id,reason,job,note,skipped_by,skipped_at\n"
        f'{ONE},,,"two\nlines",,\n'
        f"{ONE},,,,,\n"
        "foo,,,,,\n"
        f"{OTHER},because,,,,\n"
        f"{OTHER},,minus one,,,\n"
        f"{OTHER},,,,,yesterday\n"
        f"{OTHER},,,,,{(NOW + timedelta(days=1)).isoformat()}\n"
        f"{OTHER},,,\n"
    )
    read = read_skip_file(text, RULES, NOW)
    assert [row.line for row in read.rows] == [2]
    said = {error.line: error.why for error in read.errors}
    assert "on line 2 already" in said[4]
    assert "is no UUID" in said[5]
    assert "allowed are looped" in said[6]
    assert "has the job 'minus one'" in said[7]
    assert "is no time" in said[8]
    assert "has not come yet" in said[9]
    assert "has 4 cells where the first line has 6" in said[10]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing in it"),
        ("a,b\n1,2\n", "No column has the organizations"),
        ("organization_id,reson\n", "'reson' is not known"),
        ("organization_id,note,note\n", "'note' is there twice"),
        (f'organization_id,note\n{ONE},"open\n', "no CSV that can be read"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_skip_file(text, RULES, NOW)


def test_resolved_rows_are_history() -> None:
    read = read_skip_file(f"organization_id,resolved_at\n{ONE},2026-01-01\n{ONE},2026-02-01\n{ONE},\n", RULES, NOW)
    assert [row.resolved for row in read.rows] == [True, True, False]
    assert read.errors == ()
