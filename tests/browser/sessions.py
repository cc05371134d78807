"""Logins to the console, each made once, and browser contexts that have them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, BrowserContext, StorageState

from tests.browser.place import Console
from tests.browser.steps import log_in

WIDE = {"width": 1440, "height": 900}
PATIENCE = 15_000


class Sessions:
    """Logins, each made once, through the form."""

    def __init__(self, browser: Browser, console: Console) -> None:
        self._browser = browser
        self._console = console
        self._made: dict[str, StorageState] = {}

    def of(self, role: str) -> StorageState:
        if role not in self._made:
            context = self._browser.new_context(base_url=self._console.address)
            log_in(context.new_page(), self._console, role)
            self._made[role] = context.storage_state()
            context.close()
        return self._made[role]

    def context(self, role: str | None, **options: Any) -> BrowserContext:
        state = self.of(role) if role else None
        options = {"viewport": WIDE, "reduced_motion": "reduce", "timezone_id": "Europe/Berlin"} | options
        context = self._browser.new_context(base_url=self._console.address, storage_state=state, **options)
        context.set_default_timeout(PATIENCE)
        return context
