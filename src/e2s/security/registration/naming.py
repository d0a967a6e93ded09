"""A name means one holder, for ever: none is given twice, nor one that can be taken for another.

Names are ``urn:e2s:<community>:<party>:<holder>`` (document 3.3.1: "assigned a name by a registration
authority").  What they may look like follows the community file's own names; which look alike follows the
spirit of Unicode's UTS 39: case, separators, digits that look like letters, and pairs of letters that look
like one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from e2s.base.errors import Misuse, Refusal
from e2s.security.certificates.names import general_name

MAX_LABEL: Final = 64
MAX_TITLE: Final = 120
MAX_FURTHER: Final = 16
_LABEL = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", re.ASCII)
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.ASCII)
_MAIL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?P<host>[a-z0-9.-]+)", re.ASCII)
_ORIGIN = re.compile(r"https?://(?P<host>[a-z0-9.-]+)(:[0-9]{1,5})?", re.ASCII)
#: Letters that do not fall into a base letter and its mark, as people write them in ASCII.
_SPELT: Final = str.maketrans(
    {
        "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe",
        "þ": "th", "ð": "d", "đ": "d", "ł": "l", "ı": "i", "ħ": "h", "ŋ": "n",
    }
)  # fmt: skip
_ALIKE: Final = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"))
#: What a spreadsheet takes for the start of a formula.
_FORMULA: Final = frozenset("=+-@\t\r")
_CJK: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
_MOST_TRIED: Final = 10_000


@dataclass(frozen=True)
class Owner:
    """Whose a name is: ``holder`` is the register's number of the person."""

    name: str
    holder: int


class Book(Protocol):
    """Port: the names given and the persons known."""

    def owner(self, key: str) -> Owner | None:
        """Who has the name that looks like this (see :func:`name_key`)."""

    def holder(self, document: bytes) -> int | None:
        """The person whose document this is, by its keyed digest."""

    def name_of(self, holder: int, party: str) -> str:
        """The name that this person has at the party, or the empty string."""


class Ledger(Book, Protocol):
    """Port: a book in which names are given and persons identified."""

    def give(self, key: str, name: str, party: str, holder: int | None, at: datetime) -> int:
        """Give a name for ever, to a new person where ``holder`` is None; the person's number."""

    def identify(self, documents: Sequence[str], holder: int) -> None:
        """These documents, by their keyed digests in base64url, are that person's."""


def check_label(label: str, what: str = "name") -> str:
    """``label``, once it is lower-case letters, digits and single hyphens; raises ``bad-name``."""
    if len(label) > MAX_LABEL or not _LABEL.fullmatch(label):
        sentence = (
            f"a {what} is lower-case ASCII letters, digits and single hyphens, and begins with a letter"
        )
        raise Refusal("bad-name", sentence, name=label[:MAX_LABEL])
    return label


def check_title(title: str) -> str:
    """How a person is called, as shown to people: one script, nothing unseen, no formula.

    Raises :class:`Refusal` ``bad-title``, ``mixed-scripts`` or ``formula``.
    """
    if (
        not title
        or len(title) > MAX_TITLE
        or title != title.strip()
        or not unicodedata.is_normalized("NFC", title)
    ):
        raise Refusal("bad-title", f"a person's name has 1 to {MAX_TITLE} characters, in NFC")
    if title[0] in _FORMULA:
        raise Refusal("formula", "a spreadsheet would compute this name")
    # Separators but the space, and everything that is not shown or moves what is (UAX 9)
    if any(unicodedata.category(c)[0] in "CZ" and c != " " for c in title):
        raise Refusal("bad-title", "a person's name has no characters that are not shown")
    scripts = {_script(c) for c in title if c.isalpha()}
    if len(scripts - _CJK) > 1 or (scripts & _CJK and scripts - _CJK):
        raise Refusal("mixed-scripts", "a name in letters of two scripts may be taken for another")
    return title


def label_of(title: str) -> str:
    """The label that follows from how a person is called, or the empty string where none does."""
    spelt = unicodedata.normalize("NFKD", title.lower().translate(_SPELT))
    plain = "".join(c for c in spelt if not unicodedata.combining(c))
    label = "-".join(re.findall(r"[a-z0-9]+", plain)) if plain.isascii() else ""
    label = label.lstrip("0123456789-")[:MAX_LABEL].rstrip("-")
    return label if _LABEL.fullmatch(label) else ""


