"""Holding publishing back: a rate, the consumer's lag, a condition on the source; of the estate and of a batch.

`decision` is pure; `readings` asks Kafka and the source, `rates` shares a rate between processes, `limits` says what
holds now, `gate` waits and says so.
"""
