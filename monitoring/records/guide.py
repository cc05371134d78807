"""The status guide of a record source, and what is known of a status that is not in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from opsconsole.estate.model import RecordSource, RecordStatus
from opsconsole.estate.record_reader import readable
from opsconsole.tones import Tone

NO_STATUS = ""  # how a NULL is carried; an empty text says as little
RESTING = (Tone.FINE, Tone.ENDED)


@dataclass(frozen=True, slots=True)
class StatusKind:
    """What people read about a status. `known`: it is in the guide. `place` orders by the life of a record."""

    status: str
    label: str
    tone: Tone
    place: int
    known: bool
    hidden: bool
    meaning: str = ""
    customer: str = ""
    action: str = ""
    link: str = ""

    @property
    def rests(self) -> bool:
        """Whether a record may stay in it: nothing in it is ever stuck."""
        return self.hidden or self.tone in RESTING

    @property
    def helps(self) -> bool:
        """Whether the guide says more of it than its name."""
        return bool(self.meaning or self.customer or self.action or self.link)


class Guide:
    """The statuses of one source. Those that the guide does not have come last, in the order of their names."""

    def __init__(self, source: RecordSource) -> None:
        self._prefix = source.status_prefix
        self._hidden = frozenset(source.hidden)
        entries = enumerate(source.statuses)
        self._kinds = {entry.status: self._known(place, entry) for place, entry in entries}

    def kind(self, status: str) -> StatusKind:
        return self._kinds.get(status) or self._unknown(status)

    def kinds(self) -> tuple[StatusKind, ...]:
        """Those of the guide, in its order."""
        return tuple(self._kinds.values())

    def order(self, status: str) -> tuple[int, str]:
        """What statuses are sorted by."""
        return self.kind(status).place, status

    def _known(self, place: int, entry: RecordStatus) -> StatusKind:
        return StatusKind(
            status=entry.status,
            label=entry.label,
            tone=entry.tone,
            place=place,
            known=True,
            hidden=entry.status in self._hidden,
            meaning=entry.meaning,
            customer=entry.customer,
            action=entry.action,
            link=entry.link,
        )

    def _unknown(self, status: str) -> StatusKind:
        label = "no status" if status == NO_STATUS else readable(status, self._prefix)
        tone = Tone.ENDED if status in self._hidden else Tone.WAITING
        return StatusKind(status, label, tone, len(self._kinds), known=False, hidden=status in self._hidden)
