"""Three verifiers that we did not write, each asked about the same world; the empty string is its consent."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import threading
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asn1crypto import x509 as asn1  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.x509 import verification
from pyhanko_certvalidator import CertificateValidator, PKIXValidationParams, ValidationContext

from e2s.crypto import oids
from e2s.crypto.pem import armoured
from e2s.security.verification.policies import ANY
from e2s.security.verification.rules import Wanted
from e2s.security.verification.verdict import Verdict
from e2s.security.verification.verifier import Verifier
from tests.security.graphs import HOST, World
from tests.worlds.pki import START

#: Longer than any honest answer takes by far.
PATIENCE_SECONDS = 20


def ours(world: World, *, revocation: bool, name: str | None = HOST, wanted: Wanted | None = None) -> Verdict:
    """Our own verdict, for a TLS server."""
    return Verifier([world.nodes[0].certificate]).judge(
        world.nodes[-1].certificate,
        [node.certificate for node in world.untrusted],
        world.crls if revocation else (),
        at=START,
        purpose=oids.EKU_SERVER,
        name=name,
        require_revocation=revocation,
        wanted=world.wanted if wanted is None else wanted,
        ocsp=world.answers if revocation else (),
    )


def cryptographys(world: World) -> str:
    """The verifier of ``cryptography``: no lists, no policies, servers alone."""
    policy = (
        verification.PolicyBuilder().store(verification.Store([world.nodes[0].certificate.x509])).time(START)
    )
    try:
        policy.build_server_verifier(x509.DNSName(HOST)).verify(
            world.nodes[-1].certificate.x509, [node.certificate.x509 for node in world.untrusted]
        )
    except verification.VerificationError as error:
        return str(error)
    return ""


@contextmanager
def patience(seconds: int):
    """Ends what takes longer: it did not answer, which is no consent."""

    def stop(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pyhankos(world: World) -> str:
    """pyhanko-certvalidator, with lists, OCSP answers and policies; it is asked about no name."""

    def read(node):
        return asn1.Certificate.load(node.certificate.der)

    wanted = world.wanted
    context = ValidationContext(
        trust_roots=[read(world.nodes[0])],
        other_certs=[read(node) for node in world.untrusted],
        crls=world.crls,
        ocsps=world.answers,
        moment=START,
        revocation_mode="require",
        allow_fetching=False,
        retroactive_revinfo=bool(world.answers),
        weak_hash_algos={"md2", "md5", "sha1"},
    )
    parameters = PKIXValidationParams(
        user_initial_policy_set=frozenset("any_policy" if one == ANY else one for one in wanted.policies),
        initial_policy_mapping_inhibit=wanted.inhibit_mapping,
        initial_explicit_policy=wanted.explicit,
        initial_any_policy_inhibit=wanted.inhibit_any,
    )
    asked = CertificateValidator(
        read(world.nodes[-1]), validation_context=context, pkix_params=parameters
    ).async_validate_usage({"digital_signature"}, {"server_auth"})
    logging.disable(logging.CRITICAL)
    try:
        with patience(PATIENCE_SECONDS):
            _apart(asked)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it did not consent
        return f"{type(error).__name__}: {error}"
    finally:
        logging.disable(logging.NOTSET)
    return ""


def _apart(asked: Coroutine[Any, Any, Any]) -> None:
    """Run it to its end in a thread of its own: tests of pages leave a loop running in this one."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(asked)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    for error in failures:
        raise error


def openssls(folder: Path, world: World) -> str:
    """``openssl verify`` with lists and policies, for a TLS server of this name."""
    certificates = [
        [node.certificate.der for node in each]
        for each in (world.nodes[:1], world.untrusted, world.nodes[-1:])
    ]
    words = (
        "-purpose",
        "sslserver",
        "-verify_hostname",
        HOST,
        "-x509_strict",
        "-attime",
        str(int(START.timestamp())),
    )
    return openssl_says(folder, certificates, world.crls, (*words, *policy_words(world.wanted)))


def policy_words(wanted: Wanted) -> Iterable[str]:
    """What is asked of policies, in its words; without any it would take none for acceptable."""
    yield "-policy_check"
    for policy in sorted(wanted.policies):
        yield from ("-policy", policy)
    for flag, word in (
        (wanted.explicit, "-explicit_policy"),
        (wanted.inhibit_any, "-inhibit_any"),
        (wanted.inhibit_mapping, "-inhibit_map"),
    ):
        if flag:
            yield word


def openssl_says(
    folder: Path, certificates: Sequence[Sequence[bytes]], crls: Iterable[bytes], words: Iterable[str]
) -> str:
    """The errors of ``openssl verify``, of roots, of what may stand between, and the end entity."""
    roots, untrusted, end = certificates
    held = {
        "roots": [armoured(one, b"CERTIFICATE") for one in roots],
        "untrusted": [armoured(one, b"CERTIFICATE") for one in untrusted],
        "crls": [armoured(one, b"X509 CRL") for one in crls],
    }
    more: list[str] = []
    for flag, (name, texts) in zip(("-CAfile", "-untrusted", "-CRLfile"), held.items(), strict=True):
        (folder / name).write_bytes(b"".join(texts))
        more += [flag, name] if texts else []
    (folder / "end").write_bytes(armoured(end[0], b"CERTIFICATE"))
    checks = ("-crl_check_all", "-extended_crl", "-use_deltas")
    done = subprocess.run(
        ["openssl", "verify", *checks, *more, *words, "end"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr.replace("\n", " ") or "refused"
