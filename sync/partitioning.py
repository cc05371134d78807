"""Which partition a task's messages go to: the one that Kafka's own clients choose for its key."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Collection, Sequence

SEED, MULTIPLIER, SHIFT, WORD = 0x9747B28C, 0x5BD1E995, 24, 0xFFFFFFFF


def partitions_of(keys: Sequence[bytes], partitions: Collection[int]) -> list[int]:
    """For each key one of the partitions, as the default partitioner of Kafka's clients chooses it."""
    ordered = sorted(partitions)
    alike: dict[int, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        alike[len(key)].append(place)
    chosen = [0] * len(keys)
    for length, places in alike.items():
        for place, hashed in zip(places, _murmur2(length, [keys[at] for at in places]), strict=True):
            chosen[place] = ordered[(hashed & 0x7FFFFFFF) % len(ordered)]
    return chosen


def _murmur2(length: int, keys: Sequence[bytes]) -> Sequence[int]:
    """The 32-bit Murmur 2 hash, with Kafka's seed, of keys of one length.

    All at once: one large whole number holds 64 bits for each key, of which every step leaves the lower 32, so no key's
    product reaches into the next one's bits. Key after key takes five times as long, and was a tenth of publishing.
    """
    count, words = len(keys), -(-length // 4)
    every = _side_by_side([1] * count)
    lower, high_bits = every * WORD, every * (WORD >> SHIFT)
    parts = struct.unpack(f"<{words * count}I", b"".join(key.ljust(4 * words, b"\0") for key in keys))
    hashed = every * (SEED ^ length)
    for word in range(length // 4):
        mixed = _side_by_side(parts[word::words]) * MULTIPLIER & lower
        mixed ^= mixed >> SHIFT & high_bits
        hashed = hashed * MULTIPLIER & lower ^ mixed * MULTIPLIER & lower
    if length % 4:
        hashed = (hashed ^ _side_by_side(parts[words - 1 :: words])) * MULTIPLIER & lower
    hashed = (hashed ^ hashed >> 13 & every * (WORD >> 13)) * MULTIPLIER & lower
    hashed ^= hashed >> 15 & every * (WORD >> 15)
    return struct.unpack(f"<{count}Q", hashed.to_bytes(8 * count, "little"))


def _side_by_side(numbers: Sequence[int]) -> int:
    """One number of 64 bits for each."""
    return int.from_bytes(struct.pack(f"<{len(numbers)}Q", *numbers), "little")
