"""axe-core on a page. The script comes from an installed package and gets in past the page's policy, as a debugger's
would, so that the page keeps its policy while it is judged."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
# The look may just have been changed: two frames later its colours are those that stay.
SETTLE = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
RUN = """
async (options) => {
  const found = await axe.run(document, { resultTypes: ["violations"], preload: false, ...options });
  return found.violations.map((one) => ({ id: one.id, help: one.help, nodes: one.nodes.map((node) =>
    `${node.html.slice(0, 200)} (${node.any.concat(node.all, node.none).map((check) => check.message).join(" ")})`) }));
}
"""


@cache
def script() -> str:
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def findings(page: Page, *, only_colours: bool = False) -> list[str]:
    """One text per rule broken, with the elements that break it."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(script())
    page.evaluate(SETTLE)
    violations: list[dict[str, Any]] = page.evaluate(RUN, COLOURS if only_colours else {})
    return [f"{one['id']}: {one['help']}: " + " | ".join(one["nodes"][:5]) for one in violations]
