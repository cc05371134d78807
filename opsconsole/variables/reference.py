"""`docs/settings.md`, made of the declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opsconsole.variables.declared import SECTIONS
from opsconsole.variables.kinds import Section, Variable

HEAD = """# Settings: the environment variables

Everything that differs between places comes from the environment. This page is made of the declarations in `opsconsole/variables/declared.py`
(`manage.py settings_reference --write`), and `opsconsole/settings.py` reads what is declared there. Each variable can
also be given as `NAME_FILE`, the path of a file that holds the value (a mounted secret); setting both is refused. A value that cannot be used stops
the start with a sentence naming the variable.

Kinds: *text*; *choice*; *boolean* (`1`, `true`, `yes`, `on`, `0`, `false`, `no`, `off`); *number*, a whole one; *list*, separated by commas;
*time* of day (`07:00`); *zone*, a time zone. What is marked as a secret is better given as a file."""  # noqa: E501  (prose)
COLUMNS = "| variable | kind and what is allowed | default | unit | meaning |\n|---|---|---|---|---|"


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n\n".join([HEAD, *(part for section in SECTIONS for part in _section(section))]) + "\n"


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}"
    if section.before:
        yield section.before
    if section.variables:
        yield "\n".join([COLUMNS, *(_row(variable) for variable in section.variables)])
    if section.after:
        yield section.after


def _row(variable: Variable[Any]) -> str:
    kind = variable.kind + (f": {variable.allowed}" if variable.allowed else "")
    if variable.secret:
        kind += " (secret)"
    cells = (f"`{variable.name}`", kind, variable.default, variable.unit, variable.meaning)
    return f"| {' | '.join(cells)} |"
