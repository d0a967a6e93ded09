"""Commands of a merchant's content manager (2.1)."""

from __future__ import annotations

import secrets
from pathlib import Path

import typer

from e2s.base.errors import Misuse
from e2s.base.instants import SystemClock
from e2s.cli.report import Json, document, say

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_MAX_BYTES = 32 * 1024 * 1024


@app.callback(epilog="Example: e2s catalogue check parts.csv")
def catalogue() -> None:
    """Check and load a merchant's catalogue."""


@app.command(epilog="Example: e2s catalogue check parts.csv")
def check(
    csv: Path = typer.Argument(..., help="A CSV with the documented header."), as_json: bool = Json
) -> None:
    """Read a CSV as a load would, and say what it holds; nothing is changed.

    Columns: sku, text, class, price, vatRate are needed; unit and keywords may follow.
    """
    from e2s.commerce.purchasing.load import read_csv

    items = read_csv(_read(csv))
    classes = len({item.kind for item in items})
    rates = sorted({item.vat_rate for item in items}, key=float)
    if as_json:
        document({"items": len(items), "classes": classes, "vatRates": rates})
    else:
        say(f"{csv}: {len(items)} items in {classes} classes, VAT rates {', '.join(rates)} per cent")


@app.command(
    epilog='Example: e2s catalogue load market volt-catalogue parts.csv --source "Volt, price list 7"'
)
def load(
    file: Path = typer.Argument(..., help="The community file, or the folder that it stands in."),
    component: str = typer.Argument(..., help="The merchant's catalogue component; it must run."),
    csv: Path | None = typer.Argument(
        None, help="A CSV with the documented header; without it, the demo's parts."
    ),
    currency: str = typer.Option("EUR", help="The currency of all prices (ISO 4217)."),
    source: str = typer.Option("", help="Where the items come from, and under which licence."),
    as_json: bool = Json,
) -> None:
    """Make the next version of a catalogue, sign it with its price lists, and publish it.

    The price lists follow the contracts of the community file.  Nothing is kept of a file with an error.
    """
    from e2s.commerce.purchasing.demo_data import SOURCE, demo_csv
    from e2s.community.content import load_catalogue
    from e2s.community.file import load_community
    from e2s.community.home import CommunityHome
    from e2s.community.running import place_of

    path = (file / "community.toml" if file.is_dir() else file).absolute()
    community = load_community(path)
    if community.component(component).kind != "merchant-catalogue":
        raise Misuse("wrong-component", "catalogues are loaded into a component of kind merchant-catalogue")
    place = place_of(
        community, CommunityHome.of_file(path), component, clock=SystemClock(), random=secrets.token_bytes
    )
    octets = demo_csv() if csv is None else _read(csv)
    version = load_catalogue(
        place, octets, currency=currency, source=source or (SOURCE if csv is None else csv.name)
    )
    if as_json:
        document({"component": component, "version": version})
    else:
        say(f"{component}: version {version} signed and published")


def _read(path: Path) -> bytes:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise Misuse("no-file", "the file cannot be read", path=str(path)) from error
    if len(octets) > _MAX_BYTES:
        raise Misuse("too-large", "the file is larger than may be read", path=str(path))
    return octets
