"""Certificates of a pilot: made so that they are believed, and what is wrong with one is said."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID

from node.app.access import partner_tls, server_tls
from node.app.directory import create_node_directory
from node.app.serve import serve
from node.app.sockets import AddressUnavailable
from node.app.tls import (
    AUTHORITY_DAYS,
    CertificateInvalid,
    CertificateUnreadable,
    MadeCertificate,
    check_certificate,
    make_certificate,
)
from node.config import ConfigInvalid, NodeConfig, make_config

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("aurora.example", "127.0.0.1")
BASE: dict[str, object] = {"ledger": "aurora.example/main.1", "points": "AUR", "points_name": "Aurora Miles"}


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return tmp_path / "authority"


@pytest.fixture
def made(tmp_path: Path, authority: Path) -> MadeCertificate:
    return make_certificate(tmp_path / "node", authority=authority, names=NAMES, now=NOW)


def problems(made: MadeCertificate, *, days: float = 0, names: tuple[str, ...] = (), by: Path | None = None) -> str:
    view = check_certificate(
        made.certificate, now=NOW + timedelta(days=days), authority=by or made.authority, names=names
    )
    return "; ".join((*view.problems, *view.warnings))


def test_what_is_made_is_sound_and_only_its_owner_reads_the_key(made: MadeCertificate) -> None:
    assert problems(made, names=NAMES) == ""
    view = check_certificate(made.certificate, now=NOW, authority=made.authority)
    assert (view.names, view.days_left, view.subject) == (NAMES, 365, "CN=aurora.example")
    for key in (made.key, made.authority.with_suffix(".key")):
        assert key.stat().st_mode & 0o777 == 0o600
    context = ssl.create_default_context(cafile=str(made.authority))
    context.load_cert_chain(made.certificate, made.key)


def test_one_authority_signs_for_many(made: MadeCertificate, authority: Path, tmp_path: Path) -> None:
    again = make_certificate(tmp_path / "other", authority=authority, names=["bluebird.example"], now=NOW)
    assert again.authority.read_bytes() == made.authority.read_bytes()
    assert problems(again) == ""


def test_what_is_wrong_is_said(made: MadeCertificate, tmp_path: Path) -> None:
    assert problems(made, days=340) == "it ends in 25 days"
    assert problems(made, days=366) == "it ended on 2027-03-01"
    assert problems(made, days=-1) == "it holds from 2026-03-01 11:55 on"
    assert problems(made, names=("copper.example",)) == "it is not for copper.example"
    elsewhere = make_certificate(tmp_path / "b", authority=tmp_path / "elsewhere", names=NAMES, now=NOW)
    assert "does not lead to" in problems(made, by=elsewhere.authority)


def test_a_chain_is_followed_certificate_by_certificate(made: MadeCertificate, tmp_path: Path) -> None:
    elsewhere = make_certificate(tmp_path / "b", authority=tmp_path / "elsewhere", names=NAMES, now=NOW)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(made.certificate.read_bytes() + made.authority.read_bytes())
    assert check_certificate(chain, now=NOW, authority=made.authority).problems == ()
    chain.write_bytes(made.certificate.read_bytes() + elsewhere.authority.read_bytes())
    assert check_certificate(chain, now=NOW).problems == ("certificate 1 of its chain is not signed by the next",)


def test_no_certificate_outlives_its_authority(authority: Path, tmp_path: Path) -> None:
    make_certificate(tmp_path / "a", authority=authority, names=NAMES, now=NOW)
    late = NOW + timedelta(days=AUTHORITY_DAYS - 10)
    assert make_certificate(tmp_path / "b", authority=authority, names=NAMES, now=late).ends_at == NOW + timedelta(
        days=AUTHORITY_DAYS
    )
    with pytest.raises(CertificateInvalid):
        make_certificate(tmp_path / "c", authority=authority, names=NAMES, now=late + timedelta(days=11))


@pytest.mark.parametrize("names", [[], [""], ["münchen.example"]])
def test_names_that_no_host_has_are_refused(authority: Path, tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(CertificateInvalid):
        make_certificate(tmp_path / "node", authority=authority, names=names, now=NOW)


def test_an_authority_that_cannot_sign_is_refused(made: MadeCertificate, authority: Path, tmp_path: Path) -> None:
    (authority / "ca.key").write_bytes(made.key.read_bytes())
    with pytest.raises(CertificateInvalid, match="not the key"):
        make_certificate(tmp_path / "b", authority=authority, names=NAMES, now=NOW)
    (authority / "ca.key").write_text("no key")
    with pytest.raises(CertificateInvalid, match="no private key"):
        make_certificate(tmp_path / "b", authority=authority, names=NAMES, now=NOW)


def test_an_authority_whose_key_is_kept_elsewhere_is_not_replaced(authority: Path, tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "a", authority=authority, names=NAMES, now=NOW)
    known = made.authority.read_bytes()
    (authority / "ca.key").rename(tmp_path / "kept.key")
    with pytest.raises(CertificateInvalid, match="bring its key"):
        make_certificate(tmp_path / "b", authority=authority, names=NAMES, now=NOW)
    assert made.authority.read_bytes() == known


def test_what_is_no_certificate_cannot_be_checked(tmp_path: Path) -> None:
    for content in (None, "no certificate"):
        if content is not None:
            (tmp_path / "x.pem").write_text(content)
        with pytest.raises(CertificateUnreadable):
            check_certificate(tmp_path / "x.pem", now=NOW)


def test_names_that_cannot_be_read_are_no_reason_to_fall_over(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "aurora.example")])
    for names in (b"\x30\x03\x82\x01\xff", b"\x30\x04\xa3\x02\x30\x00", b"\x30\x07\x87\x05\x01\x02\x03\x04\x05"):
        odd = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
            .add_extension(x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, names), critical=False)
            .sign(key, hashes.SHA256())
        )
        (tmp_path / "odd.pem").write_bytes(odd.public_bytes(Encoding.PEM))
        with pytest.raises(CertificateUnreadable):
            check_certificate(tmp_path / "odd.pem", now=NOW)
    # OpenSSL may use it all the same: the node comes as far as its address, and has none.
    made = create_node_directory(
        tmp_path / "aurora", ledger="aurora.example/main.1", points="AUR", points_name="Aurora Miles", url=""
    )
    (tmp_path / "odd.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    given = {"tls_certificate": str(tmp_path / "odd.pem"), "tls_key": str(tmp_path / "odd.key")}
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(AddressUnavailable):
        serve(made.directory, settings={**given, "port": taken.getsockname()[1]})


def test_a_chain_that_is_cut_off_is_no_chain(made: MadeCertificate, tmp_path: Path) -> None:
    whole = made.authority.read_bytes()
    (tmp_path / "cut.pem").write_bytes(made.certificate.read_bytes() + whole[: len(whole) // 2])
    with pytest.raises(CertificateUnreadable, match="cut off"):
        check_certificate(tmp_path / "cut.pem", now=NOW)


def config(**settings: object) -> NodeConfig:
    return make_config({**BASE, **settings})


def test_a_configuration_leads_to_what_it_says(made: MadeCertificate, authority: Path) -> None:
    directory = made.certificate.parent
    assert server_tls(directory, config()) is None
    assert partner_tls(directory, config()) is None
    own = {"tls_certificate": "tls.pem", "tls_key": "tls.key"}
    context = server_tls(directory, config(**own))
    assert context is not None
    assert context.verify_mode is ssl.CERT_NONE
    mutual = server_tls(directory, config(**own, tls_client_ca=str(authority / "ca.pem")))
    assert mutual is not None
    assert mutual.verify_mode is ssl.CERT_OPTIONAL
    dialled = partner_tls(
        directory,
        config(partner_ca=str(authority / "ca.pem"), partner_certificate="tls.pem", partner_key="tls.key"),
    )
    assert dialled is not None
    assert dialled.verify_mode is ssl.CERT_REQUIRED
    assert any(each["subject"] for each in dialled.get_ca_certs())


@pytest.mark.parametrize(
    "settings",
    [
        {"tls_certificate": "missing.pem", "tls_key": "tls.key"},
        {"tls_certificate": "tls.pem", "tls_key": "tls.pem"},
        {"tls_certificate": "tls.pem", "tls_key": "tls.key", "tls_client_ca": "missing.pem"},
    ],
)
def test_files_that_cannot_be_used_stop_the_node(made: MadeCertificate, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be used"):
        server_tls(made.certificate.parent, config(**settings))


@pytest.mark.parametrize("settings", [{"partner_ca": "x"}, {"partner_certificate": "x", "partner_key": "y"}])
def test_files_for_partners_that_cannot_be_used_stop_the_node(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be used"):
        partner_tls(tmp_path, config(**settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"tls_certificate": "tls.pem"},
        {"tls_key": "tls.key"},
        {"tls_client_ca": "ca.pem"},
        {"partner_certificate": "tls.pem"},
        {"partner_key": "tls.key"},
        {"oidc_issuer": "https://id.example"},
        {"oidc_issuer": "https://id.example", "oidc_audience": "x"},
        {"oidc_jwks": "keys.json"},
        {"oidc_account_claim": ""},
        {"member_origins": ["*"]},
        {"member_origins": ["https://app.example/"]},
        {"member_origins": ["https://APP.example"]},
        {"rates": ["backend"]},
        {"rates": ["backend 0"]},
        {"rates": ["backend 5.5"]},
        {"rates": ["nobody 5"]},
        {"rates": ["backend 99999999"]},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigInvalid):
        config(**settings)
