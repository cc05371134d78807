"""What a deployment starts from: every command in it exists, every variable is one of the reference, nothing is root.

Images are not built here; what is in these files is read, and held against the console.
"""

from __future__ import annotations

import configparser
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands, load_command_class
from django.urls import resolve
from gunicorn.config import Config

from opsconsole.variables import declared

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
PROCESSES = {"web", "worker", "clock"}


def require_command(words: Sequence[str]) -> None:
    """Fails where there is no such program of the console, or it takes no such arguments."""
    program, *rest = words
    name = Path(program).name
    if name == "gunicorn":
        options = Config().parser().parse_args(rest)
        assert importlib.util.find_spec(options.args[0]), options.args
    elif rest[0] == "-m":
        assert importlib.util.find_spec(rest[1]), rest
    else:
        assert (name, rest[0]) == ("python", "manage.py"), words
        command = load_command_class(get_commands()[rest[1]], rest[1])
        command.create_parser("manage.py", rest[1]).parse_args(rest[2:])


def require_known(names: Iterator[str] | Sequence[str]) -> None:
    """Fails for a variable that neither the settings nor the example of an estate reads."""
    known = {variable.name for section in declared.SECTIONS for variable in section.variables}
    example = tomllib.loads((ROOT / "estate.example.toml").read_text(encoding="utf-8"))
    known |= {value for table in example.values() if isinstance(table, dict) for value in _named(table)}
    assert [name for name in names if name.removesuffix("_FILE") not in known] == []


def _named(table: dict[str, Any]) -> list[str]:
    return [value for key, value in table.items() if key.endswith("_env") and isinstance(value, str)]


def dockerfile() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def words_after(instruction: str) -> list[str]:
    (line,) = [line for line in dockerfile() if line.startswith(f"{instruction} ")]
    found = re.search(r"\[.*\]", line)
    assert found, line
    words: list[str] = yaml.safe_load(found[0])
    return words


def test_the_image_runs_the_web_process_and_asks_whether_it_answers() -> None:
    for instruction in ("CMD", "HEALTHCHECK"):
        require_command(words_after(instruction))
    assert "USER 10001" in dockerfile()
    bases = [line.split()[1] for line in dockerfile() if line.startswith("FROM ")]
    assert bases
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", base) for base in bases), bases


def test_the_image_has_what_the_console_reads_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    taken = {line[1:] for line in rules if line.startswith("!")}
    assert [name for name in taken if not (ROOT / name).exists()] == []
    needed = {"manage.py", "requirements.txt", "opsconsole", "sync", "monitoring", "templates", "static"}
    assert needed <= taken
    assert not taken & {".git", ".env", ".demo", ".venv", "tests", "estate.toml"}


def test_every_process_is_in_the_procfile() -> None:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    commands = dict(line.split(": ", 1) for line in lines)
    assert set(commands) == PROCESSES | {"release"}
    for command in commands.values():
        require_command(shlex.split(command))


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


def test_compose_starts_the_console_and_what_it_needs() -> None:
    ours = {name: service for name, service in services().items() if "build" in service}
    assert set(ours) == PROCESSES | {"migrate"}
    assert set(services()) - set(ours) == {"postgres", "redis", "kafka"}
    for name, service in ours.items():
        if "command" in service:
            require_command(service["command"])
        require_known(list(service["environment"]))
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        # The image asks whether its web process answers, which no other process can say.
        assert ("healthcheck" in service) == (name != "web"), name
        assert set(service["depends_on"]) <= set(services()), name
    for name in ("postgres", "redis", "kafka"):
        assert re.search(r":[\d.]+", services()[name]["image"]), name


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path, encoding="utf-8")
    return parser


@pytest.mark.parametrize("path", SYSTEMD, ids=lambda path: path.name)
def test_each_unit_starts_a_process_of_the_console(path: Path) -> None:
    service = unit(path)["Service"]
    require_command(shlex.split(service["ExecStart"]))
    assert service["User"] == "opsconsole"
    assert service["ProtectSystem"] == "strict"
    example = (ROOT / "deploy" / "environment.example").read_text(encoding="utf-8")
    require_known(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_there_is_a_unit_for_each_process() -> None:
    assert {path.name.removeprefix("opsconsole-").rstrip("@").split(".")[0].rstrip("@") for path in SYSTEMD} == (
        PROCESSES | {"migrate"}
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    """With the checkout where the units expect it."""
    for path in SYSTEMD:
        text = path.read_text(encoding="utf-8").replace("/srv/opsconsole/.venv/bin", str(Path(sys.executable).parent))
        (tmp_path / path.name).write_text(text.replace("/srv/opsconsole", str(ROOT)), encoding="utf-8")
    files = [str(tmp_path / path.name).replace("@.", "@1.") for path in SYSTEMD]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files], check=False, capture_output=True, text=True, timeout=60
    )
    said = [line for line in done.stderr.splitlines() if "opsconsole" in line]
    assert (said, done.returncode) == ([], 0), done.stderr


def documents() -> list[dict[str, Any]]:
    found = [part for path in KUBERNETES for part in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return [part for part in found if part["kind"] != "Kustomization"]


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Kind and pod template of what runs something."""
    return [(part["kind"], part["spec"]["template"]) for part in documents() if part["kind"] in ("Deployment", "Job")]


def test_kubernetes_runs_every_process_without_rights() -> None:
    assert {pod["metadata"]["labels"]["process"] for _, pod in pods()} == PROCESSES | {"migrate"}
    for kind, pod in pods():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"], kind
        assert spec["securityContext"]["runAsUser"] == 10001
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            if "command" in container:
                require_command(container["command"])
            assert container["securityContext"]["readOnlyRootFilesystem"], container["name"]
            assert {next(iter(one.values()))["name"] for one in container["envFrom"]} == {"opsconsole"}


def test_kubernetes_knows_its_own_parts() -> None:
    labels = [pod["metadata"]["labels"] for _, pod in pods()]
    for part in documents():
        if part["kind"] == "ConfigMap":
            require_known(list(part["data"]))
        selector = part.get("spec", {}).get("selector", {})
        wanted = selector.get("matchLabels", selector)
        assert not wanted or any(wanted.items() <= one.items() for one in labels), part["metadata"]["name"]
    files = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text(encoding="utf-8"))
    assert set(files["resources"]) == {path.name for path in KUBERNETES} - {"kustomization.yaml"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_it_together() -> None:
    folder = str(ROOT / "deploy" / "kubernetes")
    done = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True, timeout=60)
    parts = list(yaml.safe_load_all(done.stdout))
    assert {part["kind"] for part in parts} >= {"ConfigMap", "Deployment", "Job", "Service"}
    images = set(re.findall(r"image: (\S+)", done.stdout))
    assert images == {"registry.example.com/opsconsole:1"}


def test_kubernetes_lets_workers_end_at_a_chunk_and_probes_ask_what_a_restart_can_mend() -> None:
    by_process = {pod["metadata"]["labels"]["process"]: pod["spec"] for _, pod in pods()}
    (worker,), (web,) = by_process["worker"]["containers"], by_process["web"]["containers"]
    assert "kill -TERM 1" in worker["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert by_process["worker"]["terminationGracePeriodSeconds"] >= 60
    hosts = next(part["data"]["ALLOWED_HOSTS"] for part in documents() if part["kind"] == "ConfigMap").split(",")
    for probe in ("readinessProbe", "livenessProbe"):
        asked = web[probe]["httpGet"]
        assert resolve(asked["path"]).view_name == "livez"
        assert asked["httpHeaders"][0]["value"] in hosts
