"""CSV files, made in pieces."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence

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
