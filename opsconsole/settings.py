"""The one settings file. Everything that differs between places comes from the environment (`docs/settings.md`)."""

from __future__ import annotations

from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from opsconsole import env

BASE_DIR = Path(__file__).resolve().parent.parent

PRODUCTION, DEVELOPMENT = "production", "development"
ENVIRONMENT = env.text("OPSCONSOLE_ENVIRONMENT", PRODUCTION)
if ENVIRONMENT not in (PRODUCTION, DEVELOPMENT):
    raise ImproperlyConfigured(
        f"OPSCONSOLE_ENVIRONMENT is {ENVIRONMENT!r}; allowed are {PRODUCTION!r} (the default) and {DEVELOPMENT!r}."
    )
IN_PRODUCTION = ENVIRONMENT == PRODUCTION

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", "" if IN_PRODUCTION else "development-only-key-never-used-in-production-000000")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", () if IN_PRODUCTION else ("localhost", "127.0.0.1", "[::1]"))
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")


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
    "opsconsole.metrics_page.RequestTimes",
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

DATABASES = {"default": env.postgres("DATABASE_URL", "postgresql:///opsconsole")}
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"]["CONN_MAX_AGE"] = env.integer("DATABASE_CONN_MAX_AGE", 60)
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
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
SESSION_COOKIE_AGE = 60 * 60 * env.integer("SESSION_HOURS", 12, minimum=1)
# What acts on customers' data asks for a password or second factor that is not older than this.
ELEVATION_SECONDS = 60 * env.integer("ELEVATION_MINUTES", 15, minimum=1)

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
ALLAUTH_TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 0)
MFA_ADAPTER = "opsconsole.signin.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Opsconsole"
MFA_TOTP_TOLERANCE = 1  # half a minute of a phone's clock being wrong
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IN_PRODUCTION

# One identity provider by OpenID Connect; its groups give the roles: OIDC_GROUPS="their-group=operator, …".
OIDC_SERVER = env.text("OIDC_SERVER", "")
OIDC_NAME = env.text("OIDC_NAME", "single sign-on")
OIDC_GROUPS_CLAIM = env.text("OIDC_GROUPS_CLAIM", "groups")
OIDC_GROUPS = env.pairs("OIDC_GROUPS")
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
                "client_id": env.text("OIDC_CLIENT_ID", ""),
                "secret": env.text("OIDC_CLIENT_SECRET", ""),
                "settings": {"server_url": OIDC_SERVER},
            }
        ]
        if OIDC_SERVER
        else [],
    }
}

# RQ carries messages; truth is in PostgreSQL. JSON everywhere: a pickle from Redis would be code.
REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")
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
LOOPING_ATTEMPTS = env.integer("LOOPING_ATTEMPTS", 3, minimum=2)
LOOPING_STARTS_PER_HOUR = env.integer("LOOPING_STARTS_PER_HOUR", 30, minimum=3)

# A watch outside of the console that expects a request every minute, and alerts when none comes.
OUTSIDE_PING_URL = env.text("OUTSIDE_PING_URL", "")

# Alerts leave by e-mail and by channels. Without a mail server, mails wait in the outbox and say why.
CONSOLE_URL = env.text("CONSOLE_URL", "").rstrip("/")
ALERT_OPERATORS = env.words("ALERT_OPERATORS")
ALERTS_REACH_PRIVATE = env.boolean("ALERTS_REACH_PRIVATE", default=False)
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_PORT = env.integer("EMAIL_PORT", 587, minimum=1)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", default=IN_PRODUCTION)
EMAIL_USE_SSL = env.boolean("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = env.integer("EMAIL_TIMEOUT", 10, minimum=1)
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.text("EMAIL_FROM", "opsconsole@localhost")
# Who may read /metrics without a token, and where web processes that share a folder keep their request times.
METRICS_NETWORKS = env.networks("METRICS_NETWORKS")
PROMETHEUS_FOLDER = env.text("PROMETHEUS_MULTIPROC_DIR", "")

# A batch that publishes for more than this waits for a second person's approval.
APPROVAL_ABOVE_ORGANIZATIONS = env.integer("APPROVAL_ABOVE_ORGANIZATIONS", 1_000)
APPROVAL_ABOVE_TASKS = env.integer("APPROVAL_ABOVE_TASKS", 1_000_000)

# Calls of the API a minute: of one token (or one person's session), and from one address without either.
API_CALLS_PER_MINUTE = env.integer("API_CALLS_PER_MINUTE", 600, minimum=1)
API_STRANGERS_PER_MINUTE = env.integer("API_STRANGERS_PER_MINUTE", 60, minimum=1)

# How long runs of scheduled jobs, with their logs, and pings of monitors are kept.
RUNS_KEPT_DAYS = env.integer("RUNS_KEPT_DAYS", 90, minimum=1)
PINGS_KEPT_DAYS = env.integer("PINGS_KEPT_DAYS", 30, minimum=1)

# The daily word to operators: that every due time ran, or what did not.
DAILY_WORD_AT = env.time_of_day("DAILY_WORD_AT", "07:00")
DAILY_WORD_ZONE = env.zone("DAILY_WORD_ZONE", "UTC")

ESTATE = env.text("OPSCONSOLE_ESTATE", str(BASE_DIR / "estate.toml"))

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
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
SECURE_TLS = env.boolean("SECURE_TLS", default=IN_PRODUCTION)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = SECURE_TLS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^livez$"]  # probes inside a network speak plain HTTP
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_TLS
if env.boolean("TRUST_PROXY_TLS_HEADER", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# A pasted list of 100,000 ids is up to 5.5 MB as a form sends it (quotes and line ends take three characters each).
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

LOG_LEVEL = env.text("LOG_LEVEL", "INFO").upper()
SENTRY_DSN = env.text("SENTRY_DSN", "")
LOG_FORMAT = env.text("LOG_FORMAT", "line").lower()
if LOG_FORMAT not in ("line", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; allowed are 'line' (the default) and 'json'.")
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
    # httpx would log every address that it asks, secrets and all.
    "loggers": {"kafka": {"level": "WARNING"}, "httpx": {"level": "WARNING"}},
}
