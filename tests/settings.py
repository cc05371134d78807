"""The console's settings as the tests, and mypy, see them: development, whatever the shell says."""

import os

os.environ["OPSCONSOLE_ENVIRONMENT"] = "development"
# What is called in tests is on loopback; processes that they start have it from here, too.
os.environ["OPSCONSOLE_OUTGOING_ALLOW"] = "127.0.0.0/8, ::1"

from opsconsole.settings import *  # noqa: F403

# Logging in happens in nearly every page test; a strong hash would be most of their time.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Static files come from the finders here; whitenoise warns of a folder that nobody has collected into.
STATIC_ROOT = None  # type: ignore[assignment]

# Second approval has tests of its own; all others start what they like.
APPROVAL_ABOVE_ORGANIZATIONS = APPROVAL_ABOVE_TASKS = 10**9

# Every test client loads the middleware anew: looking all static files up each time is a tenth of a page's test.
WHITENOISE_AUTOREFRESH = True
