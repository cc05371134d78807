"""Ids in any shape: whatever way a list is written, the same list comes back; what is wrong is told by its line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opsconsole.errors import UsageError
from opsconsole.keys import Key, KeyKind
from sync.operations.ids import (
    MOST_CHARACTERS,
    AmbiguousColumnError,
    IdReport,
    IdRules,
    Output,
    Subject,
    decode,
    read_ids,
    render,
    require_keys,
)
from tests.sync import id_texts

ROOT = Path(__file__).resolve().parents[2]
LINK = "https://app.example.com/org/{id}"
UUIDS = IdRules(Subject.ORGANIZATIONS, KeyKind.UUID, "s-", LINK, "account_ref")
TASKS = IdRules(Subject.TASKS, KeyKind.UUID, "s-")
INTEGERS = IdRules(Subject.ORGANIZATIONS, KeyKind.INTEGER, "s-")
TEXTS = IdRules(Subject.ORGANIZATIONS, KeyKind.TEXT, "s-", LINK)
A, B, C = (UUID(f"{digit * 8}-0123-4567-8901-{digit * 12}") for digit in "abc")

many = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def wrong(report: IdReport) -> list[tuple[int, str]]:
    return [(bad.line, bad.text) for bad in report.malformed]


@many
@given(data=st.data(), of=id_texts.rules)
def test_any_list_in_any_shape_comes_back_equal(data: st.DataObject, of: IdRules) -> None:
    keys = data.draw(id_texts.key_lists(of))
    text, shape = data.draw(id_texts.texts(of, keys))
    report = read_ids(text, of)
    assert (report.keys, report.malformed, report.duplicates) == (tuple(keys), (), 0)
    assert report.shape is shape or "[" in text  # a list in brackets may be JSON as well


@many
@given(data=st.data(), of=id_texts.rules, to=st.sampled_from(Output))
def test_what_is_written_is_read_back(data: st.DataObject, of: IdRules, to: Output) -> None:
    keys = data.draw(id_texts.key_lists(of, max_size=40))
    assert read_ids(render(keys, to, of), of).keys == tuple(keys)


@many
@given(data=st.data(), of=id_texts.rules)
def test_duplicates_are_counted_and_the_first_keeps_its_place(data: st.DataObject, of: IdRules) -> None:
    keys = data.draw(id_texts.key_lists(of))
    again = data.draw(st.lists(st.sampled_from(keys), max_size=10))
    text, _ = data.draw(id_texts.texts(of, [*keys, *again]))
    report = read_ids(text, of)
    assert (report.keys, report.duplicates) == (tuple(keys), len(again))


@many
@given(lines=st.lists(st.sampled_from(["", str(A), f"s-{B.hex}", "nonsense", "'12', zzz"]), max_size=30))
def test_each_malformed_word_is_told_with_its_line(lines: list[str]) -> None:
    bad = {"nonsense": ["nonsense"], "'12', zzz": ["12", "zzz"]}
    expected = [(number, word) for number, line in enumerate(lines, 1) for word in bad.get(line, [])]
    for end in ("\n", "\r\n", "\r"):
        assert wrong(read_ids(end.join(lines), UUIDS)) == expected
    assert wrong(read_ids(lines, UUIDS)) == expected


@many
@given(text=st.text(max_size=200) | st.text("[]{}\"',:;\n0aid_ \t|-()=\\?#/", max_size=60), of=id_texts.rules)
def test_any_text_is_read_or_refused_in_a_sentence(text: str, of: IdRules) -> None:
    try:
        report = read_ids(text, of)
    except UsageError:
        return  # any other error fails the test
    assert len(report.keys) == len(set(report.keys)) == len(report.lines)
    assert list(report.lines) == sorted(report.lines)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f'id,name\n{A},Acme\n\nbad,"two\nlines"\n{B},x\n,y\n', [(4, "bad"), (7, "")]),
        (f" id | name\n----+-----\n {A} | x\n bad | y\n(2 rows)\n", [(4, "bad")]),
        (f"sep=;\r\nid;name\r\n{A};Acme\r\nbad;x\r\n", [(4, "bad")]),
        (f'[\n "{A}",\n 5, null,\n {{"name":\n "x"}}]', [(3, "5"), (3, "null"), (4, '{"name":\n "x"}')]),
        (f"id IN (\n '{A}'::uuid,\n 'bad'\n);", [(3, "bad")]),
        (f"{A}\nhttps://elsewhere.example.com/org/{B}", [(2, f"https://elsewhere.example.com/org/{B}")]),
        (f"name,id\nAcme,{A}\nBeta\n", [(3, "Beta")]),
    ],
)
def test_the_lines_of_what_is_malformed(text: str, lines: list[tuple[int, str]]) -> None:
    assert wrong(read_ids(text, UUIDS)) == lines


@pytest.mark.parametrize(
    ("text", "of", "column", "found"),
    [
        (f"id,organization_id\n{B},{A}\n", UUIDS, "", "organization_id"),
        (f"id,organization_id\n{A},{B}\n", TASKS, "", "id"),
        (f"organization,uuid\nAcme,{A}\n", UUIDS, "", "uuid"),
        (f"Account-Ref;id\n{A};{B}\n", UUIDS, "", "Account-Ref"),
        (f"customer\tcreated\n{A}\t2026-01-01\n", UUIDS, "", "customer"),
        (f"user,batch\n{B},{A}\n", UUIDS, "BATCH", "BATCH"),
        (f"user,batch\n{B},{A}\n", UUIDS, "2", "batch"),
        (f"{B},{A}\n", UUIDS, "2", "2"),
        (f"id,id\n{B},{A}\n", UUIDS, "2", "id"),
        (f'[{{"id": "{B}", "batch": "{A}"}}]', UUIDS, "batch", "batch"),
    ],
)
def test_the_column_is_found_by_name_by_content_or_as_told(text: str, of: IdRules, column: str, found: str) -> None:
    report = read_ids(text, of, column=column)
    assert (report.keys, report.column.lower()) == ((A,), found.lower())


@pytest.mark.parametrize(
    ("text", "of", "columns"),
    [
        (f"user,batch\n{A},{B}\n", UUIDS, ("user", "batch")),
        (f"org_id,organization_id\n{A},{B}\n", UUIDS, ("org_id", "organization_id")),
        ("customer,updates\n17,3\n", INTEGERS, ("customer", "updates")),
        ("name,updates\nAcme,3\n", INTEGERS, ("name", "updates")),
        (f"organization_id,name\n{A},Acme\n", TASKS, ("organization_id", "name")),
    ],
)
def test_a_column_that_could_be_another_is_asked_for(text: str, of: IdRules, columns: tuple[str, ...]) -> None:
    with pytest.raises(AmbiguousColumnError, match=columns[1]) as caught:
        read_ids(text, of)
    assert caught.value.columns == columns


def test_a_column_that_is_not_there_is_told() -> None:
    for text in (f"{A}", f"id,name\n{A},x"):
        with pytest.raises(UsageError, match="There is no column 'batch'; the first line is"):
            read_ids(text, UUIDS, column="batch")
    report = read_ids(f'[{{"id": "{A}"}}]', UUIDS, column="batch")
    assert [bad.why for bad in report.malformed] == ["has no key 'batch'"]


def test_a_broken_first_id_is_no_header() -> None:
    assert wrong(read_ids(f"{str(A)[:-1]}\n{B}\n", UUIDS)) == [(1, str(A)[:-1])]
    assert wrong(read_ids(f"{str(A)[:-1]},{str(B)[:-1]}\n{B},{C}\n", UUIDS)) == [(1, str(A)[:-1]), (1, str(B)[:-1])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 1_000_000, "nested too deeply"),
        ('{"a":' * 1_000_000, "nested too deeply"),
        ('[{"id": ', "no valid JSON: line 1"),
        (f'id,name\n{A},"Acme\n{B},x\n', "Line 2 cannot be read as CSV"),
        (f"id,name\n{A},{'x' * 200_000}\n", "Line 2 cannot be read as CSV: field larger"),
        ("x" * (MOST_CHARACTERS + 1), "longer than 20 MB"),
        (" ".join(str(number) for number in range(100_001)), "more than 100,000 different ids"),
        ("q " * 5_000_000, "more than 500,000 words"),
    ],
    ids=["array", "object", "cut", "quotes", "cell", "size", "ids", "words"],
)
def test_what_cannot_be_read_is_told_in_one_sentence(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        read_ids(text, INTEGERS if text.startswith("0") else UUIDS)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("of", [UUIDS, INTEGERS, TEXTS], ids=lambda of: of.kind.value)
@pytest.mark.parametrize("word", ["x" * 10_000_000, "\x00\x1b[31m" * 1000, "'" + "\x07" * 5_000_000])
def test_a_hostile_line_is_one_short_malformed_word(of: IdRules, word: str) -> None:
    report = read_ids(f"{word}\n", of)
    assert report.malformed
    assert report.malformed[0].line == 1
    assert len(report.malformed[0].sentence) < 500


def test_long_runs_of_signs_take_no_long_time() -> None:
    for text in (
        '"' * 3_000_001,
        "' " * 400_000,
        "https://x?" + "," * 3_000_000,
        "(" * 3_000_000,
        " " * 3_000_000 + "x",
    ):
        for of in (UUIDS, TEXTS):
            assert read_ids(text, of).duplicates <= len(text)  # quadratic work would run into the time limit


def test_at_most_a_thousand_malformed_words_are_kept_and_all_are_counted() -> None:
    report = read_ids("bad\n" * 1_500, UUIDS)
    assert (len(report.malformed), report.malformed_total) == (1_000, 1_500)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (Output.BARE, f"{A}\n{B}"),
        (Output.PREFIXED, f"s-{A},s-{B}"),
        (Output.QUOTED, f"'s-{A}','s-{B}'"),
        (Output.SQL, f"('{A}', '{B}')"),
        (Output.CSV, f"organization_id\ns-{A}\ns-{B}"),
    ],
)
def test_the_shapes_that_are_given_back(to: Output, expected: str) -> None:
    assert render([A, B], to, UUIDS) == expected


@pytest.mark.parametrize(
    ("keys", "to", "expected"),
    [
        ([1, -2], Output.SQL, "(1, -2)"),
        ([], Output.SQL, "(NULL)"),
        ([], Output.BARE, ""),
        (["O'Brien'); DROP TABLE x; --", "\\"], Output.SQL, "('O''Brien''); DROP TABLE x; --', '\\')"),
        (["a b", 'c"d', "e"], Output.BARE, '"a b"\n"c""d"\ne'),
    ],
)
def test_values_of_other_kinds_are_written_safely(keys: list[Key], to: Output, expected: str) -> None:
    assert render(keys, to, IdRules(Subject.TASKS, KeyKind.TEXT)) == expected


@pytest.mark.parametrize("key", ["=1+1", "+x", "-x", "@x", "'=x", "\uff1dx"])
def test_no_cell_of_the_csv_is_a_formula(key: str) -> None:
    bare = IdRules(Subject.TASKS, KeyKind.TEXT)
    written = render([key], Output.CSV, bare)
    assert written.split("\n")[1].startswith("'")
    assert read_ids(written, bare).keys == (key,)
    assert render([-5], Output.CSV, bare).split("\n")[1] == "-5"


def test_a_file_of_a_spreadsheet_is_decoded() -> None:
    text = f"id\r\n{A}\r\n"
    for data in (text.encode("utf-8-sig"), text.encode("utf-16"), text.encode()):
        assert read_ids(decode(data, KeyKind.TEXT), UUIDS).keys == (A,)
    umlaut = f"id;name\n{A};M\u00fcller\n".encode("cp1252")
    assert read_ids(decode(umlaut, KeyKind.UUID), UUIDS).keys == (A,)
    with pytest.raises(UsageError, match="not UTF-8 text"):
        decode(umlaut, KeyKind.TEXT)


def test_all_or_nothing_for_those_who_act_on_the_ids() -> None:
    assert require_keys([f"{LINK.replace('{id}', str(A))}?tab=2", f"s-{B}"], UUIDS) == (A, B)
    with pytest.raises(UsageError, match=r"line 2: 'bad' is no UUID.*Nothing was done\."):
        require_keys([str(A), "bad"], UUIDS)
    with pytest.raises(UsageError, match="No task ids were given"):
        require_keys("", TASKS)


def test_the_reader_runs_without_django() -> None:
    program = (
        "import sys; sys.modules['django'] = None\n"
        "from sync.operations.ids import IdRules, Output, Subject, read_ids, render\n"
        "from opsconsole.keys import KeyKind\n"
        "rules = IdRules(Subject.TASKS, KeyKind.INTEGER)\n"
        "print(render(read_ids('3;1', rules).keys, Output.SQL, rules))"
    )
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "(3, 1)\n"
