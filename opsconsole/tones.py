"""The five tones a status can have. A tone becomes a colour in one place only: `static/css/tokens.css`."""

from enum import StrEnum


class Tone(StrEnum):
    FINE = "fine"
    WORKING = "working"
    WAITING = "waiting"
    PROBLEM = "problem"
    ENDED = "ended"
