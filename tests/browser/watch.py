"""What a page complains about while it is used: errors of its scripts, blocked content, answers that did not come."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page, Response

VIOLATIONS = """
window.cspViolations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.cspViolations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Watch:
    """Attach it before the page goes anywhere."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self._page = page
        page.add_init_script(VIOLATIONS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        # A refused form is an answer like others; which status it may have, `_answered` judges.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _answered(self, response: Response) -> None:
        limit = 500 if response.request.resource_type == "document" else 400
        if response.status >= limit:
            self.complaints.append(f"{response.status}: {response.url}")

    def found(self) -> list[str]:
        """Everything so far, the blocked content of the page shown now included."""
        return self.complaints + [f"policy: {text}" for text in self._page.evaluate("window.cspViolations ?? []")]

    def taken(self) -> list[str]:
        """As `found`, and from here on it begins anew."""
        found = self.found()
        self.complaints.clear()
        return found
