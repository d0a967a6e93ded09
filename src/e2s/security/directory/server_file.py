"""Which directory is meant, in a file: its address, its tree, how it is protected, and who we are there."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2s.base.errors import Refusal
from e2s.security.directory.address import NOBODY, Address, Login
from e2s.security.directory.names import Dn, read_suffix, write_dn

_MAX_BYTES: Final = 16 * 1024
_KINDS: Final = {
    "uri": str,
    "suffix": str,
    "bind": str,
    "password_file": str,
    "external": bool,
    "trust": str,
    "certificate": str,
    "key": str,
}


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A server that may be asked, where in its tree, and who we are there."""

    address: Address
    suffix: Dn
    login: Login = NOBODY


def read_server(path: Path) -> Directory:
    """What the file says; its paths begin at its folder.  Raises :class:`Refusal` ``bad-directory-file``."""
    try:
        octets = path.read_bytes()[: _MAX_BYTES + 1]
        said = tomllib.loads(octets.decode()) if len(octets) <= _MAX_BYTES else {"": ""}
        if any(_KINDS.get(name) is not type(value) for name, value in said.items()):
            raise ValueError
        return _directory(said, path.parent)
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise Refusal("bad-directory-file", "the file does not name a directory", path=str(path)) from error


def write_server(**said: str | bool) -> str:
    """The file's text, from the members that :func:`read_server` knows."""
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in said.items())


def directory_at(
    uri: str, suffix: Dn, *, publisher: str = "", password_file: Path | None = None, trust: Path | None = None
) -> Directory:
    """The directory at ``uri``: with roots by TLS, at a socket as our user, else by password or as nobody."""
    start_tls = trust is not None and uri.startswith("ldap:")
    if password_file is not None:
        login = Login(dn=f"{publisher},{write_dn(suffix)}", password_file=password_file)
    else:
        login = Login(external=uri.startswith("ldapi:"))
    return Directory(address=Address(uri=uri, start_tls=start_tls, anchors=trust), suffix=suffix, login=login)


def _directory(said: Mapping[str, Any], folder: Path) -> Directory:
    """Raises anything of what :func:`read_server` catches, and as :class:`Address` and :class:`Login`."""

    def file(name: str) -> Path | None:
        return folder / said[name] if name in said else None

    trust, uri = file("trust"), said["uri"]
    return Directory(
        address=Address(
            uri=uri,
            start_tls=trust is not None and uri.startswith("ldap:"),
            anchors=trust,
            certificate=file("certificate"),
            key=file("key"),
        ),
        suffix=read_suffix(said["suffix"]),
        login=Login(
            dn=said.get("bind", ""),
            password_file=file("password_file"),
            external=said.get("external", False),
        ),
    )
