"""The proof that a policy was simulated before it is saved: with exactly these values, and not long ago.

It travels with the form and is signed, so that nothing has to be kept; the operation that saves asks for it, whichever
door is used.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from django.core import signing

from monitoring.abandonment.rules import Aim, Aimed
from opsconsole.errors import UsageError
from opsconsole.words import duration

LASTS = timedelta(hours=1)
"""What was simulated longer ago was of other tasks."""

SALT = "abandonment.policy.simulated"


class NotSimulatedError(UsageError):
    """A policy that nobody has tried with these values."""


def proof_of(draft: Aimed, instead_of: Aim | None, now: datetime) -> str:
    """Signed by the console's key. Only `simulate` makes one."""
    return signing.Signer(salt=SALT).sign_object({"of": _digest(draft, instead_of), "at": now.timestamp()})


def require_proof(proof: str, draft: Aimed, instead_of: Aim | None, now: datetime) -> None:
    """Raises NotSimulatedError."""
    try:
        said = signing.Signer(salt=SALT).unsign_object(proof)
    except signing.BadSignature:
        said = {}
    if said.get("of") != _digest(draft, instead_of) or now.timestamp() - said["at"] > LASTS.total_seconds():
        raise NotSimulatedError(
            "Not saved yet: a policy is simulated with exactly its values, at most"
            f" {duration(LASTS.total_seconds())} before it is saved."
        )


def _digest(draft: Aimed, instead_of: Aim | None) -> str:
    return sha256(repr((draft, instead_of)).encode()).hexdigest()
