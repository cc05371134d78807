"""The one settings file. Everything that differs between places comes from the environment, by the variables declared
in `opsconsole/variables/declared.py` (`docs/settings.md`)."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from opsconsole.variables import declared as variables

BASE_DIR = Path(__file__).resolve().parent.parent

ENVIRONMENT = variables.ENVIRONMENT.read()
IN_PRODUCTION = ENVIRONMENT == variables.PRODUCTION

DEBUG = variables.DEBUG.read()
SECRET_KEY = variables.SECRET_KEY.read("" if IN_PRODUCTION else "development-only-key-never-used-in-production-000000")
SECRET_KEY_FALLBACKS = variables.SECRET_KEY_FALLBACKS.read()
ALLOWED_HOSTS = variables.ALLOWED_HOSTS.read([] if IN_PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = variables.CSRF_TRUSTED_ORIGINS.read()


SHORTEST_SECRET = 32


def refuse_unsafe_production() -> None:
    """Production does not start half safe: every reason is named at once."""
    reasons = []
    if len(SECRET_KEY) < SHORTEST_SECRET:
        reasons.append(f"SECRET_KEY is missing or shorter than {SHORTEST_SECRET} characters")
    if DEBUG:
        reasons.append("DEBUG is on")
    if not ALLOWED_HOSTS:
        reasons.append("ALLOWED_HOSTS is empty")
    if any("*" in host for host in ALLOWED_HOSTS):
        reasons.append("ALLOWED_HOSTS has a wildcard")
    if reasons:
        raise ImproperlyConfigured(
            f"Refusing to start in production: {'; '.join(reasons)}. "
            "Set them, or OPSCONSOLE_ENVIRONMENT=development on a developer's machine."
        )


if IN_PRODUCTION:
    refuse_unsafe_production()

INSTALLED_APPS = [
    "opsconsole.admin_site.ConsoleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_rq",
    "django_tables2",
    "opsconsole.apps.OpsconsoleConfig",
    "sync.apps.SyncConfig",
    "monitoring.records.apps.RecordsConfig",
    "monitoring.pipeline.apps.PipelineConfig",
    "monitoring.schedules.apps.SchedulesConfig",
    "monitoring.abandonment.apps.AbandonmentConfig",
    "monitoring.alerts.apps.AlertsConfig",
]

MIDDLEWARE = [
    "opsconsole.trace.TraceMiddleware",
    "opsconsole.spans.SpanMiddleware",
    "opsconsole.metrics_page.RequestTimes",
    "opsconsole.live.LivePace",
    "django.middleware.security.SecurityMiddleware",
    "opsconsole.middleware.PermissionsPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "opsconsole.middleware.VisibleTextMiddleware",
    "opsconsole.middleware.SentenceErrorMiddleware",
]

ROOT_URLCONF = "opsconsole.urls"
WSGI_APPLICATION = "opsconsole.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": variables.DATABASE_URL.read()}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = variables.DATABASE_CONN_MAX_AGE.read()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "opsconsole.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "account_login"
AUTHENTICATION_BACKENDS = ["opsconsole.signin.backend.ScopedBackend"]
SESSION_COOKIE_AGE = 60 * 60 * variables.SESSION_HOURS.read()
# What acts on customers' data asks for a password or second factor that is not older than this.
ELEVATION_SECONDS = 60 * variables.ELEVATION_MINUTES.read()

# django-allauth: nobody signs up, nobody is mailed, and attempts are counted for all processes together.
ACCOUNT_ADAPTER = "opsconsole.signin.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True  # no such question: a session ends after SESSION_HOURS
ACCOUNT_SESSION_COOKIE_AGE = SESSION_COOKIE_AGE
ACCOUNT_RATE_LIMITS = {
    # Five wrong passwords for a name lock it for five minutes, whoever types; ten a minute from one address.
    "login": "60/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "reauthenticate": "10/m/user",
}
ALLAUTH_TRUSTED_PROXY_COUNT = variables.TRUSTED_PROXY_COUNT.read()
MFA_ADAPTER = "opsconsole.signin.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Opsconsole"
MFA_TOTP_TOLERANCE = 1  # half a minute of a phone's clock being wrong
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IN_PRODUCTION

# One identity provider by OpenID Connect; its groups give the roles: OIDC_GROUPS="their-group=operator, …".
OIDC_SERVER = variables.OIDC_SERVER.read()
OIDC_NAME = variables.OIDC_NAME.read()
OIDC_GROUPS_CLAIM = variables.OIDC_GROUPS_CLAIM.read()
OIDC_GROUPS = variables.OIDC_GROUPS.read()
SOCIALACCOUNT_ADAPTER = "opsconsole.signin.adapters.ProviderAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": OIDC_NAME,
                "client_id": variables.OIDC_CLIENT_ID.read(),
                "secret": variables.OIDC_CLIENT_SECRET.read(),
                "settings": {"server_url": OIDC_SERVER},
            }
        ]
        if OIDC_SERVER
        else [],
    }
}

# RQ carries messages; truth is in PostgreSQL. JSON everywhere: a pickle from Redis would be code.
REDIS_URL = variables.REDIS_URL.read()
CACHES = {"default": {"BACKEND": "opsconsole.cache.SteadyCache", "KEY_PREFIX": "opsconsole"}}
QUEUES = ("high", "default", "low")
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer", "DEFAULT_TIMEOUT": -1} for name in QUEUES
}
RQ = {"WORKER_CLASS": "opsconsole.worker.ConsoleWorker", "COMMIT_MODE": "auto"}
RQ_SHOW_ADMIN_LINK = False
WORKER_PRELOAD = ("sync.jobs",)

# When a job counts as looping: attempts in a row that end badly at one checkpoint, and starts of one organization
# within an hour that did not finish its job.
LOOPING_ATTEMPTS = variables.LOOPING_ATTEMPTS.read()
LOOPING_STARTS_PER_HOUR = variables.LOOPING_STARTS_PER_HOUR.read()

# A watch outside of the console that expects a request every minute, and alerts when none comes.
OUTSIDE_PING_URL = variables.OUTSIDE_PING_URL.read()

# What the console calls because somebody configured its address may be on the open internet, or here.
OUTGOING_ALLOW = variables.OPSCONSOLE_OUTGOING_ALLOW.read()

# Alerts leave by e-mail and by channels. Without a mail server, mails wait in the outbox and say why.
CONSOLE_URL = variables.CONSOLE_URL.read().rstrip("/")
ALERT_OPERATORS = variables.ALERT_OPERATORS.read()
EMAIL_HOST = variables.EMAIL_HOST.read()
EMAIL_PORT = variables.EMAIL_PORT.read()
EMAIL_HOST_USER = variables.EMAIL_HOST_USER.read()
EMAIL_HOST_PASSWORD = variables.EMAIL_HOST_PASSWORD.read()
EMAIL_USE_TLS = variables.EMAIL_USE_TLS.read(IN_PRODUCTION)
EMAIL_USE_SSL = variables.EMAIL_USE_SSL.read()
EMAIL_TIMEOUT = variables.EMAIL_TIMEOUT.read()
DEFAULT_FROM_EMAIL = SERVER_EMAIL = variables.EMAIL_FROM.read()
# Who may read /metrics without a token, and where web processes that share a folder keep their request times.
METRICS_NETWORKS = variables.METRICS_NETWORKS.read()
PROMETHEUS_FOLDER = variables.PROMETHEUS_MULTIPROC_DIR.read()

# A batch that publishes for more than this waits for a second person's approval.
APPROVAL_ABOVE_ORGANIZATIONS = variables.APPROVAL_ABOVE_ORGANIZATIONS.read()
APPROVAL_ABOVE_TASKS = variables.APPROVAL_ABOVE_TASKS.read()

# Calls of the API a minute: of one token (or one person's session), and from one address without either.
API_CALLS_PER_MINUTE = variables.API_CALLS_PER_MINUTE.read()
API_STRANGERS_PER_MINUTE = variables.API_STRANGERS_PER_MINUTE.read()

# For how many days what has ended is kept; 0: for ever.
JOBS_KEPT_DAYS = variables.JOBS_KEPT_DAYS.read()
DRIFT_KEPT_DAYS = variables.DRIFT_KEPT_DAYS.read()
JOB_LOGS_KEPT_DAYS = variables.JOB_LOGS_KEPT_DAYS.read()
QUERY_RUNS_KEPT_DAYS = variables.QUERY_RUNS_KEPT_DAYS.read()
SNAPSHOTS_KEPT_DAYS = variables.SNAPSHOTS_KEPT_DAYS.read()
RUNS_KEPT_DAYS = variables.RUNS_KEPT_DAYS.read()
PINGS_KEPT_DAYS = variables.PINGS_KEPT_DAYS.read()
TRACKED_HISTORY_KEPT_DAYS = variables.TRACKED_HISTORY_KEPT_DAYS.read()
NOTIFICATIONS_KEPT_DAYS = variables.NOTIFICATIONS_KEPT_DAYS.read()
ALERTS_KEPT_DAYS = variables.ALERTS_KEPT_DAYS.read()

# The daily word to operators: that every due time ran, or what did not.
DAILY_WORD_AT = variables.DAILY_WORD_AT.read()
DAILY_WORD_ZONE = variables.DAILY_WORD_ZONE.read()

ESTATE = variables.ESTATE.read(str(BASE_DIR / "estate.toml"))

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = Path(variables.STATIC_ROOT.read(str(BASE_DIR / "staticfiles")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IN_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not IN_PRODUCTION
WHITENOISE_AUTOREFRESH = False

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
# TLS usually ends at a proxy; `SECURE_TLS=off` is for a console on loopback only.
SECURE_TLS = variables.SECURE_TLS.read(IN_PRODUCTION)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^livez$"]  # probes inside a network speak plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_TLS
if variables.TRUST_PROXY_TLS_HEADER.read():
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# A pasted list of 100,000 ids is up to 5.5 MB as a form sends it (quotes and line ends take three characters each).
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

LOG_LEVEL = variables.LOG_LEVEL.read()
SENTRY_DSN = variables.SENTRY_DSN.read()
OTEL_EXPORTER_OTLP_ENDPOINT = variables.OTEL_EXPORTER_OTLP_ENDPOINT.read()
OTEL_SERVICE_NAME = variables.OTEL_SERVICE_NAME.read()
LOG_FORMAT = variables.LOG_FORMAT.read()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"trace": {"()": "opsconsole.logs.TraceFilter"}},
    "formatters": {
        "line": {
            "()": "opsconsole.logs.LineFormatter",
            "format": "{asctime} {levelname:<7} {trace_id} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "opsconsole.logs.JsonLineFormatter"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["trace"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # The HTTP clients would log every address that they ask, and headers, secrets and all, whatever LOG_LEVEL is.
    "loggers": {
        "kafka": {"level": "WARNING"},
        **{name: {"level": "WARNING"} for name in ("httpx", "httpcore", "urllib3", "requests")},
    },
}
