"""The system's Chromium, as Playwright is told to start it. A browser of Playwright's own is never downloaded."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Without a sandbox because CI is root; the rest keeps it from looking for hosts on the network.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = "There is no Chromium on this machine (apt-get install chromium)."


def find_chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def on_ci() -> bool:
    return os.environ.get("CI", "").lower() in {"true", "1"}


def launch(playwright: Playwright, path: str) -> Browser:
    return playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