def skeleton(label: str) -> str:
    """What remains of a label when all that looks alike is one (UTS 39, 4)."""
    folded = label.casefold().replace("-", "")
    for pair, one in _ALIKE:
        folded = folded.replace(pair, one)
    return folded


def urn(community: str, party: str, label: str = "") -> str:
    """The name of a party or of a holder at it."""
    return f"urn:e2s:{community}:{party}" + (f":{label}" if label else "")


def label_in(name: str, community: str, party: str) -> str:
    """The holder's label in her URN; raises :class:`Refusal` ``foreign-name``, ``bad-name``."""
    before = urn(community, party) + ":"
    if not name.startswith(before):
        raise Refusal("foreign-name", "a holder's name begins with her party's", name=name[:255], party=party)
    return check_label(name.removeprefix(before))


def name_key(party: str, label: str) -> str:
    """Equal for names that look alike."""
    return f"urn:{party}:{skeleton(label)}"


def further_key(name: str, party: str, community: str) -> tuple[str, bool]:
    """For a further name of a certificate: its key, and whether it is the party's (else the person's).

    Raises :class:`Refusal` ``bad-name`` or ``foreign-name``.
    """
    if name.startswith("urn:"):
        if name != urn(community, party):
            raise Refusal(
                "foreign-name", "of URNs a certificate names its holder and her party", name=name[:255]
            )
        return name, True
    try:
        general_name(name)
    except Misuse as error:
        raise Refusal("bad-name", error.message, name=name[:255]) from error
    for form, of_party in ((_MAIL, False), (_ORIGIN, True)):
        found = form.fullmatch(name)
        if found is not None and _HOST.fullmatch(found["host"]):
            return f"name:{name}", of_party
    if _HOST.fullmatch(name) or re.fullmatch(r"[0-9a-f:.]+", name):
        return f"name:{name}", True
    raise Refusal(
        "bad-name",
        "a further name is a host, an address, an origin or a mail address, in lower case",
        name=name[:255],
    )


def assigned(
    book: Book,
    *,
    community: str,
    party: str,
    label: str,
    title: str,
    documents: Sequence[bytes],
    same: bool = False,
) -> tuple[str, int | None]:
    """The URN that a person gets, and the register's number of the person if she is known.

    ``label`` is the one wanted, or empty for the first free one that follows from ``title``; ``documents``
    are those that identify her.  ``same``: the officer says that she is the owner of the name wanted.
    Raises :class:`Refusal` ``two-persons``, ``known-person``, ``name-given``, ``name-confusable`` or
    ``no-label``.
    """
    holders = {holder for document in documents if (holder := book.holder(document)) is not None}
    if len(holders) > 1:
        raise Refusal("two-persons", "these documents were seen for different persons")
    holder = next(iter(holders), None)
    known = book.name_of(holder, party) if holder is not None else ""
    if known:
        if label and urn(community, party, label) != known:
            raise Refusal("known-person", "this person has a name at this party already", name=known)
        return known, holder
    if not label:
        return urn(community, party, free_label(book, party, label_of(title))), holder
    wanted = urn(community, party, check_label(label))
    owner = book.owner(name_key(party, label))
    if owner is None:
        return wanted, holder
    if owner.name == wanted and same and holder in {None, owner.holder}:
        return wanted, owner.holder
    free = urn(community, party, free_label(book, party, label))
    if owner.name == wanted:
        raise Refusal("name-given", "this name is another person's", name=wanted, free=free)
    raise Refusal(
        "name-confusable", "this name can be taken for one that is given", name=owner.name, free=free
    )


def free_label(book: Book, party: str, base: str) -> str:
    """``base``, or the first of ``base-2``, ``base-3``... that nobody has; raises ``no-label``."""
    if not base:
        raise Refusal("no-label", "no name follows from how this person is called: give one")
    for number in range(1, _MOST_TRIED):
        label = base if number == 1 else f"{base[: MAX_LABEL - 6].rstrip('-')}-{number}"
        if book.owner(name_key(party, label)) is None:
            return label
    raise Refusal("no-label", "too many have this name: give another")


def _script(character: str) -> str:
    """The script of a letter, as its name begins."""
    return unicodedata.name(character, "UNKNOWN").split(" ", 1)[0].split("-", 1)[0]
