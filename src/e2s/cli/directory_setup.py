"""``e2s directory setup``: an example configuration of slapd, with the publisher's password."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from e2s.base.errors import Misuse
from e2s.cli import files
from e2s.cli.ca_home import write_new
from e2s.cli.report import document, say
from e2s.security.directory.configuration import (
    SCHEMAS,
    Slapd,
    Tls,
    write_base,
    write_configuration,
    write_replica,
)
from e2s.security.directory.names import read_suffix
from e2s.security.directory.server_file import directory_at, write_server

_SCHEMAS = (Path("/etc/ldap/schema"), Path("/etc/openldap/schema"), Path("/usr/local/etc/openldap/schema"))
_MODULES = (Path("/usr/lib/ldap"), Path("/usr/lib64/openldap"), Path("/usr/local/libexec/openldap"))
_PASSWORD_BYTES = 32
_SALT_BYTES = 8


def setup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The server's folder; made if need be.")],
    suffix: Annotated[str, typer.Option("--suffix", metavar="DN", help="The top of the tree.")] = "o=market",
    cert: Annotated[
        Path | None,
        typer.Option("--cert", metavar="FILE", help="The server's certificate, then its issuers."),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its key.")] = None,
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="FILE", help="The roots of clients' certificates.")
    ] = None,
    writer: Annotated[
        Path | None,
        typer.Option("--writer", metavar="FILE", help="The publisher's certificate, to be known by."),
    ] = None,
    uri: Annotated[
        str,
        typer.Option("--uri", metavar="URI", help="Where it will be found: ldap://host:port or ldaps://."),
    ] = "ldap://127.0.0.1:389",
    schemas: Annotated[
        Path | None, typer.Option("--schemas", metavar="DIR", help="OpenLDAP's schema files.")
    ] = None,
    modules: Annotated[
        Path | None, typer.Option("--modules", metavar="DIR", help="OpenLDAP's modules.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of lines.")
    ] = False,
) -> None:
    """Write slapd.conf, the first entries, a replica's lines and the publisher's password.

    Anybody may read the tree; only uid=publisher writes, by the password, or over ldapi as the user who ran
    this.  directory.toml is what --to and --in of the other commands take.  Nothing is started, and no file
    is replaced.
    """
    parts = (cert, key, trust)
    if any(parts) and not all(parts):
        raise Misuse("no-key", "TLS takes all three: --cert, --key and --trust")
    tls = None
    if cert and key and trust:
        known = files.certificates(writer)[0] if writer else None
        tls = Tls(certificate=cert.absolute(), key=key.absolute(), anchors=trust.absolute(), writer=known)
    slapd = Slapd(
        folder=folder.absolute(),
        suffix=read_suffix(suffix),
        uid=os.getuid(),
        schemas=schemas or _first(_SCHEMAS, f"{SCHEMAS[0]}.schema", "--schemas"),
        modules=modules or _first(_MODULES, "back_mdb.so", "--modules"),
        tls=tls,
    )
    said: dict[str, str | bool] = {
        "uri": uri,
        "suffix": suffix,
        "bind": slapd.publisher,
        "password_file": "publisher.password",
        **({"trust": str(trust.absolute())} if trust else {}),
    }
    directory_at(uri, slapd.suffix, trust=trust)  # refused before anything is written
    password = secrets.token_urlsafe(_PASSWORD_BYTES).encode()
    base = write_base(slapd, password, secrets.token_bytes(_SALT_BYTES)).encode()
    written = [
        write_new(folder / "slapd.conf", write_configuration(slapd).encode()),
        write_new(folder / "base.ldif", base, private=True),
        write_new(folder / "replica.conf", write_replica(slapd, uri).encode()),
        write_new(folder / "publisher.password", password, private=True),
        write_new(folder / "directory.toml", write_server(**said).encode()),
    ]
    (folder / "data").mkdir(mode=0o700, exist_ok=True)
    conf = folder / "slapd.conf"
    commands = [
        f"slapadd -f {conf} -l {folder / 'base.ldif'}",
        f"slapd -f {conf} -h {uri}",
    ]
    if as_json:
        document({"files": written, "publisher": slapd.publisher, "commands": commands})
        return
    say(f"{', '.join(path.name for path in written)} in {folder}")
    say(f"{slapd.publisher} writes; load the first entries once, then start the server:")
    for command in commands:
        say(f"  {command}")


def _first(folders: tuple[Path, ...], file: str, option: str) -> Path:
    """The first folder that has the file."""
    for folder in folders:
        if (folder / file).exists():
            return folder
    raise Misuse("no-slapd", f"OpenLDAP's slapd is not where it is looked for: name the folder by {option}")
