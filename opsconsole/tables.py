"""The base of every table: columns that know their format, sorting by the database, pages by keyset."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from html import unescape
from typing import Any, ClassVar, Self

import django_tables2 as tables
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.template import Context
from django.template.loader import get_template
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.text import slugify

from opsconsole import words
from opsconsole.downloads import DownloadInstead, csv_download
from opsconsole.errors import UsageError
from opsconsole.keyset import CappedCount, KeysetPage, keyset_pages, page_of
from opsconsole.templatetags import console

CSV = "csv"
"""In an address: the list's file, and not its page."""

ROWS_OF_A_PAGE = 1_000
MARKUP = re.compile(r"<[^>]*>")  # of our own templates, in which every text is escaped


class ConsoleTable(tables.Table):
    """A table whose rows come from a list, or page by page from a queryset through `from_request`.

    `total` is shown below it where a view has counted. `sorts` names the columns a reader may sort by and the model
    field of each; `tiebreak` makes every order unique. `file`: whether the whole list is to be had as CSV by `?csv=1`;
    lists with a richer file of their own say no.
    """

    file: ClassVar[bool] = True

    sorts: ClassVar[Mapping[str, str]] = {}
    default_sort: ClassVar[str] = ""
    tiebreak: ClassVar[str] = "id"

    class Meta:
        """For a subclass's own Meta to extend."""

    def __init__(
        self,
        *args: Any,
        page: KeysetPage[Any] | None = None,
        label: str = "Table",
        total: CappedCount | None = None,
        request: HttpRequest | None = None,
        **kwargs: Any,
    ) -> None:
        # Not in Meta: a subclass with a Meta of its own, or with none, would lose them.
        kwargs["attrs"] = {"class": "table"} | (self._meta.attrs or {}) | kwargs.get("attrs", {})
        super().__init__(*args, template_name="components/table.html", orderable=False, **kwargs)
        # Not handed on: django-tables2 would cut the page at 25 rows and read `?page=` and `?per_page=` by itself.
        self.request = request
        self.keyset = page
        self.label = label
        self.total = total

    @classmethod
    def from_request(cls, request: HttpRequest, rows: QuerySet[Any], *, label: str = "Table", **kwargs: Any) -> Self:
        """The page of `rows` that the address asks for by `?sort=`, `?cursor=` and `?size=`. One query.

        Raises UsageError where one of the three cannot be used, and DownloadInstead where it asks for the file.
        """
        ordering = cls.ordering(request.GET.get("sort", ""))
        if cls.file and CSV in request.GET:
            raise DownloadInstead(cls._download(request, rows, ordering, label, **kwargs))
        page = page_of(request, rows, ordering)
        return cls(page.rows, page=page, label=label, request=request, **kwargs)

    @classmethod
    def _download(
        cls, request: HttpRequest, rows: QuerySet[Any], ordering: Sequence[str], label: str, **kwargs: Any
    ) -> StreamingHttpResponse:
        """All rows that the address asks for, in its order, as the table says them: times in ISO 8601, numbers bare."""
        shown = [column for column in cls([], **kwargs).columns if not column.column.exclude_from_export]
        header = [f"{plain(column.header)}{getattr(column.column, 'header_note', '')}" for column in shown]
        tables_of = (cls(list(page), **kwargs) for page in keyset_pages(rows, ordering, size=ROWS_OF_A_PAGE))
        lines = ([in_file(row, column) for column in shown] for table in tables_of for row in table.rows)
        return csv_download(request, f"page:{request.path}", f"{slugify(label)}.csv", header, lines)

    @property
    def has_file(self) -> bool:
        return self.file and self.keyset is not None

    @classmethod
    def ordering(cls, sort: str) -> tuple[str, ...]:
        """Model fields for a sort as in the address (`-created`), the tiebreak last. Raises UsageError."""
        sort = sort or cls.default_sort
        name, minus = sort.removeprefix("-"), "-" if sort.startswith("-") else ""
        if not sort:
            return (f"-{cls.tiebreak}",)
        if name not in cls.sorts:
            raise UsageError(f"The list cannot be sorted by {name[:40]!r}; allowed are {', '.join(sorted(cls.sorts))}.")
        field = cls.sorts[name]
        return (f"{minus}{field}",) if field == cls.tiebreak else (f"{minus}{field}", f"{minus}{cls.tiebreak}")

    def headers(self) -> list[Header]:
        """What the template writes in the header row."""
        request: HttpRequest | None = getattr(self, "request", None)
        sort = (request.GET.get("sort") if request else None) or self.default_sort
        return [Header.of(column, sort, sortable=column.name in self.sorts) for column in self.columns]

    def lines(self) -> Iterator[tuple[Any, list[tuple[str, SafeString, Any]]]]:
        """What the template writes in the body: a row, and for each of its cells the column's name, attributes and
        text. Names and attributes are the same in each row, and made once."""
        columns = [(column.name, _label(column), column.attrs["td"].as_html()) for column in self.columns]
        for row in self.paginated_rows:
            yield row, [(label, attributes, row.get_cell(name)) for name, label, attributes in columns]


