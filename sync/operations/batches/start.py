"""From a plan to a batch: exactly what the plan lists is queued, in one transaction, once."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import IntegrityError, connection, transaction

from opsconsole import audit, trace
from opsconsole.errors import UsageError
from sync import queueing
from sync.models import Batch, BatchPlan, EventLevel, Job, JobKind, JobState, Mode, StagedOrganization
from sync.operations.batches.approval import require_approved
from sync.operations.batches.options import DEFAULT_SIZE, BatchOptions
from sync.operations.batches.plan import (
    PlanChangedError,
    PlanContents,
    contents_of,
    count_as_needed,
    find_plan,
    make_plan,
    plan_of,
)
from sync.operations.batches.selection import Origin, Selection, choose


class _ChangedError(Exception):
    """Carries what would be taken now out of the transaction that is being rolled back."""

    def __init__(self, now: Collection[str]) -> None:
        super().__init__("the set changed")
        self.now = now


def start_plan(plan_id: int, plan_hash: str, actor: audit.Actor, confirmation: str = "", reason: str = "") -> Batch:
    """Queue what the plan lists. A plan that has been started gives its batch again, and starts nothing.

    Raises PlanChangedError (with a new plan) where something else would be taken now, UsageError where the plan is gone
    or the number of organizations had to be typed and was not, ApprovalNeededError, UnavailableError without Redis. A
    fixed number of statements, whatever the number of organizations.
    """
    plan = find_plan(plan_id, plan_hash)
    if plan.batch is not None:
        return plan.batch
    contents = contents_of(plan)
    contents.require_confirmed(confirmation)
    queueing.require_reachable()
    try:
        with transaction.atomic():
            return _start_once(plan, contents, actor, reason)
    except _ChangedError as changed:
        now = changed.now
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        now = choose(contents.options, contents.origin).names
    raise _changed(contents, now, actor)


def _start_once(plan: BatchPlan, contents: PlanContents, actor: audit.Actor, reason: str) -> Batch:
    locked = BatchPlan.objects.select_for_update().get(pk=plan.pk)
    if locked.batch is not None:
        return locked.batch
    require_approved(locked, contents)
    selection = choose(contents.options, contents.origin, lock=True)
    if set(selection.names) != set(contents.organizations):
        raise _ChangedError(selection.names)
    return queue_plan(locked, contents, selection, actor, reason)


def _changed(contents: PlanContents, now: Collection[str], actor: audit.Actor) -> PlanChangedError:
    added = tuple(organization for organization in now if organization not in set(contents.organizations))
    removed = tuple(organization for organization in contents.organizations if organization not in set(now))
    try:
        plan = make_plan(contents.options, actor, contents.origin) if now else None
    except UsageError:
        plan = None
    return PlanChangedError(added, removed, plan)


def start_batch(size: int = DEFAULT_SIZE, mode: Mode = Mode.REPORT, actor: audit.Actor = audit.CLOCK) -> Batch:
    """Plan `size` staged organizations in `mode` and start it, in one go: for commands that show no preview.

    Raises UsageError where the size is out of range or nothing is ready, UnavailableError without Redis.
    """
    return start_options(BatchOptions(mode=mode, size=size), actor)


def start_options(options: BatchOptions, actor: audit.Actor, confirmation: str = "", reason: str = "") -> Batch:
    """Plan and start in one go, in one transaction: of two at the same time, each takes others.

    Raises what make_plan and start_plan raise, but for PlanChangedError: nobody has seen a plan that could change.
    """
    options.require_valid()
    queueing.require_reachable()
    count_as_needed(options)
    try:
        with transaction.atomic():
            selection = choose(options, Origin(), lock=True)
            plan = plan_of(options, Origin(), selection, actor)
            contents = contents_of(plan)
            contents.require_confirmed(confirmation)
            require_approved(plan, contents)
            return queue_plan(plan, contents, selection, actor, reason)
    except IntegrityError as error:
        if "one_active_job_per_organization" not in str(error):
            raise
        raise UsageError("A staged organization was given a job meanwhile; nothing was queued. Try again.") from error


def queue_plan(
    plan: BatchPlan, contents: PlanContents, selection: Selection, actor: audit.Actor, reason: str = ""
) -> Batch:
    """The batch and its jobs, in the plan's order. The caller's transaction holds the plan and the staged rows."""
    batch = _create_batch(plan, contents, actor)
    jobs = _create_jobs(batch, contents, selection)
    if contents.origin.names is None:
        _mark_staged(batch, contents)
    BatchPlan.objects.filter(pk=plan.pk).update(batch=batch)
    audit.record(
        actor,
        "batch.started",
        f"batch:{batch.pk}",
        reason=reason,
        trace_id=batch.trace_id,
        mode=batch.mode,
        organizations=len(jobs),
        plan=plan.hash,
        previous=batch.previous_id,
        relation=batch.relation,
    )
    queueing.enqueue_after_commit([job for job in jobs if job.state == JobState.QUEUED])
    return batch


def _create_batch(plan: BatchPlan, contents: PlanContents, actor: audit.Actor) -> Batch:
    options, window = contents.options, contents.options.window
    return Batch.objects.create(
        name=options.name,
        tags=list(options.tags),
        mode=options.mode,
        size=options.size,
        order=options.order,
        window_from=window.start if window else None,
        window_to=window.end if window else None,
        most_at_once=options.most_at_once,
        stop_after_failures=options.stop_after_failures,
        canary=options.canary,
        messages_per_second=options.messages_per_second,
        lag_limit=options.lag_limit,
        keep_staged=options.keep_staged,
        auto_advance=options.auto_advance,
        previous_id=contents.origin.previous,
        relation=contents.origin.relation or "",
        plan_hash=plan.hash,
        expected_tasks=plan.expected_tasks,
        created_by=actor.name,
        trace_id=trace.current_or_new(),
    )


def _create_jobs(batch: Batch, contents: PlanContents, selection: Selection) -> Sequence[Job]:
    """The jobs, with number, kind and state only. Numbers rise in the order in which the jobs are to run.

    The first is written by the model, the others are copies of its row made by the server: rows of forty columns each
    going through Python took a millisecond apiece, seconds for a large batch.
    """
    organizations = contents.organizations
    at_first = released_at_first(contents.options)
    states = [JobState.QUEUED if place < at_first else JobState.PLANNED for place in range(len(organizations))]
    first = Job.objects.create(
        batch=batch,
        kind=JobKind.ORGANIZATION if batch.window_from is None else JobKind.WINDOW,
        mode=batch.mode,
        state=states[0],
        organization_id=organizations[0],
        organization_name=selection.names[organizations[0]],
        window_from=batch.window_from,
        window_to=batch.window_to,
        trace_id=batch.trace_id,
        created_by=batch.created_by,
    )
    names = [selection.names[organization] for organization in organizations[1:]]
    numbers = [first.pk, *_copy_job(first, list(organizations[1:]), names, [state.value for state in states[1:]])]
    note(numbers[:at_first], f"Queued by {batch.created_by} in batch {batch.pk}.")
    note(numbers[at_first:], f"Planned by {batch.created_by} in batch {batch.pk}, which holds it back for now.")
    return [Job(pk=number, kind=first.kind, state=state) for number, state in zip(numbers, states, strict=True)]


def _copy_job(job: Job, organizations: list[str], names: list[str], states: list[str]) -> list[int]:
    """Copies of the job's row for other organizations. Their numbers, in the order given. One statement."""
    own = ("organization_id", "organization_name", "state")
    same = [str(field.column) for field in Job._meta.concrete_fields if field.column not in ("id", *own)]
    columns = ", ".join(map(connection.ops.quote_name, same))
    values = ", ".join(f"job.{connection.ops.quote_name(name)}" for name in same)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO sync_job (organization_id, organization_name, state, {columns})"  # noqa: S608 (our own column names)  # nosec B608
            f" SELECT each.organization, each.name, each.state, {values}"
            " FROM unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY each(organization, name, state, place)"
            " CROSS JOIN sync_job job WHERE job.id = %s ORDER BY each.place RETURNING id",
            [organizations, names, states, job.pk],
        )
        return sorted(number for (number,) in cursor.fetchall())


def released_at_first(options: BatchOptions) -> int:
    """How many jobs go into the queue with the start; the others are released by and by."""
    return min(options.size, options.most_at_once or options.size, options.canary or options.size)


def note(job_ids: Sequence[int], message: str, level: EventLevel = EventLevel.INFO) -> None:
    """The same line in the log of each of these jobs. One statement."""
    if job_ids:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO sync_jobevent (job_id, attempt, level, message) SELECT unnest(%s::bigint[]), 0, %s, %s",
                [list(job_ids), level.value, message],
            )


def _mark_staged(batch: Batch, contents: PlanContents) -> None:
    """A sync takes its organizations out of the set; a report leaves them, marked, unless told otherwise."""
    taken = StagedOrganization.objects.filter(pk__in=contents.organizations)
    if batch.mode == Mode.REPORT and batch.keep_staged:
        taken.update(reported_in=batch)
    else:
        taken.delete()
