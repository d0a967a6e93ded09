"""Many registrations come as one CSV: each row is read strictly, and what is wrong is told by row and column.

Header, in any order: ``name, party, profile, evidence, issuer, number, seen, place, request`` are needed;
``person, protection, confidence, further, expires, seen-at, scan`` may be there.  Commas, semicolons or tabs,
with or without a byte order mark, LF or CRLF; UTF-8 alone.  ``request`` is a PKCS #10 request in PEM, or the
name of a file beside the CSV; ``scan`` the SHA-256 of a scan in hexadecimal, or such a name.  What is written
can be opened by a spreadsheet: no cell of it is computed.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from e2s.base.errors import Refusal
from e2s.security.certificates.certify import MAX_REQUEST_BYTES

REQUIRED: Final = ("name", "party", "profile", "evidence", "issuer", "number", "seen", "place", "request")
OPTIONAL: Final = ("person", "protection", "confidence", "further", "expires", "seen-at", "scan")
COLUMNS: Final = (*REQUIRED, *OPTIONAL)
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
MAX_ROWS: Final = 200_000
MAX_CELL: Final = 24 * 1024
_MAX_LINE_BYTES: Final = 128 * 1024
_MAX_SCAN_BYTES: Final = 256 * 1024 * 1024
_DELIMITERS: Final = (",", ";", "\t")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_PEM = re.compile(
    r"\s*-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----"
    r"(?P<body>[A-Za-z0-9+/=\s]*)-----END (?P=label)-----\s*",
    re.ASCII,
)
_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_FILE = re.compile(r"[\w.-]+(/[\w.-]+)*")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: ``line`` is that of its first cell in the file, the header's being 1."""

    line: int
    cells: Mapping[str, str]


