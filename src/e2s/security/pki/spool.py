"""Where no network joins them, registration and CA talk through a folder: a file asks, a file answers.

A question's name is its digest, so that asking again finds the answer, and a repeat is the same question.
The folder proves nothing: orders are signed, certificates too.  Whoever may write to it can lose messages,
and no more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from e2s.base import wire
from e2s.base.errors import Refusal, Unreachable
from e2s.security.keys.durable import replace_file

#: What one file may hold; larger ones are refused unread.
MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
_ASK, _ANSWER = "ask", "answer"
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DONE, _REFUSED, _UNREACHABLE = b"\x00", b"\x01", b"\x02"
_MODE: Final = 0o660


class Spool:
    """The asking end: :meth:`ask` has the same shape as a link's."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is shared with the CA's process and holds ``ask`` and ``answer``."""
        self._folder = folder

    def ask(self, path: str, body: bytes) -> bytes:
        """The answer to ``body`` at ``path``, if it is there; it is taken away.

        Raises :class:`Unreachable` ``order-waits`` until the CA has answered, and the CA's refusal.
        """
        octets = path.encode("ascii") + b"\n" + body
        name = hashlib.sha256(octets).hexdigest()
        asked, answered = self._folder / _ASK / name, self._folder / _ANSWER / name
        answer = _read(answered)
        if answer is None:
            if not asked.exists():
                replace_file(asked, octets, _MODE)
            raise Unreachable("order-waits", "the CA has not answered yet", folder=str(self._folder))
        asked.unlink(missing_ok=True)
        answered.unlink(missing_ok=True)
        return _opened(answer)


def answer_spool(
    folder: Path, doors: Mapping[str, Callable[[str, bytes], bytes]], *, peer: str = "spool"
) -> int:
    """Answer every question in ``folder`` that has no answer yet by the door of its path; how many."""
    number = 0
    for name in _questions(folder):
        try:
            octets = _read(folder / _ASK / name)
            if octets is None:
                continue
            if hashlib.sha256(octets).hexdigest() != name:
                raise Refusal("spool-altered", "the question is not what its name is the digest of")
            path, _, body = octets.partition(b"\n")
            door = doors.get(path.decode("ascii", "replace"))
            if door is None:
                raise Refusal("link-no-door", "nothing is served at this path")
            answer = _DONE + door(peer, body)
        except (Refusal, Unreachable) as error:
            facts = {key: value for key, value in error.facts.items() if value is not None}
            told = wire.encode({"rule": error.rule, "message": error.message, "facts": facts})
            answer = (_REFUSED if isinstance(error, Refusal) else _UNREACHABLE) + told
        replace_file(folder / _ANSWER / name, answer, _MODE)
        number += 1
    return number


def _questions(folder: Path) -> Iterator[str]:
    """The names of questions without an answer, the oldest first."""
    found = []
    for path in (folder / _ASK).glob("*"):
        known = (folder / _ANSWER / path.name).exists()
        if _NAME.fullmatch(path.name) and not known and path.is_file() and not path.is_symlink():
            try:
                found.append((path.stat().st_mtime_ns, path.name))
            except FileNotFoundError:
                continue
    return (name for _, name in sorted(found))


def _read(path: Path) -> bytes | None:
    """The file's octets, None where there is none; raises :class:`Refusal` ``too-large``."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_MESSAGE_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(octets) > MAX_MESSAGE_BYTES:
        raise Refusal("too-large", "the message is larger than may be read", file=path.name)
    return octets


def _opened(answer: bytes) -> bytes:
    """The body of an answer; raises what the other side did."""
    if answer[:1] == _DONE:
        return answer[1:]
    told = wire.decode(answer[1:])
    kind = Refusal if answer[:1] == _REFUSED else Unreachable
    try:
        rule, message, facts = str(told["rule"]), str(told["message"]), dict(told["facts"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable("spool-altered", "the answer cannot be read") from error
    raise kind(rule, message, **facts)
