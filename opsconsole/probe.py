"""`python -m opsconsole.probe`: does the web process of this machine answer? For health checks inside a container.

The console answers under its own host names only, so the request names the first of them.
"""

from __future__ import annotations

import http.client
import sys

from opsconsole.variables import declared as variables

PORT = 8000
PATIENCE = 3.0


def what_is_wrong(port: int = PORT) -> str:
    """A sentence; empty where it answers `/livez` with 200."""
    hosts = variables.ALLOWED_HOSTS.read()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", "/livez", headers={"Host": hosts[0].lstrip(".") if hosts else "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"Port {port} does not answer: {error}."
    finally:
        connection.close()
    return "" if status == http.client.OK else f"/livez on port {port} answers {status}."


if __name__ == "__main__":
    sys.exit(what_is_wrong() or 0)
