"""Search a party's home for what it may not hold, however it is wrapped.

Every file is read raw and as SQLite rows; what looks like base64, hexadecimal, DER or deflate is
decoded and searched again, to a bounded depth.  Digests found on the way are compared with those
that a guesser could compute from the catalogue.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import lzma
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha1, sha256, sha384
from pathlib import Path

_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-]{12,}={0,2}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){12,}")
MAX_DEPTH = 6


@dataclass(frozen=True)
class Leak:
    """A needle and where it was found: the file and the unwrappings that led to it."""

    needle: str
    path: Path
    through: tuple[str, ...]


@dataclass
class Haystack:
    """What to look for: plain needles, and digests that a guess would give."""

    needles: dict[bytes, str]
    guesses: dict[bytes, str] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        forms = sorted({form for n in self.needles for form in _forms(n)}, key=len, reverse=True)
        self._names = {form: name for n, name in self.needles.items() for form in _forms(n)}
        self._pattern = re.compile(b"|".join(re.escape(f) for f in forms)) if forms else None

    def search(self, octets: bytes, path: Path, through: tuple[str, ...] = ()) -> Iterator[Leak]:
        """Every leak in ``octets``, unwrapped up to :data:`MAX_DEPTH` times."""
        mark = sha1(octets, usedforsecurity=False).digest()
        if mark in self._seen:
            return
        self._seen.add(mark)
        if self._pattern is not None:
            for match in self._pattern.finditer(octets):
                yield Leak(self._names[match[0]], path, through)
        if len(octets) in (20, 32, 48) and octets in self.guesses:
            yield Leak(f"digest of {self.guesses[octets]}", path, through)
        if len(through) < MAX_DEPTH:
            for how, inner in _unwrapped(octets):
                yield from self.search(inner, path, (*through, how))


def _forms(needle: bytes) -> Iterator[bytes]:
    yield needle
    yield needle.decode().encode("utf-16-le")
    yield needle.decode().encode("utf-16-be")


def guesses(candidates: Iterable[bytes], labels: Iterable[bytes] = (b"",)) -> dict[bytes, str]:
    """Digests of what a guesser would try: every candidate under every label, by several hashes."""
    table: dict[bytes, str] = {}
    for candidate in candidates:
        for label in labels:
            for hash_ in (sha1, sha256, sha384):
                table[hash_(label + candidate).digest()] = candidate.decode("utf-8", "replace")[:60]
    return table


def _unwrapped(octets: bytes) -> Iterator[tuple[str, bytes]]:
    for match in _BASE64.finditer(octets):
        run = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        for skip in range(4 if len(run) < 400 else 1):  # a run may begin before its base64 does
            part = run[skip:]
            try:
                yield "base64", base64.b64decode(part[: len(part) - (len(part) % 4 == 1)] + b"==")
            except binascii.Error:
                continue
    for match in _HEX.finditer(octets):
        yield "hex", bytes.fromhex(match[0].decode())
    yield from _inflated(octets)
    if octets[:1] in (b"\x30", b"\x31", b"\x04", b"\x24", b"\xa0", b"\xa1"):
        for leaf in _der_leaves(octets):
            yield "der", leaf


def _inflated(octets: bytes) -> Iterator[tuple[str, bytes]]:
    for how, opener in (
        ("gzip", gzip.decompress),
        ("zlib", zlib.decompress),
        ("deflate", lambda o: zlib.decompress(o, -15)),
        ("xz", lzma.decompress),
    ):
        try:
            inner = opener(octets)
        except (zlib.error, OSError, EOFError, lzma.LZMAError):
            continue
        if inner:
            yield how, inner


def _der_leaves(octets: bytes, depth: int = 24) -> Iterator[bytes]:
    """Contents of primitive values, and constructed strings joined, as far as the octets are DER or BER."""
    at = 0
    joined = b""
    while at + 2 <= len(octets) and depth:
        tag, length, head = octets[at], octets[at + 1], 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + 2 + size > len(octets):
                return
            length, head = int.from_bytes(octets[at + 2 : at + 2 + size], "big"), 2 + size
        content = octets[at + head : at + head + length]
        if len(content) != length:
            return
        if tag & 0x20:
            yield from _der_leaves(content, depth - 1)
        else:
            yield content
            joined += content if tag == 4 else b""
        at += head + length
    if joined:
        yield joined


def files(home: Path) -> Iterator[tuple[Path, bytes]]:
    """Each file's octets, then each SQLite cell: a value may be split over pages of the raw file."""
    for path in sorted(p for p in home.rglob("*") if p.is_file()):
        octets = path.read_bytes()
        yield path, octets
        if octets.startswith(b"SQLite format 3"):
            for cell in _cells(path):
                yield path, cell


def _cells(path: Path) -> Iterator[bytes]:
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                for cell in row:
                    if isinstance(cell, (bytes, str)):
                        yield cell if isinstance(cell, bytes) else cell.encode()
    finally:
        connection.close()


def leaks(home: Path, haystack: Haystack) -> list[Leak]:
    """Every leak below ``home``."""
    return [leak for path, octets in files(home) for leak in haystack.search(octets, path)]
