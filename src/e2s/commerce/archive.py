"""A bundle is an archive with one encoding: the same files always give the same octets (protocol, section 7).

POSIX ustar (IEEE 1003.1, pax, "ustar Interchange Format"), uncompressed: regular files only, no owner,
no time, mode 0644, zeros to a multiple of 10,240 octets.  The reader takes nothing else: it reads
names and sizes, writes the archive anew and compares octet by octet, so no octet is without meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from e2s.base.errors import Misuse, Refusal

MAX_ARCHIVE_BYTES = 32 * 1024 * 1024
MAX_FILES = 600
_BLOCK = 512
_RECORD = 10_240
_FIRST = "manifest.json"
_NAME = re.compile(r"(?:[a-z]{1,16}/)?[A-Za-z0-9_-]{1,60}\.[a-z]{3,4}", re.ASCII)
_OCTAL = re.compile(rb"[0-7]{11}\x00")


def write_archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The archive of ``files``, ``manifest.json`` first and the rest in byte order of their names.

    Raises :class:`Misuse` ``bad-archive`` for a name that is repeated or cannot stand in a bundle.
    """
    held = list(files)
    fault = _fault([name for name, _ in held])
    if fault:
        raise Misuse("bad-archive", fault)
    return _written(held)


def read_archive(octets: bytes) -> list[tuple[str, bytes]]:
    """The files of an archive in their order; raises :class:`Refusal` ``bad-archive`` unless canonical."""
    if len(octets) > MAX_ARCHIVE_BYTES:
        raise Refusal("bad-archive", "the bundle is larger than may be read", most=MAX_ARCHIVE_BYTES)
    if not octets or len(octets) % _RECORD:
        raise Refusal("bad-archive", "the bundle's size is no multiple of 10240", size=len(octets))
    files: list[tuple[str, bytes]] = []
    pos = 0
    while octets[pos : pos + 1] not in {b"", b"\x00"}:
        if len(files) >= MAX_FILES:
            raise Refusal("bad-archive", "the bundle holds more files than may be read", most=MAX_FILES)
        name, size = _entry(octets, pos)
        pos += _BLOCK
        if size > len(octets) - pos:
            raise Refusal("bad-archive", "a file is longer than the bundle", object=name)
        files.append((name, octets[pos : pos + size]))
        pos += -(-size // _BLOCK) * _BLOCK
    fault = _fault([name for name, _ in files])
    if fault:
        raise Refusal("bad-archive", fault)
    again = _written(files)
    if again != octets:
        where = _first(again, octets, files)
        raise Refusal("bad-archive", "the octets are not those of the files' only archive", **where)
    return files


def _first(again: bytes, octets: bytes, files: list[tuple[str, bytes]]) -> dict[str, str | int]:
    """Where an archive first differs from the canonical one: the offset and the file that stands there."""
    if len(again) != len(octets):
        return {"object": "the end of the archive", "expected": len(again), "found": len(octets)}
    at = next(i for i in range(0, len(octets), _BLOCK) if again[i : i + _BLOCK] != octets[i : i + _BLOCK])
    at = next(i for i in range(at, at + _BLOCK) if again[i] != octets[i])
    ordered = sorted(files, key=_order)
    end = 0
    for name, held in ordered:
        end += _BLOCK + -(-len(held) // _BLOCK) * _BLOCK
        if at < end:
            return {"object": name, "offset": at}
    return {"object": "the end of the archive", "offset": at}


def _fault(names: list[str]) -> str:
    """Why these names cannot be a bundle's, or the empty string."""
    if len(names) > MAX_FILES:
        return "there are more files than a bundle may hold"
    if len(set(names)) != len(names):
        return "a name is repeated"
    bad = next((name for name in names if not _NAME.fullmatch(name)), None)
    return "a name has another form than a bundle's" if bad is not None else ""


def _order(file: tuple[str, bytes]) -> tuple[bool, bytes]:
    return file[0] != _FIRST, file[0].encode()


def _written(files: list[tuple[str, bytes]]) -> bytes:
    parts: list[bytes] = []
    for name, held in sorted(files, key=_order):
        parts += (_header(name, len(held)), held, bytes(-len(held) % _BLOCK))
    size = sum(map(len, parts)) + 2 * _BLOCK
    parts.append(bytes(2 * _BLOCK + -size % _RECORD))
    return b"".join(parts)


def _header(name: str, size: int) -> bytes:
    """The ustar header of a regular file without owner and time."""
    zero8, zero12 = b"0000000\x00", b"00000000000\x00"
    fields = (
        name.encode().ljust(100, b"\x00"),
        b"0000644\x00", zero8, zero8,  # mode, uid, gid
        b"%011o\x00" % size, zero12,  # size, mtime
        b" " * 8, b"0", bytes(100),  # checksum, type, link
        b"ustar\x0000", bytes(32), bytes(32), zero8, zero8, bytes(155), bytes(12),
    )  # fmt: skip
    header = b"".join(fields)
    return header[:148] + b"%06o\x00 " % sum(header) + header[156:]


def _entry(octets: bytes, pos: int) -> tuple[str, int]:
    """Name and size of the header at ``pos``; every other field is compared when written anew."""
    header = octets[pos : pos + _BLOCK]
    name = header[:100].rstrip(b"\x00")
    if not name.isascii() or b"\x00" in name or not _OCTAL.fullmatch(header[124:136]):
        raise Refusal("bad-archive", "a file's header has another form", offset=pos)
    shown = name.decode("ascii")
    if not _NAME.fullmatch(shown):
        raise Refusal("bad-archive", "a name has another form than a bundle's", offset=pos)
    return shown, int(header[124:135], 8)
