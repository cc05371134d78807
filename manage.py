#!/usr/bin/env python
"""Entry point of every command: `python manage.py help` lists them."""

import gc
import os
import sys

# What is loaded at the start stays: looking through it again and again for what could go is a tenth of a start.
YOUNG_OBJECTS = 20_000


def main() -> None:
    gc.set_threshold(YOUNG_OBJECTS, 10, 10)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
    if sys.argv[1:2] == ["demo"]:  # nothing of a demonstration is production
        os.environ.setdefault("OPSCONSOLE_ENVIRONMENT", "development")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
