"""Every page of the console with example arguments, for the tests that walk them all and for the screenshots."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.urls import URLResolver, get_resolver, reverse

from tests.browser.scene import Scene

Argument = Callable[[Scene], object]


@dataclass(frozen=True, slots=True)
class Example:
    """A page that a GET shows. `name` is its test's and its picture's; `status` what the server answers."""

    name: str
    route: str
    arguments: tuple[Argument, ...] = ()
    query: Callable[[Scene], str] | None = None
    role: str | None = "operator"
    status: int = 200

    def address(self, scene: Scene) -> str:
        query = f"?{self.query(scene)}" if self.query else ""
        return reverse(self.route, args=[argument(scene) for argument in self.arguments]) + query


def run(scene: Scene) -> int:
    return scene.run


def synced(scene: Scene) -> int:
    return scene.synced


def held(scene: Scene) -> int:
    return scene.held


def drifted(scene: Scene) -> int:
    return scene.drifted_job


def looping(scene: Scene) -> int:
    return scene.looping_job


def organization(scene: Scene) -> str:
    return str(scene.organization)


def uploads(_: Scene) -> str:
    return "uploads"


def pulse(_: Scene) -> str:
    return "pulse"


def nightly(_: Scene) -> str:
    return "nightly-check"


def alert(scene: Scene) -> int:
    return scene.alert


def channel(scene: Scene) -> int:
    return scene.channel


def tracked(scene: Scene) -> int:
    return scene.tracked


def ways(way: str) -> Callable[[Scene], str]:
    return lambda _: f"way={way}"


EXAMPLES = (
    Example("login", "account_login", role=None),
    Example("styleguide", "styleguide", role="administrator"),
    Example("affected", "sync:affected"),
    Example("affected-wrong", "sync:affected", query=lambda _: "from=yesterday&to=&min=-1", status=400),
    Example("affected-of-a-run", "sync:affected", query=lambda scene: f"like={scene.run}"),
    Example("affected-runs", "sync:affected_runs"),
    Example("affected-run", "sync:affected_run", (run,)),
    Example("affected-run-for-a-viewer", "sync:affected_run", (run,), role="viewer"),
    Example("affected-estimate", "sync:affected_estimate", (run,)),
    Example("affected-why", "sync:affected_why", (run, organization)),
    Example("account", "mfa_index"),
    Example("account-preferences", "preferences"),
    Example("account-password", "account_change_password"),
    Example("account-app", "mfa_activate_totp"),
    Example("account-passkeys", "mfa_list_webauthn"),
    Example("account-passkey-add", "mfa_add_webauthn"),
    Example("account-sessions", "sessions"),
    Example("account-inactive", "account_inactive", role=None),
    Example("audit", "audit"),
    Example("audit-wrong", "audit", query=lambda _: "trace=nonsense&start=yesterday", status=400),
    Example("audit-entry", "audit_entry", (lambda scene: scene.audit_entry,)),
    Example("staged", "sync:staged"),
    Example("staged-for-a-viewer", "sync:staged", role="viewer"),
    Example("staged-clear", "sync:staged_clear"),
    Example("approvals", "sync:approvals"),
    Example("batches", "sync:batches"),
    Example("batches-none", "sync:batches", query=lambda _: "state=cancelled"),
    Example("batch-new", "sync:batch_new"),
    Example("plan", "sync:plan", (lambda scene: scene.plan,)),
    Example("batch", "sync:batch", (synced,)),
    Example("batch-held", "sync:batch", (held,)),
    Example("batch-compare", "sync:batch_compare", (synced,), query=lambda scene: f"other={scene.reported}"),
    Example("batch-compare-ask", "sync:batch_compare", (synced,)),
    Example("batch-cancel", "sync:batch_cancel", (held,)),
    Example("batch-pause", "sync:batch_pause", (held,)),
    Example("batch-resume", "sync:batch_resume", (held,)),
    Example("batch-throttle", "sync:batch_throttle", (held,)),
    Example("batch-go", "sync:batch_go", (held,)),
    Example("batch-retry", "sync:batch_retry", (held,)),
    Example("jobs", "sync:jobs"),
    Example("jobs-for-a-viewer", "sync:jobs", role="viewer"),
    Example("jobs-of-an-organization", "sync:jobs", query=lambda scene: f"organization={scene.organization}"),
    Example("jobs-filtered", "sync:jobs", query=lambda _: "mode=sync&worker=nobody"),
    Example("jobs-wrong", "sync:jobs", query=lambda _: "organization=nonsense&batch=x", status=400),
    Example("job-errors", "sync:job_errors"),
    Example("jobs-cancel", "sync:jobs_cancel", query=lambda _: "state=planned"),
    Example("dead-letters", "sync:dead_letters"),
    Example("dead-letters-for-a-viewer", "sync:dead_letters", role="viewer"),
    Example("dead-letters-of-an-administrator", "sync:dead_letters", role="administrator"),
    Example("jobs-delete", "sync:jobs_delete", query=lambda _: "state=dead", role="administrator"),
    Example("jobs-stop", "sync:jobs_stop"),
    Example("jobs-kill", "sync:jobs_kill"),
    Example("jobs-retry", "sync:jobs_retry", query=lambda _: "state=looping"),
    Example("jobs-skip", "sync:jobs_skip", query=lambda _: "state=looping"),
    Example("job", "sync:job", (lambda scene: scene.done_job,)),
    Example("job-with-drift", "sync:job", (drifted,)),
    Example("job-looping", "sync:job", (looping,)),
    Example("job-held-back", "sync:job", (lambda scene: scene.held_job,)),
    Example("job-drift", "sync:job_drift", (drifted,)),
    Example("job-cancel", "sync:job_cancel", (lambda scene: scene.held_job,)),
    Example("job-stop", "sync:job_stop", (lambda scene: scene.held_job,)),
    Example("job-kill", "sync:job_kill", (lambda scene: scene.held_job,)),
    Example("job-skip", "sync:job_skip", (drifted,)),
    Example("by-hand", "sync:by_hand"),
    Example("by-hand-query", "sync:by_hand", query=ways("query")),
    Example("by-hand-window", "sync:by_hand", query=ways("window")),
    Example("by-hand-windows", "sync:by_hand", query=ways("windows")),
    Example("skipped", "sync:skipped"),
    Example("skipped-for-a-viewer", "sync:skipped", role="viewer"),
    Example("skip-import", "sync:skip_import"),
    Example("ids", "sync:ids"),
    Example("records", "records:breakdown", (uploads,)),
    Example("records-wide", "records:breakdown", (uploads,), query=lambda _: "older=0s&younger=7d&hidden=on"),
    Example("records-wrong", "records:breakdown", (uploads,), query=lambda _: "older=soon", status=400),
    Example("records-stuck", "records:stuck", (uploads,)),
    Example("records-stuck-none", "records:stuck", (uploads,), query=lambda _: "within=1m"),
    Example("records-stuck-wrong", "records:stuck", (uploads,), query=lambda _: "start=yesterday", status=400),
    Example("records-limits", "records:limits", (uploads,), role="administrator"),
    Example("overview", "pipeline:overview"),
    Example("overview-for-a-viewer", "pipeline:overview", role="viewer"),
    Example("canary", "pipeline:canary"),
    Example("lag", "pipeline:lag"),
    Example("queues", "pipeline:queues"),
    Example("queues-for-a-viewer", "pipeline:queues", role="viewer"),
    Example("queue-pause", "pipeline:queue_pause", (lambda _: "low",)),
    Example("queue-resume", "pipeline:queue_resume", (lambda _: "low",)),
    Example("queue-restart", "pipeline:queue_restart", (lambda _: "high",)),
    Example("workers", "pipeline:workers"),
    Example("worker-restart", "pipeline:worker_restart", (lambda scene: scene.worker,)),
    Example("scheduled-jobs", "schedules:jobs"),
    Example("scheduled-job", "schedules:job", (pulse,)),
    Example("scheduled-job-of-an-administrator", "schedules:job", (nightly,), role="administrator"),
    Example("scheduled-job-wrong", "schedules:job", (pulse,), query=lambda _: "state=nonsense", status=400),
    Example("scheduled-run", "schedules:run", (lambda scene: scene.scheduled_run,)),
    Example("scheduled-run-missed", "schedules:run", (lambda scene: scene.missed_run,)),
    Example("scheduled-run-now", "schedules:run_now", (nightly,)),
    Example("scheduled-disable", "schedules:disable", (pulse,), role="administrator"),
    Example("scheduled-enable", "schedules:enable", (pulse,), role="administrator"),
    Example("scheduled-add", "schedules:add", role="administrator"),
    Example("scheduled-edit", "schedules:edit", (pulse,), role="administrator"),
    Example("monitors", "schedules:monitors"),
    Example("monitor", "schedules:monitor", (lambda scene: scene.monitor,)),
    Example("monitor-of-an-administrator", "schedules:monitor", (lambda scene: scene.monitor,), role="administrator"),
    Example("monitor-add", "schedules:monitor_add", role="administrator"),
    Example("monitor-edit", "schedules:monitor_edit", (lambda scene: scene.monitor,), role="administrator"),
    Example("monitor-pause", "schedules:monitor_pause", (lambda scene: scene.monitor,), role="administrator"),
    Example("monitor-resume", "schedules:monitor_resume", (lambda scene: scene.monitor,), role="administrator"),
    Example("ping-keys", "schedules:keys", role="administrator"),
    Example("missed-runs", "schedules:missed"),
    Example("missed-runs-for-a-viewer", "schedules:missed", role="viewer"),
    Example("dead-runs", "schedules:dead"),
    Example("dead-runs-for-a-viewer", "schedules:dead", role="viewer"),
    Example("missed-run-ignore", "schedules:missed_ignore", (lambda scene: scene.missed_run,)),
    Example("limits", "pipeline:limits", role="administrator"),
    Example("api", "api_docs"),
    Example("tokens", "tokens"),
    Example("tokens-of-an-administrator", "tokens", role="administrator"),
    Example("token-new", "token_new", role="administrator"),
    Example("token-revoke", "token_revoke", (lambda scene: scene.token,)),
    Example("trace", "trace", query=lambda scene: f"id={scene.trace}"),
    Example("help", "help_guide"),
    Example("help-on-operating", "help", (lambda _: "operating",)),
    Example("lately", "lately"),
    Example("lately-for-a-viewer", "lately", role="viewer", query=lambda _: "hours=168"),
    Example("lately-wrong", "lately", query=lambda _: "hours=5", status=400),
    Example("search", "search", query=lambda scene: f"q={scene.organization}x"),
    Example("search-found", "search", query=lambda _: "q=nightly"),
    Example("search-wrong", "search", query=lambda _: f"q={'x' * 2_001}", status=400),
    Example("trace-of-nothing", "trace", query=lambda _: "id=7f9c24e8-3b12-4fef-91d0-9e0c5a1c2b6d"),
    Example("trace-wrong", "trace", query=lambda _: "id=nonsense", status=400),
    Example("alerts", "alerts:alerts"),
    Example("alerts-for-a-viewer", "alerts:alerts", role="viewer"),
    Example("alerts-all", "alerts:alerts", query=lambda _: "state=all&severity=critical"),
    Example("alerts-wrong", "alerts:alerts", query=lambda _: "state=nonsense", status=400),
    Example("alert", "alerts:alert", (alert,)),
    Example("alert-acknowledge", "alerts:acknowledge", (alert,)),
    Example("mutes", "alerts:mutes"),
    Example("mute-add", "alerts:mute_add", query=lambda _: "kind=run_failed"),
    Example("channels", "alerts:channels"),
    Example("channel", "alerts:channel", (channel,)),
    Example("channel-of-an-administrator", "alerts:channel", (channel,), role="administrator"),
    Example("channel-add", "alerts:channel_add", role="administrator"),
    Example("channel-edit", "alerts:channel_edit", (channel,), role="administrator"),
    Example("channel-on", "alerts:channel_on", (channel,), role="administrator"),
    Example("channel-off", "alerts:channel_off", (channel,), role="administrator"),
    Example("subscribe", "alerts:subscribe", (channel,), role="administrator"),
    Example("outbox", "alerts:outbox"),
    Example("outbox-dead", "alerts:dead"),
    Example("message", "alerts:message", (lambda scene: scene.message,)),
    Example("texts", "alerts:texts"),
    Example("text", "alerts:text", (lambda _: "alerts-alert-fired",)),
    Example("tracked-tasks", "abandonment:tasks"),
    Example("tracked-tasks-failing", "abandonment:tasks", query=lambda _: "state=failing&age=30"),
    Example("tracked-tasks-wrong", "abandonment:tasks", query=lambda _: "state=odd", status=400),
    Example("tracked-task", "abandonment:task", (tracked,)),
    Example("tracked-task-for-a-viewer", "abandonment:task", (tracked,), role="viewer"),
    Example("tracked-task-keep", "abandonment:keep", (tracked,)),
    Example("tracked-task-keep-no-longer", "abandonment:keep_no_longer", (tracked,)),
    Example("tracked-task-exempt", "abandonment:exempt", (tracked,)),
    Example("tracked-task-exempt-no-longer", "abandonment:exempt_no_longer", (tracked,)),
    Example("tracked-task-warn", "abandonment:warn", (tracked,)),
    Example("tracked-task-disable", "abandonment:disable", (tracked,)),
    Example("tracked-task-enable", "abandonment:enable", (tracked,)),
    Example("tracked-policies", "abandonment:policies", role="administrator"),
    Example("tracked-policy-add", "abandonment:policy_add", role="administrator"),
    Example("tracked-policy", "abandonment:policy", (lambda scene: scene.policy,), role="administrator"),
    Example("tracked-policy-remove", "abandonment:policy_remove", (lambda scene: scene.policy,), role="administrator"),
)

REDIRECTS = {"home", "records:sources"}
# What a person never sees as a page: parts that a page fetches, addresses that programs call, and files.
PARTS = {
    "api_openapi",
    "healthz",
    "livez",
    "metrics",
    "ping:code",
    "ping:code_said",
    "ping:name",
    "ping:name_said",
    "sync:affected_live",
    "sync:batch_live",
    "sync:job_live",
    "pipeline:overview_live",
    "pipeline:lag_live",
    "pipeline:queues_live",
    "pipeline:workers_live",
    "schedules:run_live",
}
# Pages of somebody with a second factor, and of a plan that waits: the tests of signing in and of approval walk them.
BY_OTHER_TESTS = {
    "sync:plan_decide",
    "mfa_authenticate",
    "mfa_deactivate_totp",
    "mfa_generate_recovery_codes",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
}
FILES = {
    "abandonment:tasks_csv",
    "audit_csv",
    "records:counts_csv",
    "records:stuck_csv",
    "schedules:runs_csv",
    "sync:affected_csv",
    "sync:affected_ids",
    "sync:batch_csv",
    "sync:job_drift_csv",
    "sync:job_events",
    "sync:skip_csv",
}
POSTS = {
    "alerts:channel_test",
    "alerts:message_again",
    "alerts:mute_lift",
    "alerts:note",
    "alerts:unacknowledge",
    "alerts:unsubscribe",
    "account_logout",
    "filter_remove",
    "filter_save",
    "mfa_login_webauthn",
    "session_end",
    "records:limits_reset",
    "records:stuck_stage",
    "schedules:missed_run",
    "sync:affected_start",
    "sync:affected_save",
    "sync:affected_saved_run",
    "sync:affected_saved_delete",
    "sync:affected_again",
    "sync:affected_cancel",
    "sync:affected_stage",
    "sync:batch_clone",
    "sync:batch_missing",
    "sync:batch_report",
    "sync:by_hand_sync",
    "sync:by_hand_tasks",
    "sync:by_hand_window",
    "sync:by_hand_windows",
    "sync:ids_file",
    "sync:job_retry",
    "sync:skip_add",
    "sync:skip_apply",
    "sync:skip_off",
    "sync:stage",
    "sync:unstage",
}


def named_routes(resolver: URLResolver | None = None, space: str = "") -> Iterator[str]:
    """Every named address but those of Django's administration, whose pages are Django's."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "admin":
                yield from named_routes(pattern, f"{pattern.namespace}:" if pattern.namespace else space)
        elif pattern.name:
            yield f"{space}{pattern.name}"
