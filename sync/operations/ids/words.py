"""One word as a key, and a line as words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from opsconsole.keys import LONGEST_TEXT_KEY, BadKeyError, Key, KeyKind, parse_key
from sync.operations.ids.model import IdRules

LONGEST_WORD = 4_000
QUOTES = "'\"`"
MORE_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb"

# No UUID and no number has any of these, so there is no need to see which quote or bracket belongs to which.
AROUND = re.compile(rf"[\s{QUOTES}{MORE_QUOTES}()\[\]{{}}<>|]+")
AROUND_OR_BETWEEN = re.compile(rf"[\s,;{QUOTES}{MORE_QUOTES}()\[\]{{}}<>|]+")
BETWEEN = re.compile(r"[,;]+")
BEFORE_LINK = re.compile(r"[,;](?=https?://)", re.IGNORECASE)
LINK_REST = re.compile(r"[?#]")
CAST = re.compile(r"::\w+")

# A text key may hold blanks, commas and quotes when it stands in quotes, a doubled quote being one of its own.
TEXT_WORD = re.compile(
    r'"(?P<double>[^"]*+(?:""[^"]*+)*+)"(?=[\s,;]|$)'
    r"|'(?P<single>[^']*+(?:''[^']*+)*+)'(?=[\s,;]|$)"
    r"|`(?P<back>[^`]*+(?:``[^`]*+)*+)`(?=[\s,;]|$)"
    r"|(?P<link>https?://[^\s'\"`<>]+)"
    r"|(?P<plain>[^\s,;]+)",
    re.IGNORECASE,
)
DOUBLED = {"double": '"', "single": "'", "back": "`"}


class BadWordError(ValueError):
    """A word that is no id; the message is a verb phrase, to follow the word."""


def link_pattern(template: str) -> re.Pattern[str]:
    """Addresses made from `template`; what people's browsers add behind the id (path, query, fragment) is let go."""
    head, _, tail = template.partition("{id}")
    place = head.partition("://")[2]
    start = "(?:https?://)?" if place else "https?://"
    rest = r"(?:[/?#&].*)?"
    end = rest if tail[:1] in ("", *"/?#&") else re.escape(tail.rstrip("/")) + rest
    return re.compile(f"{start}{re.escape(place)}([^/?#&\\s]+?){end}", re.IGNORECASE | re.DOTALL)


class WordReader:
    """Reads words by the rules of one estate."""

    def __init__(self, rules: IdRules) -> None:
        self._rules = rules
        self._link = link_pattern(rules.link) if rules.link else None

    def key(self, word: str) -> Key:
        """`word` as a key: bare, with the prefix, or a page link. Raises BadWordError."""
        kind, prefix = self._rules.kind, self._rules.prefix
        if len(word) > LONGEST_WORD:
            raise BadWordError("is longer than any id or link")
        text = self._linked(word) if kind is KeyKind.TEXT or "/" in word else word
        try:
            return parse_key(kind, text.strip().removeprefix(prefix))
        except BadKeyError:
            raise BadWordError(self._why(text)) from None

    def keys(self, cell: str) -> list[Key]:
        """A cell as one id or, where each word of it is one, as several. Raises BadWordError."""
        try:
            return [self.key(cell)]
        except BadWordError as error:
            words = [] if self._rules.kind is KeyKind.TEXT else list(self.words(cell))
            if not words or words == [cell]:
                raise
            try:
                return [self.key(word) for word in words]
            except BadWordError:
                raise error from None

    def _linked(self, word: str) -> str:
        match = self._link.fullmatch(word.strip()) if self._link else None
        return unquote(match[1]) if match else word

    def _why(self, word: str) -> str:
        rules = self._rules
        with_prefix = f", with or without {rules.prefix!r} in front" if rules.prefix else ""
        match rules.kind:
            case KeyKind.UUID if "://" in word:
                return f"is no page of one {rules.subject.one} of this estate"
            case KeyKind.UUID:
                return f"is no UUID (32 hexadecimal digits, with or without dashes{with_prefix})"
            case KeyKind.INTEGER if "://" in word:
                return f"is no page of one {rules.subject.one} of this estate"
            case KeyKind.INTEGER:
                return f"is no integer id (whole numbers of 64 bits{with_prefix})"
            case KeyKind.TEXT if 0 < len(word.strip().removeprefix(rules.prefix)) <= LONGEST_TEXT_KEY:
                return "has control characters, which no id may have"
            case KeyKind.TEXT:
                return f"is no id (allowed are 1 to {LONGEST_TEXT_KEY} characters{with_prefix})"

    def words(self, line: str) -> Iterator[str]:
        """The words of a line of a list, without what is around and between them."""
        if self._rules.kind is KeyKind.TEXT:
            yield from _text_words(line)
        elif "://" in line:
            for piece in filter(None, AROUND.split(line)):
                yield from _parts(piece)
        else:
            for word in AROUND_OR_BETWEEN.split(line):
                if word and not (word.startswith("::") and CAST.fullmatch(word)):
                    yield word


def _text_words(line: str) -> Iterator[str]:
    for match in TEXT_WORD.finditer(line):
        name = match.lastgroup or ""
        word = match[name]
        if name == "link":
            yield from _parts(word)
        elif name == "plain":
            if bare := word.strip(QUOTES):
                yield bare
        else:
            yield word.replace(DOUBLED[name] * 2, DOUBLED[name])


def _parts(piece: str) -> Iterator[str]:
    """Links and other words joined by commas. Behind a link's `?` or `#` a comma belongs to the link."""
    for part in BEFORE_LINK.split(piece):
        rest = LINK_REST.search(part) if "://" in part else None
        words = [word for word in BETWEEN.split(part[: rest.start()] if rest else part) if word]
        if rest and words:
            words[-1] += part[rest.start() :].rstrip(",;")
        yield from words
