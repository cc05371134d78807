"""Signing in with a second factor and with a passkey, and an act that asks once more, as a person does them."""

from __future__ import annotations

import time

from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.looks import require_right, wrong_with
from tests.browser.place import Console
from tests.browser.steps import age_session

STEP = 30


def code(secret: str, steps: int = 0) -> str:
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // STEP + steps)))


def log_in(page: Page, console: Console, role: str = "viewer") -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(role)
    page.get_by_label("Password").fill(console.passwords[role])
    page.get_by_role("button", name="Log in", exact=True).click()


def forget(console: Console) -> None:
    console.ask("DELETE FROM mfa_authenticator")


def test_an_authenticator_app_from_adding_to_recovery(open_page: Open, console: Console) -> None:
    forget(console)
    page = open_page(None)
    log_in(page, console)
    page.goto("/account/app/")
    secret = page.locator(".ident .mono").inner_text()
    page.get_by_label("Authenticator code").fill(code(secret))
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    recovery = page.locator("pre").inner_text().split()
    assert len(recovery) == 10
    require_right(page, "mfa_view_recovery_codes")
    page.goto("/account/codes/new/")
    require_right(page, "mfa_generate_recovery_codes")
    page.goto("/account/app/remove/")
    require_right(page, "mfa_deactivate_totp")
    page.get_by_role("button", name="Log out").click()
    log_in(page, console)
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    require_right(page, "mfa_authenticate")
    page.goto("/sync/jobs/")  # the password alone opens nothing
    expect(page.get_by_role("heading", level=1)).to_have_text("Second factor")
    page.get_by_label("Code").fill(code(secret, steps=1))  # a code works once; the next one is taken early
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".person-name")).to_have_text("viewer")
    page.get_by_role("button", name="Log out").click()
    log_in(page, console)
    page.get_by_label("Code").fill(recovery[0])
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(".person-name")).to_have_text("viewer")
    forget(console)


def test_a_passkey_logs_in_alone(open_page: Open, console: Console) -> None:
    """Chromium plays the device."""
    forget(console)
    page = open_page(None)
    device = page.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    device.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": options | {"isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    # A passkey is bound to a name, and an address is none.
    local = console.address.replace("127.0.0.1", "localhost")
    page.goto(f"{local}/login/")
    page.get_by_label("Username").fill("viewer")
    page.get_by_label("Password").fill(console.passwords["viewer"])
    page.get_by_role("button", name="Log in", exact=True).click()
    page.goto(f"{local}/account/passkeys/add/")
    page.get_by_label("Passwordless").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    ((passkey,),) = console.ask("SELECT id FROM mfa_authenticator WHERE type = 'webauthn'")
    page.goto(f"{local}/account/passkeys/")
    assert wrong_with(page) == []
    page.goto(f"{local}/account/passkeys/{passkey}/remove/")
    require_right(page, "mfa_remove_webauthn")
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator(".person-name")).to_have_text("viewer")
    forget(console)


def test_an_act_asks_again_after_a_while_and_keeps_what_was_typed(open_page: Open, console: Console) -> None:
    page = open_page(None)
    log_in(page, console, "administrator")
    page.goto("/pipeline/limits/")
    page.get_by_label("Reason").fill("a quiet weekend")
    age_session(page, console)
    page.get_by_role("button", name="Change limits").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Is it you?")
    assert wrong_with(page) == []
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Confirm by password").click()
    expect(page.get_by_role("alert")).to_contain_text("ncorrect")
    page.get_by_label("Password").fill(console.passwords["administrator"])
    page.get_by_role("button", name="Confirm by password").click()
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Is it you?")
