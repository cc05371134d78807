"""What gunicorn serves: `gunicorn opsconsole.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opsconsole.settings")
application = get_wsgi_application()

from opsconsole.clock.watch import watch_in_background  # noqa: E402  (Django has to be set up)

watch_in_background()
