"""Files that a page gives away. Each is recorded as an export, whatever is in it: the one way to make such an answer,
so that none is forgotten (`tests/conventions/test_exports.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.http import HttpRequest, StreamingHttpResponse

from opsconsole import audit
from opsconsole.csvfile import csv_lines

CSV, TEXT = "text/csv", "text/plain"


def csv_download(
    request: HttpRequest, subject: str, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]
) -> StreamingHttpResponse:
    """A CSV file called `name`, streamed; `rows` are read as it is. Recorded as an export of `subject`."""
    return download(request, subject, name, csv_lines(header, rows), kind=CSV)


def download(
    request: HttpRequest, subject: str, name: str, pieces: Iterable[str], *, kind: str = TEXT
) -> StreamingHttpResponse:
    """A file called `name`, which must be plain (letters, digits, dashes, dots), of these pieces of text, streamed.
    Recorded as an export of `subject`, with what was asked for."""
    audit.exported(audit.actor_of(request), subject, file=name, search=request.GET.urlencode()[:500])
    response = StreamingHttpResponse(pieces, content_type=f"{kind}; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


class DownloadInstead(Exception):  # noqa: N818  (an answer, no error)
    """Raised while a page is made whose address asks for the file of its list; the middleware answers with it."""

    def __init__(self, response: StreamingHttpResponse) -> None:
        super().__init__()
        self.response = response
