"""The embedded broker: `python -m opsconsole.demo.broker [PARENT]` prints its bootstrap address and stays.

It is the mock cluster inside librdkafka: a real Kafka protocol server, in memory, for one machine. SIGTERM ends it, and
so does the end of the process PARENT. SIGUSR1 takes the broker down (connections end, none is accepted, nothing is
forgotten), SIGUSR2 brings it back on the same port: what a restart of a broker with a disk looks like from outside.
Called through ctypes, because the Python client offers neither a fixed address nor an outage.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from opsconsole.demo.processes import die_with_parent

TOPIC = b"task-updates"
PARTITIONS = 4
BROKER = 1
PRODUCER = 0  # rd_kafka_type_t: the mock cluster hangs on a client handle, of whichever type
WAKE_UP = 1


def load_library() -> ctypes.CDLL:
    """librdkafka as the wheel of confluent-kafka carries it."""
    import confluent_kafka

    package = Path(confluent_kafka.__file__).parent
    found = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    library = ctypes.CDLL(str(found[0]))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


def open_cluster(library: ctypes.CDLL) -> ctypes.c_void_p:
    """A cluster of one broker, with the topic made beforehand: the first producer need not wait for it."""
    reason = ctypes.create_string_buffer(512)
    configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
    handle = ctypes.c_void_p(library.rd_kafka_new(PRODUCER, configuration, reason, ctypes.c_size_t(len(reason))))
    if handle.value is None:
        raise SystemExit(f"The embedded broker did not start: {reason.value.decode()}")
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(handle, 1))
    library.rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 1)
    return cluster


def serve(parent: int) -> None:
    """Run until SIGTERM, SIGINT or the end of `parent`."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signals = ends | {signal.SIGUSR1, signal.SIGUSR2}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # before librdkafka starts threads, which inherit the mask
    library = load_library()
    cluster = open_cluster(library)
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    while os.getppid() == parent:
        received = signal.sigtimedwait(signals, WAKE_UP)
        if received is None:
            continue
        if received.si_signo in ends:
            break
        down = received.si_signo == signal.SIGUSR1
        change = library.rd_kafka_mock_broker_set_down if down else library.rd_kafka_mock_broker_set_up
        change(cluster, BROKER)
    os._exit(0)  # the client's own clean-up waits for its threads; nothing here needs it


def main() -> None:
    parent = int(sys.argv[1]) if len(sys.argv) > 1 else os.getppid()
    die_with_parent(signal.SIGTERM, parent)
    serve(parent)


if __name__ == "__main__":
    main()
