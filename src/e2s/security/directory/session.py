"""A connection to one LDAP server, by python-ldap: bounded in time, many operations under way at once.

What the server does not answer or cannot do now is :class:`Unreachable`; the connection is made anew at the
next use.  Nobody is followed to another server (referrals).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from functools import cache, partial
from typing import Any, Final, TypeAlias

from e2s.base import meter
from e2s.base.errors import E2SError, Misuse, Refusal, Unreachable
from e2s.security.directory.address import NOBODY, Address, Login
from e2s.security.directory.entries import Attributes, Entry
from e2s.security.keys.phrase import phrase_from_file

#: How many operations are under way at once; slapd queues no more than that of one connection.
WINDOW: Final = 64
#: How much is read for one question.
MAX_FOUND_BYTES: Final = 8 * 1024 * 1024
_PAGE: Final = 500

#: The server is not there, or cannot now: its disk is full, it takes a rest, it only copies another.
_AWAY: Final = frozenset(
    "SERVER_DOWN CONNECT_ERROR TIMEOUT TIMELIMIT_EXCEEDED BUSY UNAVAILABLE UNWILLING_TO_PERFORM OTHER"
    " ADMINLIMIT_EXCEEDED LOCAL_ERROR DECODING_ERROR ENCODING_ERROR PROTOCOL_ERROR NO_MEMORY".split()
)
_DENIED: Final = frozenset(
    "INVALID_CREDENTIALS INSUFFICIENT_ACCESS INAPPROPRIATE_AUTH STRONG_AUTH_REQUIRED AUTH_UNKNOWN"
    " CONFIDENTIALITY_REQUIRED STRONG_AUTH_NOT_SUPPORTED AUTH_METHOD_NOT_SUPPORTED".split()
)


class Outcome(Enum):
    """What became of one operation."""

    DONE = "done"
    EXISTS = "exists"
    ABSENT = "absent"
    NOT_A_LEAF = "not-a-leaf"
    REFUSED = "refused"


_OUTCOMES: Final = {
    "ALREADY_EXISTS": Outcome.EXISTS,
    "NO_SUCH_OBJECT": Outcome.ABSENT,
    "NOT_ALLOWED_ON_NONLEAF": Outcome.NOT_A_LEAF,
}


@cache
def library() -> Any:
    """python-ldap; raises :class:`Misuse` ``no-ldap`` where it is not installed.

    What this machine's ldap.conf says counts for nothing here.
    """
    os.environ.setdefault("LDAPNOINIT", "1")
    try:
        import ldap  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - an extra of its own
        import ldap.controls  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    except ImportError as error:
        raise Misuse("no-ldap", "python-ldap is not installed: pip install 'e2s[directory]'") from error
    return ldap


class Session:
    """A connection, made when it is first used; of one thread at a time."""

    def __init__(self, address: Address, login: Login = NOBODY) -> None:
        """Nobody is spoken to yet."""
        self.address = address
        self._login = login
        self._ldap = library()
        self._handle: Any = None

    @property
    def kept(self) -> bool:
        """Whether a connection is held, which may have gone stale."""
        return self._handle is not None

    def open(self) -> None:
        """Connect and log in, where that is not done; raises :class:`Unreachable` or ``directory-denied``."""
        if self._handle is not None:
            return
        with self._told():
            self._handle = self._connected()

    def close(self) -> None:
        """End the connection."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with suppress(self._ldap.LDAPError):
                handle.unbind_ext_s()

    def add_all(self, entries: Iterable[Entry]) -> list[Outcome]:
        """Add entries side by side; what became of each."""
        self.open()
        return [outcome for outcome, _ in self._all(partial(self._add, one) for one in entries)]

    def delete_all(self, dns: Iterable[str]) -> list[Outcome]:
        """Delete entries side by side; what became of each."""
        self.open()
        return [outcome for outcome, _ in self._all(partial(self._delete, dn) for dn in dns)]

    def change_all(self, changes: Iterable[tuple[str, Attributes]]) -> list[Outcome]:
        """Replace values, of each entry in one act: no values take an attribute away."""
        self.open()
        return [outcome for outcome, _ in self._all(partial(self._change, *one) for one in changes)]

    def read_all(self, dns: Iterable[str], attributes: Iterable[str] = ("*",)) -> list[Attributes | None]:
        """The values of entries, read side by side; None where there is none."""
        self.open()
        wanted = list(attributes)
        answers = self._all(partial(self._read, dn, wanted) for dn in dns)
        return [found[0] if found else None for _outcome, found in answers]

    def read(self, dn: str, attributes: Iterable[str] = ("*",)) -> Attributes | None:
        """The values of one entry; None where there is none."""
        return self.read_all([dn], attributes)[0]

    def find(
        self, base: str, scope: str, wanted: str, attributes: Iterable[str], *, most: int
    ) -> list[tuple[str, Attributes]]:
        """Entries by a filter, ``base``, ``one`` level below or ``sub``; raises ``too-many-found``."""
        found: list[tuple[str, Attributes]] = []
        size = 0
        for dn, values in self._search(base, scope, wanted, attributes):
            size += sum(len(one) for some in values.values() for one in some)
            if len(found) == most or size > MAX_FOUND_BYTES:
                self.close()  # what still comes is not waited for
                raise Refusal(
                    "too-many-found", "the directory finds more than is read; ask closer", most=most
                )
            found.append((dn, values))
        return found

    def every(self, base: str, wanted: str, attributes: Iterable[str]) -> Iterator[tuple[str, Attributes]]:
        """All entries below ``base``, read in pages (RFC 2696)."""
        control = self._ldap.controls.SimplePagedResultsControl(criticality=True, size=_PAGE, cookie=b"")
        while True:
            yield from self._search(base, "sub", wanted, attributes, control)
            if not control.cookie:
                return

    def _search(
        self, base: str, scope: str, wanted: str, attributes: Iterable[str], page: Any = None
    ) -> Iterator[tuple[str, Attributes]]:
        self.open()
        meter.count("hop")
        controls = [] if page is None else [page]
        with self._told(absent_is_empty=True):
            number = self._handle.search_ext(
                base, _SCOPES[scope], wanted, list(attributes), serverctrls=controls, timeout=self._seconds
            )
            while True:
                kind, found, _number, answered = self._handle.result3(number, 0, self._seconds)
                for dn, values in found:
                    if dn is not None and isinstance(values, dict):
                        yield str(dn), _values(values)
                if kind == self._ldap.RES_SEARCH_RESULT:
                    for control in answered if page is not None else ():
                        page.cookie = getattr(control, "cookie", b"")
                    return

    def _add(self, entry: Entry) -> int:
        values = [(name, list(some)) for name, some in entry.attributes.items()]
        return int(self._handle.add_ext(entry.dn, values))

    def _delete(self, dn: str) -> int:
        return int(self._handle.delete_ext(dn))

    def _change(self, dn: str, changes: Attributes) -> int:
        replace = self._ldap.MOD_REPLACE
        listed = [(replace, name, list(values) or None) for name, values in changes.items()]
        return int(self._handle.modify_ext(dn, listed))

    def _read(self, dn: str, attributes: list[str]) -> int:
        return int(self._handle.search_ext(dn, _SCOPES["base"], "(objectClass=*)", attributes))

    def _all(self, sends: Iterable[Callable[[], int]]) -> list[_Answer]:
        """Send each, at most so many before the first is answered."""
        answers: dict[int, _Answer] = {}
        waiting: dict[int, int] = {}
        with self._told():
            for place, send in enumerate(sends):
                if len(waiting) >= WINDOW:
                    self._answer(waiting, answers)
                waiting[send()] = place
            while waiting:
                self._answer(waiting, answers)
        return [answers[place] for place in range(len(answers))]

    def _answer(self, waiting: dict[int, int], answers: dict[int, _Answer]) -> None:
        """Take one answer, whichever comes first."""
        outcome, entries = Outcome.DONE, []
        try:
            _kind, found, number, _controls = self._handle.result3(self._ldap.RES_ANY, 1, self._seconds)
            entries = [_values(some) for _dn, some in found or () if isinstance(some, dict)]
        except self._ldap.LDAPError as error:
            number, name = _facts(error).get("msgid"), type(error).__name__
            if number not in waiting or name in _AWAY or name in _DENIED:
                raise
            outcome = _OUTCOMES.get(name, Outcome.REFUSED)
        answers[waiting.pop(number)] = outcome, entries

    @property
    def _seconds(self) -> float:
        return self.address.timeout_seconds

    def _connected(self) -> Any:
        ldap, address = self._ldap, self.address
        handle = ldap.initialize(address.uri)
        seconds = address.timeout_seconds
        for name, value in (
            (ldap.OPT_PROTOCOL_VERSION, 3),
            (ldap.OPT_REFERRALS, 0),
            (ldap.OPT_NETWORK_TIMEOUT, seconds),
            (ldap.OPT_TIMEOUT, seconds),
            (getattr(ldap, "OPT_TCP_USER_TIMEOUT", None), int(seconds * 1000)),
        ):
            if name is not None:
                handle.set_option(name, value)
        if address.protected:
            self._protect(handle)
        self._log_in(handle)
        return handle

    def _protect(self, handle: Any) -> None:
        """TLS 1.2 at least, with our own roots, the server's name compared."""
        ldap, address = self._ldap, self.address
        handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(address.anchors))
        if address.certificate is not None:
            handle.set_option(ldap.OPT_X_TLS_CERTFILE, str(address.certificate))
            handle.set_option(ldap.OPT_X_TLS_KEYFILE, str(address.key))
        handle.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        handle.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, 0x303)
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        if address.start_tls:
            handle.start_tls_s()

    def _log_in(self, handle: Any) -> None:
        login = self._login
        if login.external:
            handle.sasl_external_bind_s()
        elif login.password_file is not None:
            secret = phrase_from_file(login.password_file)
            try:
                handle.simple_bind_s(login.dn, secret.octets.decode())
            finally:
                secret.wipe()
        else:
            handle.simple_bind_s()

    @contextmanager
    def _told(self, *, absent_is_empty: bool = False) -> Iterator[None]:
        """The library's errors by their rules; after one that leaves the connection in doubt it is closed."""
        try:
            yield
        except self._ldap.NO_SUCH_OBJECT:
            if not absent_is_empty:
                raise
        except self._ldap.LDAPError as error:
            told = _told_as(error, self.address.uri)
            self.close()
            raise told from error


_SCOPES: Final = {"base": 0, "one": 1, "sub": 2}
_Answer: TypeAlias = tuple[Outcome, list[Attributes]]


def _values(found: dict[str, list[bytes]]) -> Attributes:
    return {name: tuple(some) for name, some in found.items()}


def _facts(error: BaseException) -> dict[str, Any]:
    found = error.args[0] if error.args else None
    return found if isinstance(found, dict) else {}


def _told_as(error: BaseException, uri: str) -> E2SError:
    """The refusal that an error of the library is: no value that was sent stands in it."""
    name, why = type(error).__name__, str(_facts(error).get("desc", ""))[:80]
    if name in _AWAY:
        rule = "unreachable" if name in {"SERVER_DOWN", "CONNECT_ERROR"} else "directory-fails"
        return Unreachable("timed-out" if "TIME" in name else rule, _SENTENCE, server=uri, why=why)
    if name in _DENIED:
        return Refusal("directory-denied", "the directory does not let us", server=uri, why=why)
    return Refusal("directory-refused", "the directory refuses what was asked", server=uri, why=why)


_SENTENCE: Final = "the directory does not answer, or cannot now"
