"""Batches: organizations taken together, planned, paced, checked in one mode, seen to their end."""

from sync.operations.batches.again import clone, report_again, run_missing
from sync.operations.batches.approval import ApprovalNeededError, approve, ask_approval, is_own, needs_approval, refuse
from sync.operations.batches.control import RetryResult, cancel_batch, go, pause, resume, retry_failed
from sync.operations.batches.ending import (
    close_ended_batches,
    close_when_last_job_ended,
    keep_batches_moving,
    reopen,
)
from sync.operations.batches.options import DEFAULT_SIZE, LARGEST_SIZE, BatchOptions, BatchOptionsError, options_of
from sync.operations.batches.pacing import advance, awaits_go
from sync.operations.batches.plan import (
    PlanChangedError,
    PlanContents,
    contents_of,
    drop_old_plans,
    find_plan,
    make_plan,
)
from sync.operations.batches.results import (
    CSV_HEADER,
    BatchTotals,
    ComparedOrganization,
    JobFigures,
    batch_csv_rows,
    compare_batches,
    totals,
)
from sync.operations.batches.selection import Origin, count_tasks, ready_organizations
from sync.operations.batches.start import start_batch, start_options, start_plan
from sync.operations.batches.throttling import throttle

__all__ = [
    "CSV_HEADER",
    "DEFAULT_SIZE",
    "LARGEST_SIZE",
    "ApprovalNeededError",
    "BatchOptions",
    "BatchOptionsError",
    "BatchTotals",
    "ComparedOrganization",
    "JobFigures",
    "Origin",
    "PlanChangedError",
    "PlanContents",
    "RetryResult",
    "advance",
    "approve",
    "ask_approval",
    "awaits_go",
    "batch_csv_rows",
    "cancel_batch",
    "clone",
    "close_ended_batches",
    "close_when_last_job_ended",
    "compare_batches",
    "contents_of",
    "count_tasks",
    "drop_old_plans",
    "find_plan",
    "go",
    "is_own",
    "keep_batches_moving",
    "make_plan",
    "needs_approval",
    "options_of",
    "pause",
    "ready_organizations",
    "refuse",
    "reopen",
    "report_again",
    "resume",
    "retry_failed",
    "run_missing",
    "start_batch",
    "start_options",
    "start_plan",
    "throttle",
    "totals",
]
