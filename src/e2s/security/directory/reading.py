"""A directory read as a repository is: the client services ask either in the same words.

Only servers that were named beforehand are asked, whatever a certificate or a server says.  What comes is
unchecked, as from any repository: the verifier judges.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, TypeVar

from e2s.base.errors import Refusal, Unreachable
from e2s.base.http import Exchange, Request, Response, refused
from e2s.crypto.certificates import Certificate
from e2s.security.directory.address import origin_of
from e2s.security.directory.entries import (
    CA,
    DELTA_LIST,
    LIST,
    PAIR,
    USER,
    certificates_of,
    lists_of,
)
from e2s.security.directory.names import any_of, equal, present, read_dn, write_dn
from e2s.security.directory.server_file import Directory
from e2s.security.directory.session import Session
from e2s.security.directory.targets import read_target
from e2s.security.repository.lookup import found_answer
from e2s.security.repository.search import read_query
from e2s.security.verification.crls import CrlIndex
from e2s.security.verification.searching import CERTIFICATES_PATH, CRLS_PATH, MAX_FOUND

_LIST_PATH = re.compile(r"/crl/([0-9a-f]{64})(?:-([0-9]{1,5}))?(-delta)?\.crl", re.ASCII)
#: What a name may stand for in the directory, in a look-up by RFC 4387 and by a person.
_BY: Final = {"name": ("cn", "uid"), "uri": ("labeledURI", "mail", "cn")}
NAMES: Final = ("cn", "uid", "mail", "labeledURI")
_CERTIFICATES: Final = (USER, CA, PAIR)
_MOST_CAS: Final = 256
_MOST_KEPT: Final = 4
#: By which a server says that an entry did not change (RFC 4533's companion in OpenLDAP).
_VERSION: Final = "entryCSN"

Given = TypeVar("Given")


class Found(NamedTuple):
    """An entry: its name, and its certificates and lists, DER and unchecked."""

    dn: str
    certificates: tuple[bytes, ...]
    lists: tuple[bytes, ...]


class Reader:
    """Asks one directory; safe to share among threads, connections are kept for the next."""

    def __init__(self, directory: Directory) -> None:
        """Nobody is asked yet."""
        self._directory = directory
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    def look_up(self, name: str, by: Sequence[str] = NAMES) -> list[Found]:
        """Entries that are called so; raises :class:`Unreachable`, ``too-many-found``."""
        wanted = any_of(equal(attribute, name) for attribute in by)
        attributes = (*_CERTIFICATES, LIST, DELTA_LIST)
        base = write_dn(self._directory.suffix)
        found = self.ask(lambda one: one.find(base, "sub", wanted, attributes, most=MAX_FOUND))
        return [Found(dn, certificates_of(values), lists_of(values)) for dn, values in found]

    def authorities(self) -> list[tuple[str, Certificate]]:
        """Each CA's certificate with the name of its entry."""
        base, wanted = write_dn(self._directory.suffix), present(CA.partition(";")[0])
        found = self.ask(lambda one: one.find(base, "sub", wanted, (CA,), most=_MOST_CAS))
        return list(_certificates((dn, octets) for dn, values in found for octets in certificates_of(values)))

    def values(self, dn: str, attribute: str, known: str = "") -> tuple[tuple[bytes, ...] | None, str]:
        """The values of one attribute, and their version; None where that still is ``known``."""
        if known:
            standing = self.ask(lambda one: one.read(dn, (_VERSION,)))
            if standing is not None and _version(standing) == known:
                return None, known
        found = self.ask(lambda one: one.read(dn, (attribute, _VERSION)))
        if found is None:
            return (), ""
        wanted = attribute.lower()
        return next((some for name, some in found.items() if name.lower() == wanted), ()), _version(found)

    def ask(self, question: Callable[[Session], Given]) -> Given:
        """Ask by a connection that is at hand; one that went stale is made anew once."""
        with self._session() as session:
            stale = session.kept
            try:
                return question(session)
            except Unreachable as error:
                if not stale or error.rule != "unreachable":
                    raise
                return question(session)

    def close(self) -> None:
        """Give back every connection that is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for one in idle:
            one.close()

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or Session(self._directory.address, self._directory.login)
        try:
            yield session
        finally:
            with self._lock:
                kept = len(self._idle) < _MOST_KEPT
                if kept:
                    self._idle.append(session)
            if not kept:
                session.close()


class DirectoryExchange:
    """An :class:`~e2s.base.http.Exchange` for which a known directory is one more repository.

    It answers there what certificates name (RFC 4516), the lists of a CA by its digest, and look-ups by
    name and URI (RFC 4387); what is asked of another origin goes to ``otherwise``.
    """

    def __init__(self, directories: Iterable[Directory], otherwise: Exchange | None = None) -> None:
        """``otherwise`` is for origins of HTTP."""
        self._readers = {origin_of(one.address.uri): Reader(one) for one in directories}
        self._otherwise = otherwise
        self._entries: dict[str, tuple[str, Certificate]] = {}

    def send(self, origin: str, request: Request) -> Response:
        """One question; raises :class:`Refusal` ``unknown-directory`` where nobody named the server."""
        if not origin.lower().startswith("ldap"):
            if self._otherwise is None:
                raise Unreachable("unreachable", "only directories are asked here", origin=origin)
            return self._otherwise.send(origin, request)
        reader = self._readers.get(origin_of(origin))
        if reader is None:
            raise Refusal(
                "unknown-directory", "this server is not among those to be asked", origin=origin[:80]
            )
        try:
            return self._answer(origin, reader, request)
        except Refusal as refusal:
            return refused(refusal)

    def close(self) -> None:
        """Give back every connection."""
        for one in self._readers.values():
            one.close()

    def _answer(self, origin: str, reader: Reader, request: Request) -> Response:
        if request.method != "GET":
            return Response(405, b"", {"allow": "GET"})
        if request.path.split("?", 1)[0] in {CERTIFICATES_PATH, CRLS_PATH}:
            query = read_query(request.path)
            if query.attribute not in _BY:
                raise Refusal("unknown-attribute", "a directory is searched by name or uri")
            found = [
                one for each in reader.look_up(query.value, _BY[query.attribute]) for one in each.certificates
            ]
            return _several(".cer", tuple(dict.fromkeys(found)))
        known = request.headers.get("if-none-match", "").strip('"')
        match = _LIST_PATH.fullmatch(request.path)
        if match is None:
            target = read_target(request.path)
            values, version = reader.values(write_dn(target.dn), target.attribute, known)
            suffix = ".cer" if target.attribute in {USER, CA} else ".crl"
            return _several(suffix, values, version)
        entry = self._entry(origin, reader, match[1])
        if entry is None:
            return Response(404)
        dn, authority = entry
        place = f"cn={match[2]},{dn}" if match[2] else dn
        values, version = reader.values(place, DELTA_LIST if match[3] else LIST, known)
        return _several(".crl", None if values is None else tuple(_of(authority, values)), version)

    def _entry(self, origin: str, reader: Reader, digest: str) -> tuple[str, Certificate] | None:
        """The entry of the CA whose certificate has that digest; looked for when it is first asked for."""
        key = f"{origin_of(origin)} {digest}"
        if key not in self._entries:
            for dn, certificate in reader.authorities():
                self._entries[f"{origin_of(origin)} {certificate.digest.hex()}"] = dn, certificate
        return self._entries.get(key)


def naming_context(session: Session) -> str:
    """The suffix of a server that has one tree; raises :class:`Refusal` ``which-suffix``."""
    root = session.read("", ("namingContexts",)) or {}
    names = [text for name, some in root.items() if name.lower() == "namingcontexts" for text in some]
    if len(names) != 1:
        raise Refusal("which-suffix", "the server has none or several trees: say which", trees=len(names))
    return write_dn(read_dn(names[0].decode("utf-8", "replace")))


def _several(suffix: str, values: tuple[bytes, ...] | None, version: str = "") -> Response:
    """The values as an answer of a repository: 304 where they are those known."""
    headers = {"etag": f'"{version}"'} if version else {}
    if values is None:
        return Response(304, b"", headers)
    if not values:
        return Response(404)
    answer = found_answer(suffix, values[:MAX_FOUND])
    return Response(answer.status, answer.body, {**answer.headers, **headers})


def _of(authority: Certificate, lists: Iterable[bytes]) -> Iterator[bytes]:
    """The lists that name the CA as their issuer."""
    for octets in lists:
        try:
            if CrlIndex.read(octets).names(authority):
                yield octets
        except Refusal:
            continue


def _certificates(found: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, Certificate]]:
    for dn, octets in found:
        try:
            yield dn, Certificate.read(octets)
        except Refusal:
            continue


def _version(values: object) -> str:
    found = values if isinstance(values, dict) else {}
    some = next((each for name, each in found.items() if name.lower() == _VERSION.lower()), ())
    return some[0].decode("ascii", "replace") if some else ""
