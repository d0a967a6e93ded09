"""The process between all components: it listens where the community file says, and they listen elsewhere.

``python -m tests.fire.links FILE``: FILE lists the ends; a plan of faults comes by ``PUT /plan`` at the
control port, ``GET /counts`` tells what was done.  The shop's TLS ends here with the shop's own key, so that
its messages can be repeated too: to buyer and shop it is the wire, and they seal what they say.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fire.plan import Batch

_HOST = "127.0.0.1"
_HOLD_SECONDS = (0.05, 1.5)
_LATE_SECONDS = (0.2, 4.0)


@dataclass(frozen=True, kw_only=True)
class End:
    """One component's door: where the others look for it, and where it is."""

    name: str
    public: int
    private: int
    certificate: str = ""
    key: str = ""

    def front(self) -> ssl.SSLContext | None:
        """What ends TLS for the component, where it has TLS."""
        if not self.key:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def back(self) -> ssl.SSLContext | None:
        """What speaks TLS to the component; who it is was settled when the test wrote this end's port."""
        if not self.key:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


@dataclass
class Links:
    """All messages between components, and what goes wrong with them."""

    batch: Batch | None = None
    rate: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    late: set[asyncio.Task[None]] = field(default_factory=set)

    def control(self, message: bytes) -> bytes:
        """One order of the campaign's."""
        head, _, body = message.partition(b"\r\n\r\n")
        if head.startswith(b"PUT /plan "):
            order: dict[str, Any] = json.loads(body)
            self.batch = Batch(seed=order["seed"], number=order["number"]) if order["rate"] else None
            self.rate = order["rate"]
            self.passed.clear()
        told = json.dumps(self.counts).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(told), told)

    async def carry(self, end: End, message: bytes, forward: Callable[[bytes], Awaitable[bytes]]) -> bytes:
        """The answer to ``message``; raises :class:`ConnectionError` for what is lost."""
        self.passed[end.name] += 1
        self.counts["messages"] += 1
        batch, number = self.batch, self.passed[end.name]
        fault = batch.link_fault(end.name, number, self.rate) if batch else ""
        if batch is None or not fault:
            return await forward(message)
        self.counts[fault] += 1
        draw = batch.draw("span", end.name, number)
        if fault == "lose-request":
            raise ConnectionResetError("lost")
        if fault == "hold":
            await asyncio.sleep(draw.uniform(*_HOLD_SECONDS))
        if fault == "late":
            self._later(end, message, draw.uniform(*_LATE_SECONDS))
        if fault == "repeat":
            self._later(end, message, 0.0)
        answer = await forward(message)
        if fault == "lose-answer":
            raise ConnectionResetError("lost")
        return answer

    def _later(self, end: End, message: bytes, seconds: float) -> None:
        """A copy of a message comes by itself, and nobody hears its answer."""

        async def send() -> None:
            await asyncio.sleep(seconds)
            with suppress(OSError, EOFError, ValueError):
                await (await Wire.to(end)).ask(message)

        task = asyncio.get_running_loop().create_task(send())
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def serve(self, end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as long as both sides keep it."""
        wire: Wire | None = None
        try:
            wire = await Wire.to(end)
            while message := await whole(reader):
                writer.write(await self.carry(end, message, wire.ask))
                await writer.drain()
            writer.close()
        except (OSError, EOFError, ValueError):
            writer.transport.abort()
        finally:
            if wire is not None:
                wire.writer.transport.abort()

    async def obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The control port."""
        with suppress(OSError, EOFError):
            while message := await whole(reader):
                writer.write(self.control(message))
                await writer.drain()
        writer.close()


@dataclass
class Wire:
    """One connection to a component."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def to(cls, end: End) -> Wire:
        """Connect; raises :class:`OSError` where nobody listens."""
        return cls(*await asyncio.open_connection(_HOST, end.private, ssl=end.back()))

    async def ask(self, message: bytes) -> bytes:
        """The whole answer; raises :class:`ConnectionError` when the component ends before it."""
        self.writer.write(message)
        await self.writer.drain()
        answer = await whole(self.reader)
        if not answer:
            raise ConnectionResetError("no answer")
        return answer


async def whole(reader: asyncio.StreamReader) -> bytes:
    """One request or answer, head and body; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionResetError("cut within a message") from error
        return b""
    size = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return head + await reader.readexactly(size) if size else head


async def main(told: dict[str, Any]) -> None:
    """Serve until killed; says ``ready`` once every port is listened on."""
    links = Links()
    servers = [await asyncio.start_server(links.obey, _HOST, told["control"])]
    for row in told["ends"]:
        end = End(**row)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, end: End = end) -> None:
            await links.serve(end, reader, writer)

        servers.append(await asyncio.start_server(serve, _HOST, end.public, ssl=end.front(), backlog=512))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
