"""The commands: help, JSON, exit status, and one sentence for whatever is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import CommandError, call_command
from pytest_django import Settings

from opsconsole import estate
from opsconsole.demo.gap import Gap, make_gap
from opsconsole.demo.ports import free_port
from opsconsole.models import AuditEntry
from sync.models import Batch, BatchState, Job, JobState, Mode, StagedOrganization
from tests.company import Company, EstateWriter, IndexerThread
from tests.sync.jobs import claim, make_job

pytest_plugins = ["tests.fixtures_sync"]
pytestmark = [
    pytest.mark.usefixtures("committed", "queue", "use_estate"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]

BASE = Path(__file__).resolve().parents[2]
COMMANDS = ("affected_orgs", "stage_orgs", "process_batch", "check_org", "sync_tasks", "job")
WINDOW = ("--from", "2026-01-01T00:00Z", "--to", "2026-02-01T00:00Z")
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
# Each command with arguments that would do something, for what goes wrong around it.
USES = {
    "affected_orgs": WINDOW,
    "stage_orgs": (UNKNOWN,),
    "process_batch": (),
    "check_org": (UNKNOWN,),
    "sync_tasks": (UNKNOWN,),
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return answer


def run(*arguments: str) -> Outcome:
    """A command in this process. A mistake that argparse finds is status 2, as it is on a command line."""
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command(arguments[0], *arguments[1:], stdout=out, stderr=err, no_color=True)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except CommandError as error:
        err.write(str(error))
        status = 2
    else:
        status = 0
    return Outcome(status, out.getvalue(), err.getvalue())


def run_process(*arguments: str, **environment: str) -> Outcome:
    done = subprocess.run(
        [sys.executable, str(BASE / "manage.py"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "opsconsole.settings", **environment},
        cwd=BASE,
        timeout=60,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_one_sentence(outcome: Outcome, status: int, *parts: str) -> None:
    """The right exit status, and one line that says what is wrong: with `--json` on standard output as well."""
    sentence = outcome.err.strip().splitlines()[-1]
    assert outcome.status == status, outcome
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1, outcome.err
    assert sentence.endswith((".", ")")), sentence
    for part in parts:
        assert part in sentence
    if outcome.out:
        assert outcome.json == {"error": sentence}


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the command finds on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@pytest.fixture
def gap(company: Company) -> Gap:
    return make_gap(company.source_owner_url, seed=11, size=30, organizations=3)


def window_of(gap: Gap) -> tuple[str, ...]:
    return "--from", gap.window_from.isoformat(), "--to", gap.window_to.isoformat()


def staged() -> set[str]:
    return set(StagedOrganization.objects.values_list("organization_id", flat=True))


class TestEvery:
    @pytest.mark.parametrize("command", [*COMMANDS, "clock"])
    def test_has_help(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(command, "--help").status == 0
        text = capsys.readouterr().out
        assert "usage:" in text
        assert command == "clock" or "--json" in text

    @pytest.mark.parametrize("command", COMMANDS)
    def test_refuses_an_unknown_option(self, command: str) -> None:
        assert run(command, "--no-such-option").status == 2

    @pytest.mark.parametrize("command", USES)
    def test_says_in_a_sentence_that_the_estate_is_missing(
        self, command: str, settings: Settings, tmp_path: Path
    ) -> None:
        make_staged(UNKNOWN)
        settings.ESTATE = str(tmp_path / "nowhere.toml")
        estate.reset()
        outcome = run(command, *USES[command], "--json")
        assert_one_sentence(outcome, 2, "There is no estate file at", "nowhere.toml")
        assert (Job.objects.count(), Batch.objects.count(), staged()) == (0, 0, {UNKNOWN})

    @pytest.mark.parametrize("command", ["affected_orgs", "stage_orgs", "check_org", "sync_tasks"])
    def test_says_in_a_sentence_that_the_source_is_away(
        self, command: str, monkeypatch: pytest.MonkeyPatch, use_estate: EstateWriter
    ) -> None:
        monkeypatch.setenv("SOURCE_DATABASE_URL", f"postgresql://reader:secret@127.0.0.1:{free_port()}/source")
        use_estate()
        outcome = run(command, *USES[command], "--json")
        assert_one_sentence(outcome, 1, "The source (database source on 127.0.0.1", "cannot be reached")
        assert "secret" not in outcome.err + outcome.out
        assert (Job.objects.count(), staged()) == (0, set())


def make_staged(*organizations: str) -> None:
    rows = [StagedOrganization(organization_id=key, name="Acme", staged_by="tests") for key in organizations]
    StagedOrganization.objects.bulk_create(rows)


class TestAffectedOrgs:
    def test_names_the_organizations_of_the_window(self, gap: Gap) -> None:
        outcome = run("affected_orgs", *window_of(gap), "--json")
        found = {row["id"] for row in outcome.json["organizations"]}
        assert outcome.status == 0
        assert {f"s-{organization}" for organization in gap.organizations} <= found
        assert outcome.json["window"] == {"from": gap.window_from.isoformat(), "to": gap.window_to.isoformat()}
        assert "organizations with tasks updated in [" in outcome.err

    def test_ids_only_can_be_piped(self, gap: Gap, type_in: Any) -> None:
        ids = run("affected_orgs", *window_of(gap), "--ids-only").out
        type_in(ids)
        assert run("stage_orgs", "-").status == 0
        assert {f"s-{key}" for key in staged()} == set(ids.split())

    def test_leaves_out_what_a_file_names(self, gap: Gap, tmp_path: Path) -> None:
        skip = tmp_path / "skip.csv"
        skip.write_text(f"s-{gap.organizations[0]},\n", encoding="utf-8")
        found = run("affected_orgs", *window_of(gap), "--exclude", str(skip), "--json").json["organizations"]
        assert f"s-{gap.organizations[0]}" not in {row["id"] for row in found}
        assert f"s-{gap.organizations[1]}" in {row["id"] for row in found}

    def test_a_time_without_a_zone_is_utc_and_that_is_said(self) -> None:
        outcome = run("affected_orgs", "--from", "2026-01-01 10:00:00", "--to", "2026-01-01T12:00:00+00:00", "--json")
        assert "--from without a zone: taken as UTC." in outcome.err
        assert outcome.json["window"]["from"] == "2026-01-01T10:00:00+00:00"

    def test_from_after_to(self) -> None:
        outcome = run("affected_orgs", "--from", "2026-02-01", "--to", "2026-01-01", "--json")
        assert_one_sentence(outcome, 2, "--from '2026-02-01' is not before --to '2026-01-01'")

    def test_no_time(self) -> None:
        assert_one_sentence(run("affected_orgs", "--from", "yesterday", "--to", "2026-01-01"), 2, "'yesterday'", "UTC")

    def test_an_exclude_file_that_is_not_there(self, tmp_path: Path) -> None:
        missing = str(tmp_path / "none.csv")
        assert_one_sentence(run("affected_orgs", *WINDOW, "--exclude", missing), 2, "--exclude", missing)

    def test_an_exclude_file_with_no_id(self, tmp_path: Path) -> None:
        skip = tmp_path / "skip.csv"
        skip.write_text(f"{UNKNOWN}\nnonsense\n", encoding="utf-8")
        assert_one_sentence(run("affected_orgs", *WINDOW, "--exclude", str(skip)), 2, "line 2: 'nonsense' is no UUID")

    def test_a_column_that_is_not_there(self, company: Company) -> None:
        company.in_source("ALTER TABLE tasks RENAME COLUMN updated_at TO changed_at")
        assert_one_sentence(run("affected_orgs", *WINDOW, "--json"), 1, 'column "updated_at" does not exist')


class TestStageOrgs:
    def test_stages_ids_with_and_without_prefix(self, company: Company) -> None:
        one, two = company.organizations()[:2]
        outcome = run("stage_orgs", f"s-{one}", str(two), "--json")
        assert (outcome.status, outcome.json["staged"], staged()) == (0, 2, {str(one), str(two)})
        assert run("stage_orgs", str(one), "--json").json["already"] == 1
        assert AuditEntry.objects.filter(action="organizations.staged", door="command").count() == 2

    def test_reads_standard_input(self, company: Company, type_in: Any) -> None:
        one, two = company.organizations()[:2]
        type_in(f'"{one}", s-{two}\n\n{one}\n')
        assert run("stage_orgs", "-").status == 0
        assert staged() == {str(one), str(two)}

    @pytest.mark.parametrize("text", ["", "\n ,; \n"])
    def test_an_empty_standard_input_is_refused(self, type_in: Any, text: str) -> None:
        type_in(text)
        assert_one_sentence(run("stage_orgs", "-", "--json"), 2, "No organization ids were given")

    def test_no_ids(self) -> None:
        assert_one_sentence(run("stage_orgs", "--json"), 2, "No ids were given", "-")

    def test_an_id_that_is_none_stages_nothing(self, company: Company) -> None:
        outcome = run("stage_orgs", str(company.organizations()[0]), "s-42", "--json")
        assert_one_sentence(outcome, 2, "42' is no UUID", "Nothing was done")
        assert staged() == set()

    def test_many_bad_ids_are_named_a_few_at_a_time(self, type_in: Any) -> None:
        type_in("\n".join(f"bad{number}" for number in range(40)))
        assert_one_sentence(run("stage_orgs", "-"), 2, "line 5: 'bad4'", "and 35 more")

    def test_an_unknown_organization_stages_nothing(self, company: Company) -> None:
        outcome = run("stage_orgs", str(company.organizations()[0]), UNKNOWN, "--json")
        assert_one_sentence(outcome, 2, f"Not known to the source: {UNKNOWN}", "Nothing was done")
        assert staged() == set()

    def test_clear_alone_empties_the_set(self) -> None:
        make_staged("1", "2")
        outcome = run("stage_orgs", "--clear", "--json")
        assert (outcome.status, outcome.json["cleared"], staged()) == (0, 2, set())

    def test_clear_with_ids_puts_them_in_their_place(self, company: Company) -> None:
        make_staged("1")
        one = str(company.organizations()[0])
        assert run("stage_orgs", "--clear", one).status == 0
        assert staged() == {one}

    def test_clear_with_a_bad_id_changes_nothing(self) -> None:
        make_staged("1")
        assert run("stage_orgs", "--clear", "nonsense").status == 2
        assert staged() == {"1"}


class TestProcessBatch:
    def test_names_each_organization_with_its_job(self, company: Company) -> None:
        one, two, three = map(str, company.organizations()[:3])
        make_staged(one, two, three)
        outcome = run("process_batch", "--size", "2", "--sync")
        jobs = Job.objects.order_by("pk")
        assert (outcome.status, jobs.count(), {job.mode for job in jobs}) == (0, 2, {Mode.SYNC})
        for job in jobs:
            assert f"s-{job.organization_id}  job {job.pk}" in outcome.out
        assert len(staged()) == 1

    def test_json_has_the_jobs(self, company: Company) -> None:
        make_staged(str(company.organizations()[0]))
        answer = run("process_batch", "--json").json
        (job,) = Job.objects.all()
        assert (answer["mode"], answer["jobs"][0]["job"], answer["batch"]) == ("report", job.pk, job.batch_id)

    def test_paced_as_asked(self, company: Company) -> None:
        make_staged(*map(str, company.organizations()[:4]))
        pace = ("--at-once", "2", "--canary", "3", "--stop-after", "1", "--order", "largest", "--auto-advance")
        assert run("process_batch", "--size", "4", "--name", "Night", "--tag", "a", "--tag", "b", *pace).status == 0
        batch = Batch.objects.get()
        assert (batch.most_at_once, batch.canary, batch.stop_after_failures, batch.order) == (2, 3, 1, "largest")
        assert (batch.name, batch.tags, batch.auto_advance, batch.keep_staged) == ("Night", ["a", "b"], True, True)
        assert Job.objects.filter(state=JobState.QUEUED).count() == 2

    def test_throttled_as_asked_and_changed_later(self, company: Company) -> None:
        make_staged(str(company.organizations()[0]))
        answer = run("process_batch", "--sync", "--messages-per-second", "50", "--lag-limit", "1000", "--json").json
        assert (answer["messages_per_second"], answer["lag_limit"]) == (50, 1000)
        number = str(answer["batch"])
        changed = run("throttle_batch", number, "--messages-per-second", "none", "--reason", "why not", "--json").json
        assert changed == {"batch": answer["batch"], "messages_per_second": None, "lag_limit": 1000}
        entry = AuditEntry.objects.get(action="batch.throttled")
        assert (entry.reason, entry.details["messages_per_second_before"]) == ("why not", 50)

    def test_a_throttle_that_is_not_possible(self) -> None:
        batch = Batch.objects.create(mode=Mode.SYNC, size=1, created_by="tests", trace_id=UNKNOWN)
        assert_one_sentence(run("throttle_batch", str(batch.pk), "--lag-limit", "-1", "--json"), 2, "allowed are 0 to")
        assert_one_sentence(run("throttle_batch", "0", "--json"), 2, "There is no batch 0")
        assert run("throttle_batch", str(batch.pk), "--lag-limit", "much").status == 2

    def test_a_canary_too_large_for_its_batch(self) -> None:
        make_staged("1")
        assert_one_sentence(run("process_batch", "--canary", "10", "--json"), 2, "allowed are 0 (none) to 9")

    @pytest.mark.parametrize("size", ["0", "-1", "10001"])
    def test_a_size_that_is_not_possible(self, size: str) -> None:
        make_staged("1")
        assert_one_sentence(run("process_batch", "--size", size, "--json"), 2, "allowed are 1 to 10,000")

    def test_a_size_that_is_no_number(self) -> None:
        assert run("process_batch", "--size", "ten").status == 2

    def test_nothing_staged(self) -> None:
        assert_one_sentence(run("process_batch", "--json"), 2, "No organization is staged")

    def test_redis_away_queues_nothing(self, settings: Settings) -> None:
        make_staged("1")
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        settings.RQ_QUEUES = {name: entry | {"URL": nowhere} for name, entry in settings.RQ_QUEUES.items()}
        assert_one_sentence(run("process_batch", "--sync", "--json"), 1, "Redis cannot be reached")
        assert (Job.objects.count(), Batch.objects.count(), staged()) == (0, 0, {"1"})

    def test_waiting_for_a_batch_that_fails_is_status_1(
        self, company: Company, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_staged(str(company.organizations()[0]))

        def fail_all(_: float) -> None:
            Job.objects.update(state=JobState.FAILED, error="The index refused a query.")

        monkeypatch.setattr("sync.management.commands.process_batch.time.sleep", fail_all)
        outcome = run("process_batch", "--wait", "--json")
        assert (outcome.status, outcome.json["failed"], outcome.json["state"]) == (1, True, BatchState.DONE)
        assert outcome.json["jobs"][0]["error"] == "The index refused a query."


class TestCheckOrg:
    def test_reports_here_and_now(self, company: Company, gap: Gap) -> None:
        outcome = run("check_org", f"s-{gap.organizations[0]}", "--json")
        answer = outcome.json
        assert (outcome.status, answer["state"], answer["published"], answer["failed"]) == (0, "done", 0, False)
        assert answer["stale"] + answer["missing"] + answer["orphan"] > 0
        assert f"Reported: {answer['scanned']:,} scanned" in outcome.err  # standard output is the program's

    def test_syncs(self, company: Company, gap: Gap, indexer: IndexerThread) -> None:
        before = company.drift()
        answer = run("check_org", str(gap.organizations[0]), "--sync", "--json").json
        assert answer["verified"] == answer["published"] > 0
        assert company.drift() == before - answer["published"]

    @pytest.mark.parametrize("text", ["nonsense", "42", "s-"])
    def test_an_id_that_is_none(self, text: str) -> None:
        assert_one_sentence(run("check_org", text, "--json"), 2)
        assert not Job.objects.exists()

    def test_two_ids_in_one(self, company: Company) -> None:
        both = ",".join(map(str, company.organizations()[:2]))
        assert_one_sentence(run("check_org", both, "--json"), 2, "One organization id is needed, and 2 were given")

    def test_an_unknown_organization(self) -> None:
        assert_one_sentence(run("check_org", UNKNOWN, "--json"), 2, f"Not known to the source: {UNKNOWN}")

    def test_one_that_has_an_active_job(self, company: Company) -> None:
        organization = str(company.organizations()[0])
        other = make_job(organization_id=organization)
        assert_one_sentence(run("check_org", organization, "--json"), 2, f"already has job {other.pk}, queued")

    def test_the_index_away(self, company: Company, monkeypatch: pytest.MonkeyPatch, use_estate: EstateWriter) -> None:
        monkeypatch.setenv("INDEX_DATABASE_URL", f"postgresql://reader@127.0.0.1:{free_port()}/index")
        use_estate()
        outcome = run("check_org", str(company.organizations()[0]))
        assert_sentence_after_start(outcome, 1, "The index (database index on 127.0.0.1", "cannot be reached")
        assert Job.objects.get().state == JobState.RETRYING

    def test_the_broker_away(
        self, company: Company, gap: Gap, monkeypatch: pytest.MonkeyPatch, use_estate: EstateWriter
    ) -> None:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{free_port()}")
        monkeypatch.setattr("sync.publisher.BOOTSTRAP_SECONDS", 0.5)
        use_estate()
        outcome = run("check_org", str(gap.organizations[0]), "--sync")
        assert_sentence_after_start(outcome, 1, "Kafka (127.0.0.1:")
        job = Job.objects.get()
        assert (job.state, job.published, job.drift_found) == (JobState.RETRYING, 0, 0)

    def test_a_column_that_is_not_there(self, company: Company) -> None:
        company.in_index("ALTER TABLE tasks RENAME COLUMN title TO headline")
        outcome = run("check_org", str(company.organizations()[0]))
        assert_sentence_after_start(outcome, 1, "The index", 'column "title" does not exist')
        assert Job.objects.get().state == JobState.FAILED


def assert_sentence_after_start(outcome: Outcome, status: int, *parts: str) -> None:
    """As `assert_one_sentence`, for a command that has said on standard output what it began."""
    assert outcome.out.startswith("Job ")
    assert_one_sentence(Outcome(outcome.status, "", outcome.err), status, *parts)


class TestSyncTasks:
    def test_publishes_those_that_differ(self, company: Company, gap: Gap, indexer: IndexerThread) -> None:
        task = company.tasks(gap.organizations[0])[0]
        company.in_index("DELETE FROM tasks WHERE id = %s", task)
        outcome = run("sync_tasks", f"s-{task}", "--json")
        assert (outcome.status, outcome.json["missing"], outcome.json["verified"]) == (0, 1, 1)

    def test_report_publishes_nothing(self, company: Company, type_in: Any) -> None:
        task = company.tasks(company.organizations()[0])[0]
        company.in_index("DELETE FROM tasks WHERE id = %s", task)
        type_in(f"{task}\n")
        answer = run("sync_tasks", "-", "--report", "--json").json
        assert (answer["mode"], answer["missing"], answer["published"]) == ("report", 1, 0)

    def test_unknown_and_bad_ids(self) -> None:
        assert_one_sentence(run("sync_tasks", UNKNOWN, "--json"), 2, f"Known to neither source nor index: {UNKNOWN}")
        assert_one_sentence(run("sync_tasks", "x", "--json"), 2, "'x' is no UUID")
        assert_one_sentence(run("sync_tasks", "--json"), 2, "No ids were given")
        assert not Job.objects.exists()


class TestJob:
    def test_show(self) -> None:
        job, _ = claim(make_job(organization_id="o1", organization_name="Acme", error="Once."))
        outcome = run("job", "show", str(job.pk))
        assert outcome.status == 0
        assert f"Job {job.pk}: o1 Acme" in outcome.out
        assert "Last error: Once." in outcome.out
        answer = run("job", "show", str(job.pk), "--json").json
        assert (answer["job"], answer["state"], answer["attempts"][0]["outcome"]) == (job.pk, "running", "running")

    def test_cancel_a_waiting_one(self) -> None:
        job = make_job()
        answer = run("job", "cancel", str(job.pk), "--reason", "wrong window", "--json").json
        assert answer == {"job": job.pk, "state": "cancelled", "evidence": []}
        assert AuditEntry.objects.get(action="job.cancelled").reason == "wrong window"

    def test_cancel_a_running_one(self) -> None:
        job, _ = claim(make_job())
        assert run("job", "cancel", str(job.pk), "--json").json["state"] == "cancelling"
        assert run("job", "cancel", str(job.pk)).status == 0  # asked already

    def test_cancel_one_that_has_ended(self) -> None:
        job = make_job(state=JobState.DONE)
        assert_one_sentence(run("job", "cancel", str(job.pk), "--json"), 2, "has ended already (done)")

    def test_events(self, company: Company) -> None:
        run("check_org", str(company.organizations()[0]))
        outcome = run("job", "events", str(Job.objects.get().pk))
        lines = outcome.out.splitlines()
        assert "console: Queued by " in lines[0]
        assert "attempt 1: Reported: " in lines[-1]

    @pytest.mark.parametrize("number", ["x", "0", "-1", "999999999", "9" * 30, "1.5", "²"])
    def test_a_number_that_is_none(self, number: str) -> None:
        arguments = (
            ("job", "show", "--json", "--", number) if number.startswith("-") else ("job", "show", number, "--json")
        )
        assert_one_sentence(run(*arguments), 2, f"There is no job {number!r}")

    def test_an_action_that_is_none(self) -> None:
        assert run("job", "delete", "1").status == 2


class TestProcesses:
    """A few as an operator runs them."""

    def test_a_mistake_of_usage_is_status_2(self) -> None:
        outcome = run_process("affected_orgs", "--from", "2026-02-01", "--to", "2026-01-01", "--json")
        assert_one_sentence(outcome, 2, "is not before")
        assert run_process("affected_orgs").status == 2

    @pytest.mark.parametrize("command", ["process_batch", "job"])
    def test_the_consoles_own_database_away(self, command: str, queue: redis.Redis) -> None:
        nowhere = f"postgresql://console:hidden-password@127.0.0.1:{free_port()}/console"
        arguments = {"process_batch": (), "job": ("show", "1")}[command]
        outcome = run_process(command, *arguments, "--json", DATABASE_URL=nowhere)
        assert_one_sentence(outcome, 1, "The console's database cannot be used")
        assert "hidden-password" not in outcome.err + outcome.out

    def test_an_estate_with_mistakes_names_them_all(self, tmp_path: Path) -> None:
        path = tmp_path / "estate.toml"
        path.write_text("[source]\n[kafka]\n", encoding="utf-8")
        outcome = run_process("stage_orgs", UNKNOWN, OPSCONSOLE_ESTATE=str(path))
        assert outcome.status == 2
        assert "Traceback" not in outcome.err
        assert "mistakes:" in outcome.err
        assert "[source]" in outcome.err or "source." in outcome.err
