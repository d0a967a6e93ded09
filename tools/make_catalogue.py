"""Make the demonstration's catalogue from a CSV of KiCad's symbol libraries: ``make_catalogue.py PARTS.csv``.

The parts are real; prices and VAT rates are not.  They are synthesised by whole-number arithmetic
from SHA-256 of a fixed seed and the SKU, so everybody who runs this gets the same octets.
"""

from __future__ import annotations

import csv
import gzip
import re
import sys
import unicodedata
from hashlib import sha256
from pathlib import Path

SEED = b"e2s/1 demonstration prices"
OUT = Path(__file__).resolve().parent.parent / "src/e2s/commerce/purchasing/data/components.csv.gz"
E24 = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91)
#: Prices by the beginning of the family's name: first and last decade, in thousandths of the currency.
DECADES = (
    (("FPGA", "CPLD", "CPU", "GPU", "Transistor_Power", "Valve", "Motor"), 1000, 10),
    (("MCU", "DSP", "RF_", "Sensor", "Memory", "Converter_ACDC", "Display", "Relay"), 100, 10),
    (("Device", "Diode", "Connector", "Transistor", "LED", "Switch"), 1, 10),
)
USUAL = (10, 10)


def number(sku: str, what: str, below: int) -> int:
    """A whole number below ``below``, fixed by the seed, the SKU and what it is for."""
    return int.from_bytes(sha256(b"\0".join((SEED, what.encode(), sku.encode()))).digest()[:8], "big") % below


def price(sku: str, family: str) -> str:
    """A price of the E24 series within the family's decades."""
    least, decades = next((row[1:] for row in DECADES if family.startswith(row[0])), USUAL)
    thousandths = (
        E24[number(sku, "mantissa", len(E24))] * least * (decades if number(sku, "decade", 2) else 1)
    )
    return f"{thousandths // 1000}.{thousandths % 1000:03d}".rstrip("0").rstrip(".")


def vat_rate(family: str, text: str) -> str:
    """Three rates, so that baskets regroup by rate; which family has which is made up, like the prices."""
    if "solar" in text.lower() or family == "Battery_Management":
        return "0"
    return "7" if family.startswith(("Simulation_SPICE", "pspice", "MCU_Module", "Sensor")) else "19"


def token(words: str) -> str:
    """``words`` in the characters of an SKU."""
    latin = unicodedata.normalize("NFKD", words.replace("π", "pi")).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._:+-]", "_", latin)


def rows(source: Path) -> list[tuple[str, ...]]:
    """The items, one per part, SKUs made unique."""
    seen: set[str] = set()
    out = []
    with source.open(encoding="utf-8", newline="") as file:
        for part in csv.DictReader(file):
            family = token(part["library"])
            whole = token(f"{part['library']}:{part['part']}")
            sku, n = whole[:64], 1
            while sku in seen:
                n += 1
                sku = f"{whole[:60]}-{n}"
            seen.add(sku)
            said = " ".join(part["description"].split())
            text = (f"{part['part']} {said}" if said else f"{part['part']}, {family.replace('_', ' ')}")[
                :200
            ].strip()
            keywords = " ".join(part["keywords"].split())[:300]
            out.append((sku, text, family, price(sku, family), vat_rate(family, said), "piece", keywords))
    return sorted(out, key=lambda row: (row[2], row[0]))


def main() -> None:
    """Write the compressed CSV beside its licence."""
    lines = rows(Path(sys.argv[1]))
    OUT.parent.mkdir(exist_ok=True)
    with OUT.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        header = "sku,text,class,price,vatRate,unit,keywords\n"
        packed.write(header.encode())
        for row in lines:
            packed.write((",".join(cell(value) for value in row) + "\n").encode())
    sys.stdout.write(f"{len(lines)} items, {OUT.stat().st_size} bytes: {OUT}\n")


def cell(value: str) -> str:
    """A CSV cell, quoted where it must be."""
    return '"' + value.replace('"', '""') + '"' if re.search(r'[",\n]', value) else value


if __name__ == "__main__":
    main()
