# The console's image: web by default; workers, clock and migrations are other commands of the same image.
# It runs with a read-only file system; only /tmp and /dev/shm are written to.
FROM python:3.13-slim-bookworm AS packages
WORKDIR /srv/opsconsole
COPY requirements.txt .
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --disable-pip-version-check --requirement requirements.txt

FROM python:3.13-slim-bookworm
ENV PATH=/srv/opsconsole/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPSCONSOLE_ESTATE=/etc/opsconsole/estate.toml
RUN groupadd --gid 10001 opsconsole \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin opsconsole
WORKDIR /srv/opsconsole
COPY --from=packages /srv/opsconsole/.venv .venv
COPY . .
# Collected and compiled here: nothing is written when it runs. The key is of this one command, and kept nowhere.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_hex(32))')" ALLOWED_HOSTS=localhost \
        python manage.py collectstatic --noinput \
    && python -m compileall -q manage.py opsconsole sync monitoring
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Of the web process. Workers and clocks are judged by the console itself: switch it off for them.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-m", "opsconsole.probe"]
CMD ["gunicorn", "opsconsole.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
