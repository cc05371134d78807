"""Workers on several machines share one batch, and one of them is cut off the network in the middle of a chunk.

The machines are network namespaces: addresses of their own, the same PostgreSQL, Redis and broker. Not all there is to
a machine: processes, files and the name of the host are shared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.errors import UnavailableError
from tests.faults.machines import MachinesStage, NoNamespacesError, require_namespaces
from tests.faults.plan import Fault, Moment, Round, Strike
from tests.faults.report import line_of
from tests.faults.rounds import run_round
from tests.faults.stage import TooSlowError

CUT_OFF = Strike(Fault.CUT_OFF, Moment.COMMIT, number=4, outage=1.0)
PLANNED = Round(1, "machines", (CUT_OFF,), together=False, index_late=False, split=False)
SHARED = "SELECT count(DISTINCT worker) FROM sync_attempt WHERE range_number = 0"
TAKEN_OVER = """
SELECT gone.worker <> next.worker FROM sync_attempt gone JOIN sync_attempt next
    ON next.job_id = gone.job_id AND next.number > gone.number AND next.outcome = 'done'
WHERE gone.outcome = 'vanished'
"""

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]


@pytest.fixture
def stage() -> Iterator[MachinesStage]:
    try:
        require_namespaces()
    except NoNamespacesError as error:
        pytest.skip(f"needs network namespaces: {error}")
    # Not pytest's own folder: as root, PostgreSQL runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="opsconsole-machines-") as folder, MachinesStage(Path(folder)) as started:
        yield started


def test_a_machine_cut_off_in_the_middle_is_taken_over_by_another(stage: MachinesStage) -> None:
    try:
        result = run_round(stage, PLANNED)
    except (TooSlowError, UnavailableError) as error:
        pytest.fail(f"{error}\n{stage.logs()}")
    print(line_of(result))
    assert not result.problems, stage.logs()
    assert result.drift_left == 0
    assert result.injected, "everything was over before the cable was pulled"
    [[workers]] = stage.sql(SHARED)
    assert workers > 1, "one machine had the whole batch"
    assert (True,) in stage.sql(TAKEN_OVER), "nobody took over the job of the machine that was cut off"
