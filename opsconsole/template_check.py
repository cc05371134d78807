"""A system check that compiles every template of the project, so that a mistake is found before a page is opened.

It runs with `manage.py check --deploy` only: every other command would pay for it at its start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.template import Template, TemplateDoesNotExist, TemplateSyntaxError, engines
from django.template.backends.django import DjangoTemplates
from django.template.base import FilterExpression, Node
from django.template.defaulttags import URLNode
from django.template.loader_tags import ExtendsNode, IncludeNode
from django.urls import URLResolver, get_resolver

NodeKind = TypeVar("NodeKind", bound=Node)


def project_templates() -> Iterator[tuple[DjangoTemplates, Path]]:
    """Each engine with each template file in its folders that is the project's own."""
    for engine in engines.all():
        if not isinstance(engine, DjangoTemplates):
            continue
        for folder in map(Path, engine.template_dirs):
            if folder.is_relative_to(settings.BASE_DIR) and "site-packages" not in folder.parts:
                yield from ((engine, path) for path in sorted(folder.rglob("*")) if path.is_file())


def route_names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Every name that `{% url %}` can be given, namespaces included."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            namespace = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            yield from route_names(pattern, namespace)
        elif pattern.name:
            yield f"{prefix}{pattern.name}"


def constant(expression: FilterExpression | Node) -> str | None:
    """The text of an argument in quotes; None where it is a variable, known only when a page is made."""
    if isinstance(expression, FilterExpression) and isinstance(expression.var, str):
        return expression.var
    return None


def nodes_of_kind(template: Template, kind: type[NodeKind]) -> list[NodeKind]:
    return [node for node in template.nodelist.get_nodes_by_type(kind) if isinstance(node, kind)]


def template_mistakes(engine: DjangoTemplates, template: Template, routes: frozenset[str]) -> Iterator[str]:
    """What compiles but cannot render: parents and parts that do not exist, and routes that have no name like that."""
    parents = [constant(node.parent_name) for node in nodes_of_kind(template, ExtendsNode)]
    parts = [constant(node.template) for node in nodes_of_kind(template, IncludeNode)]
    for name in filter(None, [*parents, *parts]):
        try:
            engine.engine.find_template(name)
        except TemplateDoesNotExist:
            yield f"it names the template {name!r}, which does not exist"
        except TemplateSyntaxError:
            continue  # said of that template itself
    for node in nodes_of_kind(template, URLNode):
        route = constant(node.view_name)
        if route and not node.asvar and route not in routes:
            yield f"it names the route {route!r}, which does not exist"


def mistakes_of_file(engine: DjangoTemplates, path: Path, routes: frozenset[str]) -> Iterator[str]:
    try:
        template = engine.engine.from_string(path.read_text(encoding="utf-8"))
    except (TemplateSyntaxError, UnicodeDecodeError) as error:
        line = getattr(getattr(error, "token", None), "lineno", None)
        yield f"line {line}: {error}" if line else str(error)
        return
    yield from template_mistakes(engine, template, routes)


@register(Tags.templates, deploy=True)
def check_templates(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Errors `opsconsole.E801`, one for each mistake in a template file."""
    routes = frozenset(route_names(get_resolver()))
    return [
        Error(f"Template {path.relative_to(settings.BASE_DIR)}: {mistake.rstrip('.')}.", id="opsconsole.E801")
        for engine, path in project_templates()
        for mistake in mistakes_of_file(engine, path, routes)
    ]
