"""The catalogue that comes with the product: real electronic parts, prices made up from a fixed seed."""

from __future__ import annotations

import zlib
from importlib.resources import files

_DATA = "data"
#: What the catalogue says of itself, wherever it is shown.
SOURCE = (
    "Parts: symbol libraries of KiCad 6.0.10, copyright KiCad Community, CC-BY-SA-4.0 with the KiCad "
    "exception, reduced to name, description, family and keywords. Prices and VAT rates are synthesised "
    "from a fixed seed: they are nobody's offer outside this demonstration."
)
_MAX_BYTES = 8 * 1024 * 1024


def demo_csv() -> bytes:
    """The parts as a CSV in the documented form, some 17,000 lines."""
    packed = files("e2s.commerce.purchasing").joinpath(_DATA, "components.csv.gz").read_bytes()
    return zlib.decompressobj(wbits=31).decompress(packed, _MAX_BYTES)
