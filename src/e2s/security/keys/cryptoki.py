"""PKCS#11 modules in this process: one lock and one login for each token, every error by its rule.

The library initialises a module for one thread at a time, and a token knows one login of the whole
process; so all calls into a module stand under its lock, those who open a token twice share its login,
and the last one out logs out and gives the module back.  The PIN is kept for as long as the token is
open, for a session that is lost and opened again, and stands in no error.
"""

from __future__ import annotations

import hmac
import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from e2s.base.errors import E2SError, Misuse, Refusal
from e2s.security.keys.phrase import Phrase
from e2s.security.keys.token_errors import LOST, told

Given = TypeVar("Given")


@dataclass(frozen=True, kw_only=True)
class TokenPlace:
    """A token: the path of the PKCS#11 ``module`` and the ``token``'s label; both are no secret."""

    module: Path
    token: str

    def __post_init__(self) -> None:
        """Raises :class:`Misuse` ``bad-token-place``."""
        if not self.module.is_absolute():
            raise Misuse("bad-token-place", "the module's path is absolute", module=str(self.module))
        if not 0 < len(self.token.encode()) <= 32 or not self.token.isprintable():
            raise Misuse("bad-token-place", "a token's label has 1 to 32 octets")


class Module:
    """One module, loaded once; :func:`module_at` gives it."""

    def __init__(self, path: str, pkcs11: Any) -> None:
        """``pkcs11`` is the library."""
        self.path = path
        self.pkcs11 = pkcs11
        self.lock = threading.RLock()
        self.logins: dict[bytes, Login] = {}
        self.forked = False
        self._lib: Any = None

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Alone in the module; its errors come out as refusals."""
        with self.lock:
            if self.forked:
                raise Refusal("token-of-another-process", "a token is opened by the process that uses it")
            try:
                yield
            except self.pkcs11.PKCS11Error as error:
                raise told(error) from None

    def find(self, label: str) -> Any:
        """The token of this label; raises ``token-absent`` or :class:`Misuse` ``token-ambiguous``.

        A module reads its settings and slots when it is initialised: while nobody uses it, it begins anew.
        """
        if self._lib is None or not self.logins:
            self._begin()
        found = [one for one in self._lib.get_tokens() if one.label == label]
        if not found:
            raise Refusal("token-absent", "no token of this label is in any slot", token=label)
        if len(found) > 1:
            raise Misuse("token-ambiguous", "several tokens have this label", token=label, found=len(found))
        return found[0]

    def end(self) -> None:
        """Give the module back, once nobody is logged in."""
        if self._lib is not None and not self.logins:
            with suppress(self.pkcs11.PKCS11Error):
                self._lib.finalize()

    def _begin(self) -> None:
        self.end()
        try:
            self._lib = self.pkcs11.lib(self.path)
        except self.pkcs11.PKCS11Error as error:
            # only what does not load has no class of its own
            loads = type(error) is not self.pkcs11.PKCS11Error
            why = "the PKCS#11 module does not start: look at its own settings"
            raise Misuse(
                "bad-token-module",
                why if loads else "this file is no PKCS#11 module",
                module=self.path,
                error=type(error).__name__,
            ) from None


class Login:
    """One token, open and logged in; shared by all who open it in this process."""

    def __init__(self, module: Module, token: Any, pin: Phrase) -> None:
        """Raises :class:`Refusal` ``wrong-pin``, ``pin-locked``..."""
        self.module = module
        self.users = 0
        self._serial: bytes = token.serial
        self._label: str = token.label
        self._pin = Phrase(pin.octets)
        self._refused = ""
        self.session: Any = None
        self._log_in(token)

    @property
    def key(self) -> tuple[str, bytes]:
        """Which token this is, in its module."""
        return self._label, self._serial

    def same_pin(self, pin: Phrase) -> bool:
        """Whether ``pin`` is the one that opened the token."""
        return hmac.compare_digest(self._pin.octets, pin.octets)

    def do(self, act: Callable[[Any], Given], *, failed: Exception | None = None) -> Given:
        """``act(session)``, and once more on a new session where this one was lost; alone in the module.

        ``failed`` is what the first attempt raised, when it was made already.
        """
        with self.module.calling():
            if failed is None and self.session is not None:
                try:
                    self._see()
                    return act(self.session)
                except self.module.pkcs11.PKCS11Error as error:
                    failed = error
            lost = told(failed) if failed else Refusal("token-session-lost", "the token's session was lost")
            if lost.rule not in LOST:
                raise lost
            self._again(lost)
            return act(self.session)

    def write(self, act: Callable[[Any], Given]) -> Given:
        """``act(session)`` on a session that may change the token."""

        def writing(_session: Any) -> Given:
            session = self._token().open(rw=True)
            try:
                return act(session)
            finally:
                with suppress(self.module.pkcs11.PKCS11Error):
                    session.close()

        return self.do(writing)

    def authenticate(self) -> str:
        """The PIN in clear, for a key that wants it at each signature (CKA_ALWAYS_AUTHENTICATE)."""
        return self._pin.octets.decode()

    def close(self) -> None:
        """Log out and forget the PIN."""
        self._pin.wipe()
        session, self.session = self.session, None
        if session is not None:
            with suppress(self.module.pkcs11.PKCS11Error):
                session.close()

    def _log_in(self, token: Any) -> None:
        pkcs11 = self.module.pkcs11
        try:
            self.session = token.open(user_pin=self._pin.octets.decode())
        except pkcs11.UserAlreadyLoggedIn:
            self.session = token.open()
        except pkcs11.PKCS11Error as error:
            refusal = told(error)
            if refusal.rule == "wrong-pin":
                refusal.facts |= _tries_left(pkcs11, token)
            raise refusal from None

    def _see(self) -> None:
        """Whether the session stands: the library's searches leave noise behind on one that does not."""
        with suppress(self.module.pkcs11.RandomNoRNG, self.module.pkcs11.FunctionNotSupported):
            self.session.generate_random(64)

    def _token(self) -> Any:
        token = self.module.find(self._label)
        if token.serial != self._serial:
            raise Refusal("token-changed", "another token of the same label stands in its place")
        return token

    def _again(self, lost: Refusal) -> None:
        """Open the token anew; never with a PIN that was refused, or that might be the last try."""
        old, self.session = self.session, None
        with suppress(self.module.pkcs11.PKCS11Error, AttributeError):
            old.close()
        try:
            token = self._token()
            warned = self.module.pkcs11.TokenFlag
            if token.flags & (warned.USER_PIN_COUNT_LOW | warned.USER_PIN_FINAL_TRY | warned.USER_PIN_LOCKED):
                raise Refusal("pin-count-low", "the token counts wrong PINs")
            if self._refused:
                raise Refusal(self._refused, "the PIN was refused before")
            self._log_in(token)
        except E2SError as error:
            if error.rule.startswith(("wrong-pin", "pin-")):
                self._refused = error.rule
            raise Refusal(
                lost.rule, f"{lost.message}, and it does not open again", again=error.rule
            ) from None


