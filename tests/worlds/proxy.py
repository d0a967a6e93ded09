"""An HTTP proxy that remembers where it was asked to go and everything that it could read."""

from __future__ import annotations

import socket
import threading
from typing import BinaryIO, Self
from urllib.parse import urlsplit


class Proxy:
    """Serves within a ``with`` block at :attr:`origin`; forwards requests in absolute form (RFC 9112, 3.2.2)."""

    def __init__(self) -> None:
        self.targets: set[str] = set()
        self.seen = bytearray()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.origin = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server: socket.socket | None = None
        with client, client.makefile("rb") as asking:
            while (message := self._message(asking)) is not None:
                method, url, version = message.split(b"\r\n", 1)[0].decode().split(" ")
                parts = urlsplit(url)
                self.targets.add(f"{parts.scheme}://{parts.netloc}")
                if server is None:
                    server = socket.create_connection((parts.hostname or "", parts.port or 80))
                    answering = server.makefile("rb")
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                server.sendall(f"{method} {path} {version}\r\n".encode() + message.split(b"\r\n", 1)[1])
                answer = self._message(answering)
                if answer is None:
                    break
                client.sendall(answer)
            if server is not None:
                answering.close()
                server.close()

    def _message(self, source: BinaryIO) -> bytes | None:
        """One whole request or answer with its body, as octets."""
        head, size = b"", 0
        while (line := source.readline()) not in {b"\r\n", b""}:
            head += line
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                size = int(value)
        if not head:
            return None
        message = head + b"\r\n" + source.read(size)
        self.seen += message
        return message
