"""`python -m tests.browser.screenshots FOLDER [NAME ...]`: a picture of every page, wide and narrow, light and dark.

For people to look at. It starts a console of its own and fills it; a name is one of `tests/browser/pages.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import django
from playwright.sync_api import Page, sync_playwright

from tests.browser.chromium import MISSING, find_chromium, launch
from tests.browser.pages import EXAMPLES, Example
from tests.browser.place import running_console
from tests.browser.scene import Scene, make_scene
from tests.browser.sessions import Sessions

WIDTHS = (1440, 400)
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")


def take_pictures(page: Page, name: str, folder: Path) -> None:
    """Of what the page shows, in all four looks, in full height: `NAME-WIDTH-SCHEME.png`."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)


def take_all(sessions: Sessions, scene: Scene, examples: Sequence[Example], folder: Path) -> None:
    for example in examples:
        context = sessions.context(example.role)
        page = context.new_page()
        page.goto(example.address(scene))
        take_pictures(page, example.name, folder)
        context.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("names", nargs="*", help="pages; all without")
    wanted = parser.parse_args(arguments)
    unknown = set(wanted.names) - {example.name for example in EXAMPLES}
    if unknown:
        parser.error(f"no such page: {', '.join(sorted(unknown))}")
    path = find_chromium()
    if path is None:
        print(MISSING, file=sys.stderr)  # noqa: T201
        return 1
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    examples = [example for example in EXAMPLES if not wanted.names or example.name in wanted.names]
    with (
        tempfile.TemporaryDirectory(prefix="opsconsole-pictures-") as place,
        running_console(Path(place)) as console,
        sync_playwright() as playwright,
    ):
        sessions = Sessions(launch(playwright, path), console)
        scene = make_scene(sessions.context("operator").new_page(), console)
        take_all(sessions, scene, examples, wanted.folder)
    print(f"{len(examples)} pages are in {wanted.folder}.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
