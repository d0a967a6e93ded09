"""Every decoder of E2S in one table: what reads octets that somebody else wrote stands here."""

from __future__ import annotations

from tests.fuzz import (
    acme_targets,
    card_targets,
    cmp_targets,
    crypto_targets,
    directory_targets,
    enrolment_targets,
    environment_targets,
    escrow_targets,
    est_targets,
    registration_targets,
    repository_targets,
    scep_targets,
    security_targets,
    status_targets,
    stream_targets,
    toolkit_targets,
    trade_targets,
    verification_targets,
)
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {
    target.name: target
    for room in (
        crypto_targets,
        toolkit_targets,
        stream_targets,
        security_targets,
        status_targets,
        repository_targets,
        directory_targets,
        registration_targets,
        acme_targets,
        est_targets,
        scep_targets,
        enrolment_targets,
        cmp_targets,
        environment_targets,
        escrow_targets,
        card_targets,
        trade_targets,
        verification_targets,
    )
    for target in room.TARGETS
}
