"""`python -m tests.faults.forwarder LISTEN CONNECT PORT...`: what connects to LISTEN:PORT speaks with CONNECT:PORT.

The servers of the tests listen on loopback only, and a broker tells its clients to connect there. So one of these lets
a namespace reach this machine's loopback, and one inside makes the broker appear on the namespace's own.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

CHUNK = 65_536


async def serve(listen: str, connect: str, ports: list[int]) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(connect, port)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))

    for port in ports:
        await asyncio.start_server(lambda r, w, port=port: forward(r, w, port), listen, port)  # type: ignore[misc]
    await asyncio.Event().wait()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.close()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], [int(port) for port in sys.argv[3:]]))
