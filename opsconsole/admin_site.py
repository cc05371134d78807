"""Django's administration under the console's rules: whoever changes something has lately confirmed who they are."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase

LIMITED = (
    "The administration shows everything, and your groups limit you to some organizations or record sources. The "
    "console's own pages have what is yours."
)


class ConsoleAdminConfig(AdminConfig):
    default_site = "opsconsole.admin_site.ConsoleAdminSite"


class ConsoleAdminSite(AdminSite):
    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        inner = super().admin_view(view, cacheable)

        # Here and not above: the administration is loaded before the apps that this needs.
        from opsconsole.scoping import is_limited_anywhere

        @wraps(inner)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.user.is_authenticated and is_limited_anywhere(request.user):
                raise PermissionDenied(LIMITED)
            if request.method == "POST" and self.has_permission(request):
                # Here and not above: the administration is loaded before the apps that this needs.
                from opsconsole.signin.elevation import confirmation

                answer = confirmation(request)
                if answer is not None:
                    return answer
            response: HttpResponseBase = inner(request, *args, **kwargs)
            return response

        return guarded
