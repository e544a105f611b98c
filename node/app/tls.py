"""Certificates of a pilot: an authority of one's own, certificates of nodes, and what is wrong with a certificate.

Messages are signed whatever carries them. TLS keeps from others what is said, and certificates of partners keep from
the partner routes whoever is none.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from node.app.files import make_private_directory, write_private
from protocol.errors import CouldNotCheck, TallystickError

AUTHORITY: Final = "ca"
AUTHORITY_DAYS: Final = 3_650
NODE_DAYS: Final = 365
NODE_DAYS_MAX: Final = 825
WARN_DAYS: Final = 30
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,7}")
_COMMON_NAME_CHARACTERS_MAX: Final = 64
_BACK: Final = timedelta(minutes=5)
"""Clocks of partners differ a little."""


class CertificateInvalid(TallystickError):
    """A certificate or a private key cannot be made or used as asked."""

    code = "certificate_invalid"


class CertificateUnreadable(CouldNotCheck):
    """A file holds no certificate."""

    code = "certificate_unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCertificate:
    """Where a node's certificate and key lie, and its authority's certificate, which partners are given."""

    certificate: Path
    key: Path
    authority: Path
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateView:
    """What a certificate says; `problems` break connections, `warnings` soon will."""

    path: str
    subject: str
    issuer: str
    names: tuple[str, ...]
    begins_at: datetime
    ends_at: datetime
    days_left: int
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def make_certificate(
    directory: Path, *, authority: Path, names: Sequence[str], now: datetime, days: int = NODE_DAYS
) -> MadeCertificate:
    """Make `tls.pem` and `tls.key` in `directory` for `names`, signed by the authority in that directory.

    The authority is made where there is none. Raises `CertificateInvalid` for names that no certificate can have, or
    for an authority that cannot sign.
    """
    if not names or not 1 <= days <= NODE_DAYS_MAX:
        raise CertificateInvalid(f"a certificate has a name at least, and holds for 1 to {NODE_DAYS_MAX} days")
    alternatives = x509.SubjectAlternativeName([_name_of(text) for text in names])
    ca, ca_key = _authority_in(authority, now)
    key = ec.generate_private_key(ec.SECP256R1())
    ends_at = min(now + timedelta(days=days), ca.not_valid_after_utc)
    certificate = (
        _begun(subject=_called(names[0]), issuer=ca.subject, key=key.public_key(), now=now, ends_at=ends_at)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True, certifies=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    made = MadeCertificate(
        certificate=directory / "tls.pem",
        key=directory / "tls.key",
        authority=authority / f"{AUTHORITY}.pem",
        ends_at=ends_at,
    )
    make_private_directory(directory)
    write_private(made.key, _key_text(key))
    write_private(made.certificate, _text(certificate))
    return made


def check_certificate(
    path: Path,
    *,
    now: datetime,
    authority: Path | None = None,
    names: Sequence[str] = (),
    warn_days: int = WARN_DAYS,
) -> CertificateView:
    """Return what the certificate in `path` says and what is wrong with it, or raise `CertificateUnreadable`.

    With an `authority` its chain must lead there; it must be for all of `names`.
    """
    chain = _read(path)
    leaf = chain[0]
    days_left = (leaf.not_valid_after_utc - now).days
    problems = [*_problems(chain, now), *_missing_names(leaf, names)]
    if authority is not None and not _leads_to(chain, _read(authority)):
        problems.append(f"its chain does not lead to {authority}")
    warnings = [] if problems or days_left >= warn_days else [f"it ends in {days_left} days"]
    return CertificateView(
        path=str(path),
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=tuple(_names_in(leaf)),
        begins_at=leaf.not_valid_before_utc,
        ends_at=leaf.not_valid_after_utc,
        days_left=days_left,
        problems=tuple(problems),
        warnings=tuple(warnings),
    )


def _authority_in(directory: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = directory / f"{AUTHORITY}.pem", directory / f"{AUTHORITY}.key"
    if not key_path.exists():
        if path.exists():
            raise CertificateInvalid(f"{path} is there without {key_path.name}: bring its key, or name another place")
        return _make_authority(directory, now)
    try:
        key = load_pem_private_key(key_path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise CertificateInvalid(f"{key_path} holds no private key: {error}") from error
    certificate = _read(path)[0]
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise CertificateInvalid(f"{key_path} is not the key of {path}")
    if certificate.not_valid_after_utc <= now:
        raise CertificateInvalid(f"the authority of {path} has ended")
    return certificate, key


def _make_authority(directory: Path, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _called("Tallystick pilot authority")
    certificate = (
        _begun(subject=name, issuer=name, key=key.public_key(), now=now, ends_at=now + timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=False, certifies=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    make_private_directory(directory)
    write_private(directory / f"{AUTHORITY}.key", _key_text(key))
    write_private(directory / f"{AUTHORITY}.pem", _text(certificate))
    return certificate, key


def _begun(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, ends_at: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACK)
        .not_valid_after(ends_at)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certifies,
        crl_sign=certifies,
        encipher_only=False,
        decipher_only=False,
    )


def _called(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_COMMON_NAME_CHARACTERS_MAX])])


def _name_of(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if _HOST.fullmatch(text):
        return x509.DNSName(text)
    raise CertificateInvalid(f"{text[:80]!r} is no name of a host")


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def _read(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
        found = x509.load_pem_x509_certificates(data)
        _names_in(found[0])
    except (OSError, ValueError, x509.UnsupportedGeneralNameType) as error:
        raise CertificateUnreadable(f"{path} holds no certificate that can be read: {error}") from error
    if data.count(b"-----BEGIN ") != data.count(b"-----END "):
        raise CertificateUnreadable(f"{path} is cut off in the middle of a certificate")
    return found


def _problems(chain: Sequence[x509.Certificate], now: datetime) -> Iterator[str]:
    for place, each in enumerate(chain):
        what = "it" if not place else f"certificate {place + 1} of its chain"
        if now < each.not_valid_before_utc:
            yield f"{what} holds from {each.not_valid_before_utc:%Y-%m-%d %H:%M} on"
        if now >= each.not_valid_after_utc:
            yield f"{what} ended on {each.not_valid_after_utc:%Y-%m-%d}"
    for place, (each, above) in enumerate(pairwise(chain)):
        if not _issued_by(each, above):
            yield f"certificate {place + 1} of its chain is not signed by the next"


def _missing_names(leaf: x509.Certificate, names: Sequence[str]) -> Iterator[str]:
    known = set(_names_in(leaf))
    for name in names:
        wild = f"*.{name.partition('.')[2]}"
        if name not in known and wild not in known:
            yield f"it is not for {name}"


def _names_in(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    dns = found.get_values_for_type(x509.DNSName)
    return [*dns, *(str(address) for address in found.get_values_for_type(x509.IPAddress))]


def _leads_to(chain: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]) -> bool:
    last = chain[-1]
    return any(last == each or _issued_by(last, each) for each in authorities)


def _issued_by(each: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        each.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
