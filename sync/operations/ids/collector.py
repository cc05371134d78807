"""Gathers keys and what is wrong, in the order of the text."""

from __future__ import annotations

from opsconsole.keys import Key
from sync.operations.ids.model import (
    LONGEST_SHOWN,
    MALFORMED_KEPT,
    MOST_IDS,
    MOST_WORDS,
    IdReport,
    IdRules,
    Malformed,
    Shape,
    TooManyIdsError,
    shorten,
)
from sync.operations.ids.words import BadWordError, WordReader


class Collector:
    def __init__(self, rules: IdRules) -> None:
        self.rules = rules
        self.reader = WordReader(rules)
        self._lines: dict[Key, int] = {}
        self._given = 0
        self._malformed: list[Malformed] = []
        self._malformed_total = 0

    def add(self, line: int, word: str) -> None:
        """Take `word` as one id. Raises TooManyIdsError."""
        try:
            key = self.reader.key(word)
        except BadWordError as error:
            self.refuse(line, word, str(error))
        else:
            self._keep(line, key)

    def add_line(self, line: int, text: str) -> None:
        """Take every word of a line of a list."""
        for word in self.reader.words(text):
            self.add(line, word)

    def add_cell(self, line: int, cell: str) -> None:
        """Take a cell: one id, or several where each word of it is one; otherwise the cell as a whole is refused."""
        if not cell.strip():
            self.refuse(line, "", "is an empty cell")
            return
        try:
            keys = self.reader.keys(cell)
        except BadWordError as error:
            self.refuse(line, cell.strip(), str(error))
            return
        for key in keys:
            self._keep(line, key)

    def _keep(self, line: int, key: Key) -> None:
        self._given += 1
        self._lines.setdefault(key, line)
        if len(self._lines) > MOST_IDS:
            raise TooManyIdsError("different ids", MOST_IDS)
        self._stop_in_time()

    def refuse(self, line: int, text: str, why: str, total: int = 0) -> None:
        """`total` is the length of the whole, where `text` is only its beginning."""
        self._malformed_total += 1
        self._stop_in_time()
        if len(self._malformed) < MALFORMED_KEPT:
            self._malformed.append(Malformed(line, shorten(text[: LONGEST_SHOWN + 1], total or len(text)), why))

    def _stop_in_time(self) -> None:
        # A file that is no list of ids at all would keep a web process busy for many seconds.
        if self._given + self._malformed_total > MOST_WORDS:
            raise TooManyIdsError("words, duplicates and malformed ones counted", MOST_WORDS)

    def report(self, shape: Shape, column: str = "") -> IdReport:
        nothing = not self._lines and not self._malformed and shape is Shape.LIST
        return IdReport(
            rules=self.rules,
            keys=tuple(self._lines),
            lines=tuple(self._lines.values()),
            duplicates=self._given - len(self._lines),
            malformed=tuple(self._malformed),
            malformed_total=self._malformed_total,
            shape=Shape.EMPTY if nothing else shape,
            column=column,
        )
