"""Many values of a fixed width as one parameter, as PostgreSQL's binary format has arrays.

Where the values are there in binary anyway, this spares writing them as text here and reading them there, which is most
of what a query for two thousand keys costs besides looking them up.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEAD = struct.Struct("!iiIii")  # dimensions, whether there are NULLs, element type, length, lower bound


@dataclass(frozen=True, slots=True)
class BinaryArray:
    """Values of the type `oid`, each of the same width. The query casts the parameter to the array's type."""

    oid: int
    values: Sequence[bytes]


class BinaryArrayDumper(Dumper):
    """For psycopg. Of an array without values only the first three numbers are sent."""

    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> bytes:
        if not obj.values:
            return struct.pack("!iiI", 0, 0, obj.oid)
        width = len(obj.values[0]).to_bytes(4)
        return _HEAD.pack(1, 0, obj.oid, len(obj.values), 1) + width + width.join(obj.values)
