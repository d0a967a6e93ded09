"""General messages: what a client may ask a CA about itself (RFC 9810, 5.3.19; RFC 9483, 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from e2s.base.errors import Refusal
from e2s.crypto import der
from e2s.crypto.certificates import Certificate
from e2s.security.certificates.names import subject_octets
from e2s.security.cmp.pieces import Information, information, read_information
from e2s.security.cmp.templates import Template, names_extension
from e2s.security.cmp.vocabulary import (
    CA_CERTIFICATES,
    CURRENT_LIST,
    REQUEST_TEMPLATE,
    ROOT_CERTIFICATE,
    ROOT_UPDATE,
)
from e2s.security.enrolment.asking import Desk, Shown
from e2s.security.enrolment.setting import DoorSetting
from e2s.security.verification.crls import CrlIndex

_Tell: TypeAlias = Callable[[Desk, DoorSetting, Shown, bytes], Information]


def told(content: bytes, desk: Desk, setting: DoorSetting, shown: Shown) -> bytes:
    """GenRepContent for GenMsgContent; what is not at hand is answered without a value.

    Raises :class:`Refusal` ``cmp-no-information`` for what is unknown here, or ``der-...``.
    """
    whole = der.Reader(content)
    asked = read_information(whole)
    whole.done()
    return information([_told(one, desk, setting, shown) for one in asked]) or der.sequence()


def _told(one: Information, desk: Desk, setting: DoorSetting, shown: Shown) -> Information:
    tell = _TELLING.get(one.oid)
    if tell is None:
        raise Refusal("cmp-no-information", "nothing of this kind is told here", information=one.oid)
    return tell(desk, setting, shown, one.value)


def _ca_certificates(desk: Desk, _setting: DoorSetting, _shown: Shown, _value: bytes) -> Information:
    return Information(CA_CERTIFICATES, der.sequence(*(one.der for one in (desk.issuer, *desk.chain))))


def _root_update(desk: Desk, _setting: DoorSetting, _shown: Shown, value: bytes) -> Information:
    """RootCaKeyUpdateContent with the root that stands now, where the client has another."""
    known = Certificate.read(value) if value else None
    return Information(ROOT_UPDATE, b"" if known == desk.root else der.sequence(desk.root.der))


def _template(desk: Desk, _setting: DoorSetting, shown: Shown, _value: bytes) -> Information:
    """CertReqTemplateValue: the names that a request gets."""
    offer = desk.offer(shown)
    subject = subject_octets(offer.names[0]) if offer.names else der.sequence()
    template = Template(subject=subject, extensions=names_extension(offer.names))
    return Information(REQUEST_TEMPLATE, der.sequence(template.der))


def _current_list(desk: Desk, setting: DoorSetting, _shown: Shown, _value: bytes) -> Information:
    """The CA's complete list."""
    lists = setting.crls() if setting.crls else ()
    return Information(CURRENT_LIST, _complete(lists, desk.issuer))


def _complete(lists: Sequence[bytes], issuer: Certificate) -> bytes:
    for octets in lists:
        found = CrlIndex.read(octets)
        if found.issuer == issuer.slices.subject and found.base is None:
            return octets
    return b""


_TELLING: Final[Mapping[str, _Tell]] = MappingProxyType(
    {
        CA_CERTIFICATES: _ca_certificates,
        ROOT_CERTIFICATE: _root_update,
        ROOT_UPDATE: _root_update,
        REQUEST_TEMPLATE: _template,
        CURRENT_LIST: _current_list,
    }
)
