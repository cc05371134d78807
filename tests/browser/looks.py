"""A page in all four looks: light and dark, wide with a mouse and narrow under a thumb."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.axe import findings

PHONE = 400
WIDTHS = (1440, PHONE)
ENLARGED = 720
"""What is left of the wide page when somebody reads it at 200 %."""
STICKS_OUT = """
() => {
  const root = document.documentElement;
  if (root.scrollWidth <= root.clientWidth) return [];
  const scrolls = (one) =>
    one && one !== root && (getComputedStyle(one).overflowX !== "visible" || scrolls(one.parentElement));
  const wide = [...document.querySelectorAll("body *")].filter((one) =>
    one.getBoundingClientRect().right > root.clientWidth + 1 && !scrolls(one.parentElement));
  return [`the document is ${root.scrollWidth} wide`, ...wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 120))];
}
"""


TOUCHED = ".button, .tab, .chip, select, summary, textarea, input:not([type=hidden], [type=checkbox], [type=radio])"
TOO_SMALL = """
(touched) => [...document.querySelectorAll(`main :is(${touched})`)]
  .filter((one) => one.checkVisibility({ checkVisibilityCSS: true }))
  .map((one) => [Math.round(one.getBoundingClientRect().height), one.outerHTML.slice(0, 120)])
  .filter(([height]) => height && height < 44).slice(0, 5)
  .map(([height, html]) => `${height} pixels for a thumb: ${html}`)
"""


def wrong_with(page: Page) -> list[str]:
    """All that is wrong with what the page shows, in all four looks and enlarged: axe's findings, what sticks out, what
    is too small for a thumb. Afterwards the page is wide and light again."""
    wrong: list[str] = []
    device = page.context.new_cdp_session(page)  # ends with the page: detached, it would take others' devices along
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        device.send("Emulation.setTouchEmulationEnabled", {"enabled": width == PHONE})
        page.emulate_media(color_scheme="light")
        wrong += [f"{width} light: {text}" for text in findings(page)]
        wrong += [f"{width}: {text}" for text in page.evaluate(STICKS_OUT)]
        if width == PHONE:
            wrong += page.evaluate(TOO_SMALL, TOUCHED)
        page.emulate_media(color_scheme="dark")  # colours are all that is different
        wrong += [f"{width} dark: {text}" for text in findings(page, only_colours=True)]
    device.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    page.set_viewport_size({"width": ENLARGED, "height": 450})
    wrong += [f"at 200 %: {text}" for text in page.evaluate(STICKS_OUT)]
    page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    page.emulate_media(color_scheme="light")
    return wrong


def require_right(page: Page, route: str) -> None:
    """For pages that only a test's own state shows; `route` is the name of its address (`pages.BY_OTHER_TESTS`)."""
    wrong = wrong_with(page)
    assert not wrong, f"{route}: " + "\n".join(wrong)
