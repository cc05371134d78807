"""Two web processes that share a folder: whichever answers `/metrics` tells the requests of both."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from opsconsole.demo.addresses import ServerAddresses
from opsconsole.demo.ports import accepts, free_port
from tests.monitoring.processes import python, wait_for

pytest_plugins = ["tests.fixtures_sync"]
COUNTED = ("opsconsole_http_request_duration_seconds_count", "livez")


def requests_told(text: str) -> float:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(one.value for one in samples if (one.name, one.labels.get("part")) == COUNTED)


@pytest.mark.usefixtures("committed", "queue")
def test_the_requests_of_both_are_summed_up(
    servers: ServerAddresses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, port, sent = tmp_path / "metrics", free_port(0), 0
    shared.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(shared))
    monkeypatch.setenv("METRICS_NETWORKS", "127.0.0.0/8")
    arguments = ("-m", "gunicorn", "opsconsole.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "2")

    def both_have_answered() -> bool:
        nonlocal sent
        sent += httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30).is_success
        return len(list(shared.glob("histogram_*.db"))) == 2

    with python("web", servers, tmp_path, *arguments):
        wait_for(lambda: accepts(port), "the web processes answer")
        wait_for(both_have_answered, "both have answered")
        told = {requests_told(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text) for _ in range(4)}
    assert told == {sent}
