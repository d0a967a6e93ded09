"""A catalogue comes as CSV with a documented header; what is wrong is told by line, column and rule.

Header (any order): ``sku, text, class, price, vatRate`` and, if wanted, ``unit, keywords``.  UTF-8,
commas, double quotes; price of one unit in the catalogue's currency, VAT rate in percent, both with
a decimal point.  Nothing of a file is taken unless all of it is good.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator

from e2s.base.errors import Refusal
from e2s.commerce.purchasing.items import COLUMNS, MAX_ITEMS, Item

REQUIRED = frozenset(COLUMNS[:5])
MAX_CSV_BYTES = 32 * 1024 * 1024
#: An item file travels whole in one message between components.
MAX_FILE_BYTES = 1024 * 1024
#: Words deflate to a tenth; more than this is no catalogue, and a small file may not cost its reader much.
MAX_RATIO = 64
_ALWAYS_BYTES = 64 * 1024
_PIECE_BYTES = 16 * 1024


def read_csv(octets: bytes) -> list[Item]:
    """Every item of a CSV file; raises :class:`Refusal` with ``line`` and the rule that it breaks."""
    if len(octets) > MAX_CSV_BYTES:
        raise Refusal("too-large", "the file is larger than may be read", size=len(octets))
    try:
        words = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise Refusal("bad-encoding", "the file is not UTF-8", line=line) from error
    reader = csv.reader(io.StringIO(words, newline=""), strict=True)
    rows = _rows(reader)
    order = _order(next(rows, []))
    items: list[Item] = []
    known: dict[str, int] = {}
    for row in rows:
        line = reader.line_num
        if len(row) != len(order):
            raise Refusal("bad-row", f"the header has {len(order)} columns", line=line, found=len(row))
        item = _item(row, order, line)
        if item.sku in known:
            raise Refusal(
                "sku-twice", "an SKU names one item", line=line, first=known[item.sku], sku=item.sku
            )
        if len(items) == MAX_ITEMS:
            raise Refusal("too-many-items", f"a catalogue has at most {MAX_ITEMS} items", line=line)
        known[item.sku] = line
        items.append(item)
    if not items:
        raise Refusal("empty-catalogue", "the file has no item", line=1)
    return items


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that are not blank; the reader's own complaints become refusals."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            line = reader.line_num  # type: ignore[attr-defined]
            raise Refusal("bad-csv", f"the line is not CSV: {error}", line=line) from error
        if any(cell.strip() for cell in row):
            yield row


def _order(header: list[str]) -> list[int]:
    """For each column of the header, its place in :data:`COLUMNS`."""
    names = [cell.strip() for cell in header]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown:
        raise Refusal("bad-header", "a column is unknown", line=1, column=unknown[0][:40])
    if len(set(names)) != len(names):
        raise Refusal("bad-header", "a column stands twice in the header", line=1)
    missing = sorted(REQUIRED - set(names))
    if missing:
        raise Refusal("bad-header", "a column is missing", line=1, column=missing[0])
    return [COLUMNS.index(name) for name in names]


def _item(row: list[str], order: list[int], line: int) -> Item:
    values = [""] * len(COLUMNS)
    for place, value in zip(order, row, strict=True):
        values[place] = value
    try:
        return Item.read(values)
    except Refusal as refusal:
        raise Refusal(refusal.rule, refusal.message, line=line, **refusal.facts) from refusal


def write_items(items: Iterable[Item]) -> bytes:
    """The item file: CSV with all columns, sorted by class and SKU, deflated; raises ``too-large``."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(item.row() for item in sorted(items, key=lambda item: (item.kind, item.sku)))
    words = out.getvalue().encode()
    octets = zlib.compress(words, 9)
    try:
        fits = len(octets) <= MAX_FILE_BYTES and _inflated(octets) == words
    except Refusal:
        fits = False
    if not fits:
        raise Refusal("too-large", "the catalogue is larger than one version may be", size=len(octets))
    return octets


def read_items(octets: bytes) -> list[Item]:
    """The items of an item file; raises :class:`Refusal` ``bad-item-file`` or what its CSV breaks."""
    if len(octets) > MAX_FILE_BYTES:
        raise Refusal("too-large", "the item file is larger than may be read", size=len(octets))
    return read_csv(_inflated(octets))


def _inflated(octets: bytes) -> bytes:
    """The words of an item file, piece by piece: a bomb is known by what its first pieces become."""
    inflater = zlib.decompressobj()
    words: list[bytes] = []
    size = 0
    try:
        for at in range(0, len(octets), _PIECE_BYTES):
            most = _most_words(at + _PIECE_BYTES)
            words.append(inflater.decompress(octets[at : at + _PIECE_BYTES], most - size + 1))
            size += len(words[-1])
            if size > most or inflater.unconsumed_tail:
                raise Refusal("bad-item-file", "the item file inflates to more than a catalogue does")
    except zlib.error as error:
        raise Refusal("bad-item-file", "the item file is damaged") from error
    if not inflater.eof or inflater.unused_data:
        raise Refusal("bad-item-file", "the item file is cut short, or goes on after its end")
    return b"".join(words)


def _most_words(size: int) -> int:
    """How much an item file may inflate to, or the first ``size`` octets of one."""
    return min(MAX_CSV_BYTES, max(_ALWAYS_BYTES, MAX_RATIO * size))
