"""What people type about a new batch. The options themselves say what is wrong with them, field by field."""

from __future__ import annotations

from typing import Any

from django import forms

from opsconsole.errors import UsageError
from opsconsole.forms import ticket_field
from opsconsole.times import Window, parse_time
from sync.form_fields import time_field, whole_number
from sync.models import BatchOrder, Mode
from sync.operations.batches import DEFAULT_SIZE, LARGEST_SIZE, BatchOptions

LONGEST_TYPED = 1_000
FIRST_FIELDS = ("mode", "size", "order")
WINDOW_FIELDS = (("window_from", "The window's start"), ("window_to", "The window's end"))
OF_WINDOW = "UTC, unless it says another zone. With a window only tasks updated in it are looked at."


class BatchForm(forms.Form):
    """`options()` is there once the form is valid."""

    mode = forms.ChoiceField(
        choices=[
            (Mode.REPORT.value, "Report: compare and say what is out of sync. Nothing is published."),
            (Mode.SYNC.value, "Sync: publish what is out of sync, then see that the index has it. They leave the set."),
        ],
        initial=Mode.REPORT.value,
        widget=forms.RadioSelect,
    )
    size = whole_number("Size", f"Organizations. 1 to {LARGEST_SIZE:,}.", initial=DEFAULT_SIZE)
    order = forms.ChoiceField(choices=BatchOrder.choices, initial=BatchOrder.OLDEST.value)
    canary = whole_number("Canary", "The first so many run, then the batch waits for a go. 0: none.", initial=0)
    most_at_once = whole_number("Most at once", "Jobs queued or running. Empty: all of them.", required=False)
    stop_after_failures = whole_number(
        "Stop after failures", "Pause when so many jobs failed or looped. Empty: go on.", required=False
    )
    messages_per_second = whole_number(
        "Messages a second",
        "That a sync publishes, all its jobs together. Empty: only the estate's rate.",
        required=False,
    )
    lag_limit = whole_number(
        "Lag limit",
        "A sync waits while the indexer is more messages behind. Empty: only the estate's limit.",
        required=False,
    )
    keep_staged = forms.BooleanField(
        label="Keep them staged after a report", required=False, initial=True, help_text="A sync takes them out anyway."
    )
    auto_advance = forms.BooleanField(
        label="Auto-advance",
        required=False,
        help_text="When it is done the next batch of the same size starts by itself, until nothing is ready, somebody "
        "pauses, or too many fail.",
    )
    name = forms.CharField(required=False, max_length=LONGEST_TYPED)
    tags = forms.CharField(required=False, max_length=LONGEST_TYPED, help_text="Separated by commas.")
    window_from = time_field("Only tasks updated from, included", "window-from", required=False, help_text=OF_WINDOW)
    window_to = time_field("To, not included", "window-to", required=False, help_text=OF_WINDOW)

    @property
    def first_fields(self) -> list[forms.BoundField]:
        """What everybody decides."""
        return [self[name] for name in FIRST_FIELDS]

    @property
    def further_fields(self) -> list[forms.BoundField]:
        """What most leave as it is; shown folded."""
        return [field for field in self if field.name not in FIRST_FIELDS]

    @property
    def further_is_used(self) -> bool:
        """Whether something in the folded part was typed, came with the address, or is wrong: then it must be seen."""
        used = self.changed_data if self.is_bound else self.initial  # unbound, a ticked box counts as changed
        return any(field.errors or field.name in used for field in self.further_fields)

    def clean(self) -> dict[str, Any]:
        """Where every field could be read, the options say whether they can be used together."""
        values = super().clean() or {}
        values["window"] = self._window(values)
        if not self.errors:
            for name, sentence in self.options().problems().items():
                self.add_error("window_to" if name == "window" else name, sentence)
        return values

    def _window(self, values: dict[str, Any]) -> Window | None:
        typed = [values.get(name, "") for name, _ in WINDOW_FIELDS]
        if not any(typed):
            return None
        times = []
        for name, what in WINDOW_FIELDS:
            try:
                times.append(parse_time(values.get(name, ""), what)[0])
            except UsageError as error:
                self.add_error(name, str(error))
        return Window(*times) if len(times) == len(WINDOW_FIELDS) else None

    def options(self) -> BatchOptions:
        values = self.cleaned_data
        tags = [tag.strip() for tag in values["tags"].split(",")]
        return BatchOptions(
            mode=Mode(values["mode"]),
            size=values["size"],
            name=values["name"],
            tags=tuple(dict.fromkeys(tag for tag in tags if tag)),
            order=BatchOrder(values["order"]),
            most_at_once=values["most_at_once"],
            stop_after_failures=values["stop_after_failures"],
            canary=values["canary"],
            messages_per_second=values["messages_per_second"],
            lag_limit=values["lag_limit"],
            keep_staged=values["keep_staged"],
            auto_advance=values["auto_advance"],
            window=values.get("window"),
        )


def typed_again(options: BatchOptions) -> dict[str, str]:
    """What to put into the address of the form so that it shows `options` again; what is as usual is left out."""
    usual = BatchOptions()
    values = {
        "mode": options.mode.value,
        "size": str(options.size),
        "order": options.order.value,
        "name": options.name,
        "tags": ", ".join(options.tags),
        "canary": str(options.canary) if options.canary else "",
        "most_at_once": str(options.most_at_once or ""),
        "stop_after_failures": str(options.stop_after_failures or ""),
        "messages_per_second": _number(options.messages_per_second),
        "lag_limit": _number(options.lag_limit),
        "auto_advance": "on" if options.auto_advance else "",
        "window_from": f"{options.window.start:%Y-%m-%d %H:%M:%S}" if options.window else "",
        "window_to": f"{options.window.end:%Y-%m-%d %H:%M:%S}" if options.window else "",
    }
    given = {name: value for name, value in values.items() if value}
    return given if options.keep_staged == usual.keep_staged else given | {"keep_staged": ""}


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


class ThrottleForm(forms.Form):
    """A batch's own limits for what it publishes; whether they can be used is the operation's to say."""

    messages_per_second = whole_number(
        "Messages a second", "Of all its jobs together; 0 lets nothing out. Empty: only the estate's.", required=False
    )
    lag_limit = whole_number(
        "Lag limit", "Wait while the indexer is more messages behind. Empty: only the estate's.", required=False
    )
    reason = forms.CharField(
        max_length=500,
        help_text="Kept on the audit log.",
        error_messages={"required": "Say why, in a few words."},
    )
    ticket = ticket_field()


class StartForm(forms.Form):
    """The start of a plan: a reason where it publishes, the number of organizations where there are very many."""

    hash = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=500,
        help_text="Kept on the audit log.",
        error_messages={"required": "Say why: this publishes to customers, and the reason is kept on the audit log."},
    )
    ticket = ticket_field()
    confirmation = forms.CharField(max_length=20, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, publishes: bool, number: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = publishes
        if number:
            self.fields["confirmation"].label = f"Type {number} to confirm"
        else:
            del self.fields["confirmation"]