def read_rows(file: BinaryIO) -> Iterator[Row | tuple[int, Refusal]]:
    """The rows of an open CSV, or the line and what is wrong with the row.

    Raises :class:`Refusal` for what makes the whole file unreadable: ``bad-encoding``, ``bad-header``,
    ``bad-csv``, ``too-large``, ``empty-sheet``.
    """
    lines = _Lines(file)
    header, delimiter = _header(lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    number = 0
    while True:
        line = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise Refusal("bad-csv", f"the line is not CSV: {error}", line=lines.number) from error
        if not any(cell.strip() for cell in cells):
            continue
        number += 1
        if number > MAX_ROWS:
            raise Refusal("too-large", f"a file has at most {MAX_ROWS} rows", line=line)
        try:
            yield Row(line=line, cells=_cells(header, cells))
        except Refusal as refusal:
            yield line, refusal
    if not number:
        raise Refusal("empty-sheet", "the file has no row", line=1)


def read_request_cell(cell: str, folder: Path) -> bytes:
    """The PKCS #10 request of a cell, DER; raises :class:`Refusal` ``bad-request``, ``bad-file``."""
    if "-----BEGIN" in cell:
        return request_of_pem(cell)
    octets = _beside(cell, folder, MAX_REQUEST_BYTES * 2)
    if octets.lstrip().startswith(b"-----BEGIN"):
        return request_of_pem(octets.decode("ascii", "replace"))
    return octets


def request_of_pem(text: str) -> bytes:
    """The request in one PEM block (RFC 7468, 7), DER; raises :class:`Refusal` ``bad-request``."""
    block = _PEM.fullmatch(text)
    if block is None:
        raise Refusal("bad-request", "this is not one PEM block of a certificate request")
    try:
        return base64.b64decode("".join(block["body"].split()), validate=True)
    except binascii.Error as error:
        raise Refusal("bad-request", "the PEM block is not base64") from error


def scan_digest(cell: str, folder: Path) -> bytes:
    """The digest of a scan: given, or of a file beside the CSV; empty where there is none."""
    if not cell:
        return b""
    if _HEX.fullmatch(cell):
        return bytes.fromhex(cell)
    return hashlib.sha256(_beside(cell, folder, _MAX_SCAN_BYTES)).digest()


def safe_cell(value: object) -> str:
    """What may stand in a cell: a spreadsheet takes none of it for a formula (CWE-1236)."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def safe_row(values: Sequence[object]) -> list[str]:
    """A row of :func:`safe_cell`."""
    return [safe_cell(value) for value in values]


class column:  # noqa: N801 - reads as what it is in a with statement
    """A refusal within the block names this column."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        """``name`` as in the header."""
        self._name = name

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the refusal anew, with the column among its facts."""
        if isinstance(error, Refusal):
            facts = {**error.facts, "column": self._name}
            raise Refusal(error.rule, error.message, **facts) from error


class _Lines:
    """The lines of a file as text, decoded one by one, so that each fault has its line."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._octets = 0
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        raw = self._file.readline(_MAX_LINE_BYTES + 1)
        if not raw:
            raise StopIteration
        self.number += 1
        self._octets += len(raw)
        if len(raw) > _MAX_LINE_BYTES or self._octets > MAX_FILE_BYTES:
            raise Refusal("too-large", "the line, or the file, is larger than is read", line=self.number)
        if self.number == 1:
            if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\0" in raw:
                raise Refusal("bad-encoding", "the file is UTF-16: save it as CSV UTF-8", line=1)
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refusal("bad-encoding", "the file is not UTF-8", line=self.number) from error


def _header(lines: _Lines) -> tuple[list[str], str]:
    """The columns, and what divides them; a spreadsheet's ``sep=;`` may stand before."""
    first = next(lines, "")
    declared = re.fullmatch(r"sep=(.)\r?\n", first)
    if declared:
        first = next(lines, "")
    choices = (declared[1],) if declared else _DELIMITERS
    found: list[list[str]] = []
    for delimiter in choices:
        try:
            names = [
                cell.strip().lower() for cell in next(csv.reader([first], delimiter=delimiter, strict=True))
            ]
        except (csv.Error, StopIteration, TypeError, ValueError):
            continue
        if set(names) & set(COLUMNS) and set(REQUIRED) <= set(names):
            _check_header(names)
            return names, delimiter
        found.append(names)
    best = max(found, key=lambda names: len(set(names) & set(COLUMNS)), default=[])
    missing = [name for name in REQUIRED if name not in best]
    raise Refusal("bad-header", "a column is missing", line=1, column=missing[0] if missing else "")


def _check_header(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise Refusal("bad-header", "a column is unknown", line=1, column=unknown[0][:40])
    if len(set(names)) != len(names):
        raise Refusal("bad-header", "a column stands twice in the header", line=1)


def _cells(header: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """The cells by column, trimmed and in NFC.

    Raises :class:`Refusal` ``bad-row``, ``bad-cell`` or ``empty-cell``.
    """
    if len(cells) != len(header):
        raise Refusal("bad-row", f"the header has {len(header)} columns", found=len(cells))
    found: dict[str, str] = dict.fromkeys(OPTIONAL, "")
    for name, cell in zip(header, cells, strict=True):
        value = cell if cell.isascii() else unicodedata.normalize("NFC", cell)
        value = value.strip()
        if len(value) > MAX_CELL:
            raise Refusal("bad-cell", "the cell holds more than is read", column=name)
        shown = value if name != "request" else value.replace("\r", "").replace("\n", "")
        if not shown.isprintable():
            raise Refusal("bad-cell", "the cell holds characters that are not shown", column=name)
        if not value and name in REQUIRED:
            raise Refusal("empty-cell", "this cell may not be empty", column=name)
        found[name] = value
    return found


def _beside(name: str, folder: Path, most: int) -> bytes:
    """The file of this name in or below the CSV's folder; raises :class:`Refusal` ``bad-file``."""
    if not _FILE.fullmatch(name) or any(part in {".", ".."} for part in name.split("/")) or len(name) > 255:
        raise Refusal("bad-file", "a file is named by its place in the CSV's folder", file=name[:80])
    path = folder / name
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)) or not path.is_file():
            raise Refusal("bad-file", "a file is named by its place in the CSV's folder", file=name)
        with path.open("rb") as file:
            octets = file.read(most + 1)
    except OSError as error:
        raise Refusal("bad-file", "the file cannot be read", file=name, why=error.strerror) from error
    if len(octets) > most:
        raise Refusal("bad-file", "the file is larger than is read", file=name)
    return octets
