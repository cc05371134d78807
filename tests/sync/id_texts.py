"""Lists of ids written down in every way people have them, for property tests."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

from hypothesis import strategies as st

from opsconsole.keys import LONGEST_TEXT_KEY, Key, KeyKind
from sync.operations.ids import IdRules, Output, Shape, Subject, render
from sync.operations.ids.columns import is_usual
from sync.operations.ids.words import link_pattern

PREFIXES = ("", "s-", "org_")
LINKS = (
    "",
    "https://app.example.com/org/{id}",
    "http://localhost:8000/#/accounts/{id}/overview",
    "https://crm.example.com/show?account={id}&tab=1",
    "https://{id}.example.com/",
)
LINK_ENDS = ("", "/", "?a=1&b=2,3", "#top", "/?q=x;y")
SEPARATORS = (",", ", ", ";", " ", "\t", "\n", "\r\n", "\r", " \u00a0", ",\n", " ; ", "\n\n")
QUOTES = ("", "'", '"', "`")
SPREADSHEET = "\ufeffsep=;\r\n"

rules = st.builds(
    IdRules,
    subject=st.sampled_from(Subject),
    kind=st.sampled_from(KeyKind),
    prefix=st.sampled_from(PREFIXES),
    link=st.sampled_from(LINKS),
    column=st.sampled_from(["", "account no."]),
)


def key_lists(of: IdRules, max_size: int = 12) -> st.SearchStrategy[list[Key]]:
    return st.lists(keys(of), min_size=1, max_size=max_size, unique=True)


def keys(of: IdRules) -> st.SearchStrategy[Key]:
    match of.kind:
        case KeyKind.UUID:
            return st.uuids()
        case KeyKind.INTEGER:
            return st.integers(-(2**63), 2**63 - 1)
        case KeyKind.TEXT:
            text = st.text(min_size=1, max_size=20) | st.text("ab,;'\"` ()[]{}=-@s/?#%:", min_size=1, max_size=8)
            return text.filter(lambda key: is_distinct(key, of))


def is_distinct(key: str, of: IdRules) -> bool:
    """Is it a text key that can be told from the notation around it? The reader says what cannot."""
    return (
        key.isprintable()
        and key == key.strip()
        and len(key) <= LONGEST_TEXT_KEY
        and not (of.prefix and key.startswith(of.prefix))
        and not is_usual(key, of)
        and not is_usual(f"{of.prefix}{key}", of)
        and not (of.link and link_pattern(of.link).fullmatch(key))
    )


@st.composite
def texts(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    """`given` in some shape, and which shape that is."""
    writer = draw(st.sampled_from([loose_list, links, table, document, own_output]))
    return draw(writer(of, given))


@st.composite
def loose_list(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    """Every word with a separator, quotes and form of its own. A text key needs its quotes."""
    words = [spelled(draw, key, of) for key in given]
    text = words[0] + "".join(draw(st.sampled_from(SEPARATORS)) + word for word in words[1:])
    opening, closing = draw(st.sampled_from([("", ""), ("(", ")"), ("id IN (\n", "\n);"), ("[", "]"), ("{", " }\n")]))
    if opening == "[" and draw(st.booleans()):
        opening = " \n["
    before = draw(st.sampled_from(["", "\n", "\ufeff", "  \r\n"]))
    return before + opening + text + closing + draw(st.sampled_from(["", "\n", "\r\n"])), Shape.LIST


def spelled(draw: st.DrawFn, key: Key, of: IdRules) -> str:
    prefix = draw(st.sampled_from(["", of.prefix]))
    if of.kind is KeyKind.TEXT:
        own: str = draw(st.sampled_from(QUOTES[1:]))
        return own + f"{prefix}{key}".replace(own, own * 2) + own
    text = str(key)
    if of.kind is KeyKind.UUID:
        text = draw(st.sampled_from([text, text.replace("-", ""), text.upper()]))
    opening, closing = draw(st.sampled_from([*zip(QUOTES, QUOTES, strict=True), ("\u201c", "\u201d")]))
    return f"{opening}{prefix}{text}{closing}"


@st.composite
def links(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    """Pages as an address bar shows them; bare ids in an estate without pages."""
    if not of.link:
        return draw(loose_list(of, given))
    between = draw(st.sampled_from(["\n", " ", "\r\n", ", ", ",\n"]))
    addresses = []
    for key in given:
        address = of.link.replace("{id}", quote(draw(st.sampled_from(["", of.prefix])) + str(key), safe=""))
        addresses.append(address + draw(st.sampled_from(LINK_ENDS)))
    return between.join(addresses), Shape.LIST


@st.composite
def table(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    """A CSV with the id column among others, under one of its usual names."""
    own, other = ("organization_id", "task_id") if of.subject is Subject.ORGANIZATIONS else ("task_id", "Org ID")
    name = draw(st.sampled_from([own, own.upper(), own.replace("_", " "), "id", "UUID", of.column or "id"]))
    more = draw(st.lists(st.sampled_from(["name", "Count", "created at", other, ""]), unique=True, max_size=3))
    place = draw(st.integers(0, len(more)))
    out = io.StringIO()
    separator = draw(st.sampled_from(",;\t"))
    writer = csv.writer(
        out,
        delimiter=separator,
        quoting=csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )
    writer.writerow([*more[:place], name, *more[place:]])
    cell = st.sampled_from(["", 'Acme, Inc; "x"', "two\nlines", "5", "2026-01-01 00:00:00"])
    for key in given:
        others = [draw(cell) for _ in more]
        text = draw(st.sampled_from(["", of.prefix])) + str(key)
        writer.writerow([*others[:place], "'" + text if needs_guard(text) else text, *others[place:]])
    return draw(st.sampled_from(["", SPREADSHEET])) * (separator == ";") + out.getvalue(), Shape.TABLE


def needs_guard(text: str) -> bool:
    return text.lstrip("'")[:1] in tuple("=+-@\uff1d\uff0b\uff0d\uff20") and text != ""


@st.composite
def document(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    """JSON: an array of values or of objects, bare or inside an object, or one object a line."""
    values = [key if isinstance(key, int) else draw(st.sampled_from(["", of.prefix])) + str(key) for key in given]
    objects = [{"name": "Acme", "id": value, "more": {"id": 1, "tags": ["x"]}} for value in values]
    form = draw(st.sampled_from(["values", "objects", "inside", "lines"]))
    indent = draw(st.sampled_from([None, 2]))
    if form == "lines":
        return "\n".join(map(json.dumps, objects)), Shape.JSON
    if form == "inside":
        return json.dumps({"total": len(values), "data": objects, "next": None}, indent=indent), Shape.JSON
    return json.dumps(values if form == "values" else objects, indent=indent, ensure_ascii=False), Shape.JSON


@st.composite
def own_output(draw: st.DrawFn, of: IdRules, given: list[Key]) -> tuple[str, Shape]:
    to = draw(st.sampled_from(Output))
    return render(given, to, of), Shape.TABLE if to is Output.CSV else Shape.LIST