def _tries_left(pkcs11: Any, token: Any) -> dict[str, str | int | bool | None]:
    """What the token says about the tries that are left, as facts."""
    with suppress(pkcs11.PKCS11Error):
        flags = token.slot.get_token().flags
        if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
            return {"left": 0}
        if flags & pkcs11.TokenFlag.USER_PIN_FINAL_TRY:
            return {"left": 1}
    return {}


_MODULES: Final[dict[str, Module]] = {}
_LOADING: Final = threading.Lock()


def _forked() -> None:
    """A child has none of its parent's sessions (PKCS#11 v3.1, 5.4.1); its lock may stand closed for ever."""
    for module in _MODULES.values():
        module.lock = threading.RLock()
        module.forked = True
        for login in module.logins.values():
            login.session = None


os.register_at_fork(after_in_child=_forked)


def module_at(path: Path) -> Module:
    """The module at ``path``; raises :class:`Misuse` ``no-token-library``, ``no-token-module``.

    It is not loaded when others than its owner, or root, may write to it: a module is code that runs here.
    """
    try:
        pkcs11 = importlib.import_module("pkcs11")
    except ImportError as error:
        raise Misuse(
            "no-token-library", "keys in tokens need python-pkcs11: install e2s with its extra `token`"
        ) from error
    try:
        mode = path.stat().st_mode
        plain = path.is_file()
    except OSError:
        plain = False
    if not plain:
        raise Misuse("no-token-module", "there is no PKCS#11 module here", module=str(path))
    if mode & 0o022:
        raise Refusal("token-module-exposed", "others may write to the PKCS#11 module", module=str(path))
    with _LOADING:
        return _MODULES.setdefault(str(path), Module(str(path), pkcs11))


def log_in(place: TokenPlace, pin: Phrase) -> Login:
    """The login at ``place``; every one is given back by :func:`log_out`."""
    module = module_at(place.module)
    with module.calling():
        try:
            token = module.find(place.token)
            login = module.logins.get(token.serial)
            if login is None:
                login = Login(module, token, pin)
                module.logins[token.serial] = login
            elif not login.same_pin(pin):
                raise Refusal("wrong-pin", "the PIN does not open this token")
        except E2SError:
            module.end()
            raise
        login.users += 1
        return login


def log_out(login: Login) -> None:
    """One user less; the last one logs out and gives the module back."""
    module = login.module
    with module.lock:
        login.users -= 1
        if login.users == 0:
            module.logins.pop(login.key[1], None)
            login.close()
            module.end()