def _label(column: Any) -> str:
    """The column's header as a text, which a card has before its value."""
    return f"{strip_tags(str(column.header))}{getattr(column.column, 'header_note', '')}"


def in_file(row: Any, column: Any) -> Any:
    """What stands in a file for a bound row's bound column. Of a template all that it writes."""
    written = isinstance(column.column, CellColumn)
    return plain(row.get_cell(column.name) if written else row.get_cell_value(column.name))


def plain(cell: Any) -> Any:
    """A cell as it stands in a file: markup taken off, times in ISO 8601, nothing for what is not known."""
    if isinstance(cell, SafeString):
        cell = " ".join(unescape(MARKUP.sub(" ", cell)).split())
    if isinstance(cell, datetime):
        return words.machine_time(cell)
    return "" if cell is None or cell == words.NOTHING else cell


class Header:
    """One cell of the header row. `sort` is the value a click asks for; `aria` says how the column is sorted now."""

    def __init__(self, column: Any, sort: str, aria: str) -> None:
        self.column, self.sort, self.aria = column, sort, aria
        self.title = format_html("{}{}", column.header, getattr(column.column, "header_note", ""))

    @classmethod
    def of(cls, column: Any, current: str, *, sortable: bool) -> Header:
        name = column.name
        if not sortable:
            return cls(column, "", "")
        # A first click puts the largest, or the latest, first where a column says so.
        first = f"-{name}" if getattr(column.column, "largest_first", False) else name
        if current.removeprefix("-") != name:
            return cls(column, first, "")
        falling = current.startswith("-")
        return cls(column, name if falling else f"-{name}", "descending" if falling else "ascending")


class ConsoleColumn(tables.Column):
    """A column whose cells and header share a class."""

    css_class = ""
    header_note = ""
    largest_first = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        attrs = kwargs.pop("attrs", {}) or {}
        if self.css_class:
            attrs = {"th": {"class": self.css_class}, "td": {"class": self.css_class}} | attrs
        kwargs.setdefault("default", words.NOTHING)
        super().__init__(*args, attrs=attrs, **kwargs)


class CellColumn(ConsoleColumn):
    """A cell of more than one value: a template with `record`, `value`, what is in `extra`, and all that the page has.

    django-tables2's TemplateColumn flattens the page's context and runs its processors anew for each cell.
    """

    empty_values = ()

    def __init__(self, template: str, *args: Any, extra: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.template = template
        self.extra = extra or {}

    def render(self, record: Any, table: Any, value: Any) -> SafeString:
        template: Any = get_template(self.template)
        around = getattr(table, "context", None) or Context()
        with around.push(record=record, value=value, **self.extra):
            cell: SafeString = template.template.render(around)
        return cell


class BadgeColumn(ConsoleColumn):
    """A status: the cell's value is a member with `label` and `tone`, or a text that `status` turns into one."""

    css_class = "status"

    def __init__(self, *args: Any, status: Callable[[Any], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.status = status

    def render(self, value: Any) -> SafeString:
        return console.badge(self.status(value) if self.status else value)


class WhenColumn(ConsoleColumn):
    """A time; the header says that it is UTC, once for all rows."""

    css_class = "when"
    header_note = " (UTC)"
    largest_first = True

    def render(self, value: datetime) -> SafeString:
        return console.when(value, zone=False)

    def value(self, value: datetime) -> datetime:
        return value


class NumberColumn(ConsoleColumn):
    """A number, thousands separated, right-aligned; `unit` is `duration` (seconds) or `size` (bytes)."""

    css_class = "number"
    largest_first = True
    FORMATS: ClassVar[Mapping[str, Callable[[Any], str]]] = {
        "number": words.number,
        "duration": words.duration,
        "size": words.size,
    }

    def __init__(self, *args: Any, unit: str = "number", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.write = self.FORMATS[unit]

    def render(self, value: Any) -> str:
        return self.write(value)

    def value(self, value: Any) -> Any:
        return value


class LinkColumn(ConsoleColumn):
    """A link to the row's own page: `address(record)` gives where to; `mono` is for ids."""

    def __init__(self, *args: Any, address: Callable[[Any], str], mono: bool = False, **kwargs: Any) -> None:
        self.css_class = "mono" if mono else ""
        super().__init__(*args, **kwargs)
        self.address = address

    def render(self, value: Any, record: Any) -> SafeString:
        return format_html('<a href="{}">{}</a>', self.address(record), value)


class SelectColumn(ConsoleColumn):
    """A checkbox per row, named `name`, whose value is the cell's; `label(record)` says what is selected."""

    def __init__(self, *args: Any, name: str = "selected", label: Callable[[Any], str] = str, **kwargs: Any) -> None:
        super().__init__(*args, exclude_from_export=True, **kwargs)
        self.input_name, self.row_label = name, label

    @property
    def header(self) -> SafeString:
        return format_html(
            '<input type="checkbox" class="{}" data-select-all aria-label="{}">', "needs-script", "Select all"
        )

    def render(self, value: Any, record: Any) -> SafeString:
        return format_html(
            '<input type="checkbox" name="{}" value="{}" data-select aria-label="Select {}">',
            self.input_name,
            value,
            self.row_label(record),
        )
