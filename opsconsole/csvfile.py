"""CSV downloads, streamed in pieces."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

from django.http import StreamingHttpResponse

from opsconsole.cells import safe_cell

LINES_AT_ONCE = 500


class _Echo:
    """What csv.writer writes into: gives the line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces of some hundred lines. `rows` are read as the pieces are asked for."""
    writer = csv.writer(_Echo())
    piece = [str(writer.writerow(header))]
    for row in rows:
        piece.append(str(writer.writerow([safe_cell(value) for value in row])))
        if len(piece) == LINES_AT_ONCE:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)


class DownloadInstead(Exception):  # noqa: N818  (an answer, no error)
    """Raised while a page is made whose address asks for the file of its list; the middleware answers with it."""

    def __init__(self, response: StreamingHttpResponse) -> None:
        super().__init__()
        self.response = response


def csv_response(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """A download called `name`, which must be plain: letters, digits, dashes, dots."""
    response = StreamingHttpResponse(csv_lines(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
