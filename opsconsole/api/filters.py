"""Lists are narrowed by the very forms that the pages have, so that both take and refuse the same."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar

from django import forms
from pydantic import BaseModel

from opsconsole.api.problems import ProblemError

F = TypeVar("F", bound=forms.Form)


class FilterError(ProblemError):
    """`errors` has where and what for each filter that cannot be used."""

    def __init__(self, form: forms.Form) -> None:
        self.errors = [
            {"where": f"query.{form.add_prefix(name) if name in form.fields else name}", "message": str(message)}
            for name, messages in form.errors.items()
            for message in messages
        ]
        detail = "; ".join(f"{one['where']}: {one['message']}" for one in self.errors)
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail)


def filled(form_class: type[F], asked: BaseModel) -> F:
    """The form with what the address asks for, valid. Raises FilterError."""
    form = form_class(data=asked.model_dump(exclude_none=True, by_alias=True, mode="json"))
    if not form.is_valid():
        raise FilterError(form)
    return form
