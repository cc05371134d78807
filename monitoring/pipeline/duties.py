"""What the clock does for queues and workers, so that it goes on when workers are down. Every step is bounded."""

from django.utils import timezone

from monitoring.pipeline import beats, consumer, progress, samples
from monitoring.pipeline.operations import canary, looking, queues, sampling
from opsconsole.clock.duties import duty

PAUSES_SECONDS = 3.0
NEIGHBOURS_SECONDS = 5.0
PROGRESS_SECONDS = 5.0
THIN_SECONDS = 600.0
FORGET_SECONDS = 60.0
CANARY_LOOK_SECONDS = 5.0
FORGET_ROUNDS_SECONDS = 3_600.0
SIGNALS_SECONDS = 10.0

duty("pipeline.tell_workers_of_pauses", every=PAUSES_SECONDS)(queues.tell_workers_again)
duty("pipeline.look_after_workers", every=NEIGHBOURS_SECONDS)(beats.look_after_neighbours)
duty("pipeline.forget_old_workers", every=FORGET_SECONDS)(beats.forget_old)


@duty("pipeline.sample_queues", every=samples.EVERY.total_seconds())
def sample_queues() -> None:
    sampling.sample_queues(timezone.now())


@duty("pipeline.follow_progress", every=PROGRESS_SECONDS)
def follow_progress() -> int:
    return progress.follow(timezone.now())


@duty("pipeline.thin_samples", every=THIN_SECONDS)
def thin_samples() -> int:
    return samples.thin(timezone.now())


@duty("pipeline.sample_lag", every=samples.EVERY.total_seconds(), slow=True)
def sample_lag() -> None:
    consumer.sample(consumer.watcher().look(fresh=0))


@duty("pipeline.run_canary", every=CANARY_LOOK_SECONDS, slow=True, wanted=lambda: canary.is_due(timezone.now()))
def run_canary() -> None:
    canary.run_due(timezone.now())


@duty("pipeline.forget_old_rounds", every=FORGET_ROUNDS_SECONDS)
def forget_old_rounds() -> int:
    return canary.forget_old(timezone.now())


@duty("pipeline.look_at_signals", every=SIGNALS_SECONDS)
def look_at_signals() -> int:
    return looking.look_at_signals(timezone.now())
