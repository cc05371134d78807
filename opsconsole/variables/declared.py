"""Every environment variable of the console. `opsconsole/settings.py` reads them; nothing else is read from outside,
but for those whose names the estate file or a channel gives."""

from __future__ import annotations

from opsconsole.variables.kinds import Section

PRODUCTION, DEVELOPMENT = "production", "development"

_console = Section("The console")
ENVIRONMENT = _console.choice(
    "OPSCONSOLE_ENVIRONMENT",
    PRODUCTION,
    "Development has a known secret key, allows loopback hosts only and needs no TLS; never use it where anybody else "
    "can connect",
    allowed=(PRODUCTION, DEVELOPMENT),
)
ESTATE = _console.text(
    "OPSCONSOLE_ESTATE", "", "path of the [estate file](estate.md)", shown="`estate.toml` in the checkout"
)
SECRET_KEY = _console.text(
    "SECRET_KEY",
    "",
    "signs sessions, and encrypts the secrets of authenticator apps and the addresses of channels. Changing it logs "
    "everybody out, and makes those unreadable, unless the old one is among the fallbacks",
    shown="none in production",
    allowed="32 characters or more",
    secret=True,
)
SECRET_KEY_FALLBACKS = _console.words(
    "SECRET_KEY_FALLBACKS",
    "earlier values of `SECRET_KEY`: what was signed or encrypted with them is still read ([operating]"
    "(operating.md#a-new-secret_key))",
)
ALLOWED_HOSTS = _console.words(
    "ALLOWED_HOSTS",
    "host names under which the console is reached",
    shown="none in production",
    allowed="in production, no wildcards",
)
CSRF_TRUSTED_ORIGINS = _console.words(
    "CSRF_TRUSTED_ORIGINS",
    "origins such as `https://console.example.com`, needed where a proxy changes the host or the scheme",
)
DEBUG = _console.boolean("DEBUG", "Django's debug pages; production refuses to start with it")
LOG_LEVEL = _console.choice(
    "LOG_LEVEL",
    "INFO",
    "logs go to standard error",
    allowed=("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
)
LOG_FORMAT = _console.choice(
    "LOG_FORMAT",
    "line",
    "`line` for people, `json` for machines: one object a line, with `at`, `level`, `logger`, `message` and `trace_id`",
    allowed=("line", "json"),
)
SENTRY_DSN = _console.text(
    "SENTRY_DSN",
    "",
    "where errors are reported to: message and stack, without variables, bodies, cookies, people or log lines. Empty: "
    "nothing is loaded, nothing leaves",
    secret=True,
)
OTEL_EXPORTER_OTLP_ENDPOINT = _console.text(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    "where [spans](observability.md#opentelemetry) are sent to, such as `http://collector:4318`; needs the packages of "
    "`requirements-opentelemetry.txt`. Empty: nothing is loaded, nothing leaves",
)
OTEL_SERVICE_NAME = _console.text("OTEL_SERVICE_NAME", "opsconsole", "the name of the service that spans are of")
STATIC_ROOT = _console.text(
    "STATIC_ROOT",
    "",
    "where `collectstatic` puts static files, and the web process finds them",
    shown="`staticfiles` in the checkout",
)

_stores = Section(
    "Stores",
    after="The other systems' addresses are in variables that the estate file names. In the example and in this "
    "documentation these are\n`SOURCE_DATABASE_URL`, `INDEX_DATABASE_URL`, `KAFKA_BOOTSTRAP_SERVERS`, and `INDEX_URL` "
    "and `INDEX_TOKEN` for an index behind HTTP.",
)
DATABASE_URL = _stores.postgres(
    "DATABASE_URL",
    "postgresql:///opsconsole",
    "the console's own PostgreSQL, in any form that libpq takes, options too: "
    "`postgresql://role:password@host:5432/name?sslmode=verify-full`",
)
DATABASE_CONN_MAX_AGE = _stores.integer(
    "DATABASE_CONN_MAX_AGE",
    60,
    "how long the web process keeps a connection; 0 behind a pooler in transaction mode",
    unit="seconds",
)
REDIS_URL = _stores.text(
    "REDIS_URL", "redis://127.0.0.1:6379/0", "the queue's Redis or Valkey: `rediss://` for TLS", secret=True
)

_watch = Section("The watch outside")
OUTSIDE_PING_URL = _watch.text(
    "OUTSIDE_PING_URL",
    "",
    "an address that the clock asks (GET) every minute while nothing fails that `/healthz` tells; a monitor at "
    "somebody else's that expects it ([operating](operating.md#who-watches-the-clock)). No log has it",
    secret=True,
)

_calls = Section("Calls to other systems")
OPSCONSOLE_OUTGOING_ALLOW = _calls.reachable(
    "OPSCONSOLE_OUTGOING_ALLOW",
    "what outside of the open internet may be called by webhooks and services of alerts, scheduled HTTP calls, "
    "disabling by HTTP and the outgoing ping ([operating](operating.md#calls-to-other-systems)). Without it nobody who "
    "types an address can make the console call what only it can reach",
)

_kept = Section(
    "Retention",
    before="How long what has ended is kept, counted from its end; 0: for ever. `manage.py prune` removes what is "
    "older ([operating](operating.md#retention)).",
)
JOBS_KEPT_DAYS = _kept.integer(
    "JOBS_KEPT_DAYS", 365, "jobs with all that belongs to them, then their batches", unit="days"
)
DRIFT_KEPT_DAYS = _kept.integer(
    "DRIFT_KEPT_DAYS", 180, "the out-of-sync tasks that jobs found, where the job is done or was cancelled", unit="days"
)
JOB_LOGS_KEPT_DAYS = _kept.integer(
    "JOB_LOGS_KEPT_DAYS", 180, "the logs of jobs that are done or were cancelled", unit="days"
)
QUERY_RUNS_KEPT_DAYS = _kept.integer(
    "QUERY_RUNS_KEPT_DAYS", 180, "runs of queries for affected organizations; what they found goes after 7", unit="days"
)
SNAPSHOTS_KEPT_DAYS = _kept.integer(
    "SNAPSHOTS_KEPT_DAYS", 90, "counts of records by status; after 7 one for each hour stays", unit="days"
)
RUNS_KEPT_DAYS = _kept.integer(
    "RUNS_KEPT_DAYS", 90, "runs of scheduled jobs, with their logs; unsettled ones, too", unit="days"
)
PINGS_KEPT_DAYS = _kept.integer("PINGS_KEPT_DAYS", 30, "pings of monitors", unit="days")
NOTIFICATIONS_KEPT_DAYS = _kept.integer(
    "NOTIFICATIONS_KEPT_DAYS", 90, "messages that were delivered, or not needed any more", unit="days"
)
TRACKED_HISTORY_KEPT_DAYS = _kept.integer(
    "TRACKED_HISTORY_KEPT_DAYS",
    365,
    "when tracked tasks failed, when many did at once, and when nobody could see them",
    unit="days",
)
ALERTS_KEPT_DAYS = _kept.integer(
    "ALERTS_KEPT_DAYS", 365, "alerts that were resolved, with their history and their messages", unit="days"
)

_daily = Section("The daily word")
DAILY_WORD_AT = _daily.time_of_day(
    "DAILY_WORD_AT",
    "07:00",
    "when a mail goes to the operators that says that every scheduled job ran, or what did not; empty: none. It needs "
    "`EMAIL_HOST` and somebody to go to ([alerts](#alerts))",
)
DAILY_WORD_ZONE = _daily.zone("DAILY_WORD_ZONE", "UTC", "the time zone of that time")

_loops = Section("Loops")
LOOPING_ATTEMPTS = _loops.integer(
    "LOOPING_ATTEMPTS",
    3,
    "how many in a row may end badly without the checkpoint moving; with the last the job is stopped and its "
    "organization skipped",
    unit="attempts",
    minimum=2,
)
LOOPING_STARTS_PER_HOUR = _loops.integer(
    "LOOPING_STARTS_PER_HOUR",
    30,
    "starts of one organization, of whatever job, that may end without the job being done: deaths, failures, and "
    "ends at a checkpoint for memory or a deployment",
    unit="starts an hour",
    minimum=3,
)

_alerts = Section("Alerts")
CONSOLE_URL = _alerts.text(
    "CONSOLE_URL",
    "",
    "where people reach the console, such as `https://console.example.com`; messages link there. Without it they have "
    "no links",
)
ALERT_OPERATORS = _alerts.words(
    "ALERT_OPERATORS",
    "e-mail addresses that are told of what concerns the console itself, and of alerts that nobody else is told of. "
    "Without it, everybody with the role operator or administrator who has an address",
)
EMAIL_HOST = _alerts.text(
    "EMAIL_HOST", "", "the mail server. Without one, mails wait in the outbox, say so, and are given up after a day"
)
EMAIL_PORT = _alerts.integer("EMAIL_PORT", 587, "of the mail server", unit="port", minimum=1)
EMAIL_HOST_USER = _alerts.text("EMAIL_HOST_USER", "", "login at the mail server; empty: none")
EMAIL_HOST_PASSWORD = _alerts.text("EMAIL_HOST_PASSWORD", "", "its password", secret=True)
EMAIL_USE_TLS = _alerts.boolean("EMAIL_USE_TLS", "STARTTLS", shown="on in production")
EMAIL_USE_SSL = _alerts.boolean("EMAIL_USE_SSL", "TLS from the first byte (port 465); then `EMAIL_USE_TLS` must be off")
EMAIL_TIMEOUT = _alerts.integer(
    "EMAIL_TIMEOUT", 10, "how long the mail server is waited for at each step", unit="seconds", minimum=1
)
EMAIL_FROM = _alerts.text("EMAIL_FROM", "opsconsole@localhost", "the sender of all mails")

_api = Section("The API")
API_CALLS_PER_MINUTE = _api.integer(
    "API_CALLS_PER_MINUTE", 600, "of one token, or of one person's session", unit="calls a minute", minimum=1
)
API_STRANGERS_PER_MINUTE = _api.integer(
    "API_STRANGERS_PER_MINUTE",
    60,
    "from one address with no token, or one that is not valid",
    unit="calls a minute",
    minimum=1,
)

_metrics = Section("Metrics")
METRICS_NETWORKS = _metrics.networks(
    "METRICS_NETWORKS",
    "whose addresses read `/metrics` without a token. Behind a proxy every request comes from the proxy's address: "
    "keep it empty there, or keep `/metrics` from the outside at the proxy",
)
PROMETHEUS_MULTIPROC_DIR = _metrics.text(
    "PROMETHEUS_MULTIPROC_DIR",
    "",
    "a folder, empty when the web processes start, in which they sum up their request times. Without it, `/metrics` "
    "has those of the process that answers",
)

_approval = Section("Second approval")
APPROVAL_ABOVE_ORGANIZATIONS = _approval.integer(
    "APPROVAL_ABOVE_ORGANIZATIONS",
    1_000,
    "a batch that publishes for more waits for a second person ([operating](operating.md#second-approval)); 0: every "
    "one does",
    unit="organizations",
)
APPROVAL_ABOVE_TASKS = _approval.integer("APPROVAL_ABOVE_TASKS", 1_000_000, "the same by tasks", unit="tasks")

_people = Section("Logging in")
SESSION_HOURS = _people.integer("SESSION_HOURS", 12, "after which one has to log in again", unit="hours", minimum=1)
ELEVATION_MINUTES = _people.integer(
    "ELEVATION_MINUTES",
    15,
    "for which a password or second factor counts as recent ([operating](operating.md#elevation))",
    unit="minutes",
    minimum=1,
)
TRUSTED_PROXY_COUNT = _people.integer(
    "TRUSTED_PROXY_COUNT",
    0,
    "how many in front add to `X-Forwarded-For`. Without it behind a proxy, everybody has the proxy's address: on the "
    "audit log, and for the limits of attempts",
    unit="proxies",
)
OIDC_SERVER = _people.text(
    "OIDC_SERVER",
    "",
    "the identity provider's address, such as `https://login.example.com/realms/staff`; its "
    "`/.well-known/openid-configuration` says the rest. Empty: no single sign-on. The address it comes back to is "
    "`/oidc/sso/login/callback/`",
)
OIDC_NAME = _people.text("OIDC_NAME", "single sign-on", "what the button is called")
OIDC_CLIENT_ID = _people.text("OIDC_CLIENT_ID", "", "what the console is called at the provider")
OIDC_CLIENT_SECRET = _people.text("OIDC_CLIENT_SECRET", "", "its secret there", secret=True)
OIDC_GROUPS_CLAIM = _people.text("OIDC_GROUPS_CLAIM", "groups", "the claim with the person's groups")
OIDC_GROUPS = _people.pairs(
    "OIDC_GROUPS",
    "which group there is which group here: `ops=operator, ops-leads=administrator`. At each log-in the person's "
    "groups become these; who has none is not let in",
)

_tls = Section("TLS")
SECURE_TLS = _tls.boolean(
    "SECURE_TLS",
    "secure cookies, redirect to https, HSTS for a year with subdomains. `off` only for a console on loopback",
    shown="on in production",
)
TRUST_PROXY_TLS_HEADER = _tls.boolean(
    "TRUST_PROXY_TLS_HEADER",
    "the proxy in front says in `X-Forwarded-Proto` whether the request came by https. Only where that proxy sets the "
    "header itself and nobody gets past it; without it, a console behind a TLS proxy redirects for ever",
)

SECTIONS = (
    *(_console, _stores, _watch, _calls, _kept, _daily, _loops, _alerts, _api, _metrics, _approval, _people, _tls),
    Section(
        "Only the demonstration",
        before="`make demo` uses a server that the environment names instead of starting its own: `DATABASE_URL`, "
        "`SOURCE_DATABASE_URL`, `INDEX_DATABASE_URL`,\n`REDIS_URL`, `KAFKA_BOOTSTRAP_SERVERS`. It writes a company "
        "into source and index, so those two also need\n`SOURCE_OWNER_DATABASE_URL` and `INDEX_OWNER_DATABASE_URL`, "
        "roles that may create tables in empty databases; `CAPTURES_DATABASE_URL` is a role that may disable\n"
        "captures, the source's owner where it is not given. `KAFKA_API_VERSION` is for brokers that do not tell their "
        "version.",
    ),
)
