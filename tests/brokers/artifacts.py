"""Apache Kafka's jars, fetched once by Maven from Maven Central into `.cache/kafka` of the checkout."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from hashlib import blake2b
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kafka"
FETCH_SECONDS = 300


class NoKafkaError(Exception):
    """Apache Kafka cannot be had here; the text says what is missing."""


def class_path() -> str:
    """Java's class path for the artifacts of `pom.xml`. The first call of a checkout fetches them (70 MB, 15 s).

    Raises NoKafkaError where Java or Maven is missing, or Maven cannot fetch.
    """
    missing = [name for name in ("java", "mvn") if not shutil.which(name)]
    if missing:
        raise NoKafkaError(f"no {' and no '.join(missing)} on the path (Debian: default-jre-headless, maven)")
    CACHE.mkdir(parents=True, exist_ok=True)
    remembered = CACHE / f"classpath-{blake2b(POM.read_bytes(), digest_size=8).hexdigest()}"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs in one checkout would write the same files
        if not _complete(remembered):
            _fetch(remembered)
    return remembered.read_text(encoding="utf-8")


def _complete(remembered: Path) -> bool:
    """A checkout that was moved, or whose cache was thinned out, fetches again."""
    if not remembered.exists():
        return False
    return all(Path(jar).is_file() for jar in remembered.read_text(encoding="utf-8").split(os.pathsep))


def _fetch(remembered: Path) -> None:
    command = ["mvn", "--batch-mode", "--quiet", "--file", str(POM), f"-Dmaven.repo.local={CACHE / 'repository'}"]
    new = remembered.with_suffix(".new")
    try:
        done = subprocess.run(
            [*command, "dependency:build-classpath", f"-Dmdep.outputFile={new}"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FETCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NoKafkaError(f"Maven did not fetch Kafka within {FETCH_SECONDS} s") from None
    if done.returncode:
        reason = next((line for line in done.stdout.splitlines() if "[ERROR]" in line), done.stderr.strip())
        raise NoKafkaError(f"Maven cannot fetch Kafka: {reason}")
    new.replace(remembered)
