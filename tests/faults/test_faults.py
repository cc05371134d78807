"""The whole main job under every fault, once, in pairs: `make faults` runs longer lists of them.

What needs three brokers of Apache Kafka has a stage of its own, after the other is gone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsconsole.errors import UnavailableError
from tests.faults.plan import Round, quick_rounds
from tests.faults.report import line_of
from tests.faults.rounds import run_round
from tests.faults.stage import Stage, TooSlowError

SEED = 1
PLANNED = [pytest.param(one.needs_three_brokers, one, id=str(one)) for one in quick_rounds(SEED)]

pytest_plugins = ["tests.fixtures_kafka"]
pytestmark = [
    pytest.mark.timeout(300),  # the first one on a stage starts everything
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # kafka-python leaves sockets behind when it is closed
]


@pytest.fixture(scope="module")
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    class_path = request.getfixturevalue("kafka_class_path") if request.param else ""
    # Not pytest's own folder: as root, PostgreSQL runs as another user, who must get there.
    with tempfile.TemporaryDirectory(prefix="opsconsole-faults-") as folder, Stage(Path(folder), class_path) as started:
        yield started


@pytest.mark.parametrize(("stage", "planned"), PLANNED, indirect=["stage"], scope="module")  # one stage for many
def test_the_main_job_survives(stage: Stage, planned: Round) -> None:
    try:
        result = run_round(stage, planned)
    except (TooSlowError, UnavailableError) as error:
        pytest.fail(f"{error}\n{stage.logs()}")
    print(line_of(result))
    assert not result.problems, stage.logs()
    assert result.injected, "everything was over before the fault could strike"
