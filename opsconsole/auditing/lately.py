"""Who did what in the last hours."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from opsconsole.access import Scoping
from opsconsole.audit import Door
from opsconsole.lately import MOST_LOOKED_AT, MOST_MENTIONED, Account, Mention, tells
from opsconsole.models import VIEW_AUDIT, AuditEntry
from opsconsole.tones import Tone
from opsconsole.words import counted, utc

ORDER = 90
COMING_AND_GOING = ("person.signed_in", "person.signed_out")


@tells("People", VIEW_AUDIT, order=ORDER, scoping=Scoping.NARROWED)
def people(since: datetime, until: datetime) -> Account:
    """One query, over the newest acts of anybody."""
    newest = AuditEntry.objects.order_by("-pk")[:MOST_LOOKED_AT]
    acts = [one for one in newest if since <= one.at < until and _is_act_of_a_person(one)]
    by_person = Counter(act.actor for act in acts).most_common(MOST_MENTIONED)
    said = ", ".join(f"{name} {counted(count, 'time')}" for name, count in by_person)
    return Account(
        Tone.FINE,
        f"{counted(len(acts), 'act')}: {said}." if acts else "Nobody did anything.",
        f"{reverse('audit')}?{urlencode({'start': utc(since)})}",
        [_mention(act) for act in acts[:MOST_MENTIONED]],
    )


def _is_act_of_a_person(entry: AuditEntry) -> bool:
    return entry.door not in (Door.CLOCK, Door.WORKER) and entry.action not in COMING_AND_GOING


def _mention(act: AuditEntry) -> Mention:
    reason = f": {act.reason}" if act.reason else ""
    text = f"{act.actor}, {act.action} {act.subject}{reason}"
    return Mention(text, reverse("audit_entry", args=[act.pk]), Tone.ENDED, act.at)
