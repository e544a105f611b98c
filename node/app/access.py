"""What the configuration says about callers and connections, as the node needs it: issuer, rates, TLS."""

import ssl
from pathlib import Path

import httpx

from node.config import STRANGER, ConfigInvalid, NodeConfig, parse_rate
from node.peers.key_sets import FileKeySet, HttpKeySet
from node.services.access.callers import Access
from node.services.access.credentials import CallerRole
from node.services.access.member_tokens import Issuer
from node.services.access.rates import STRANGER_PER_MINUTE


def access_of(directory: Path, config: NodeConfig) -> Access:
    """Return whose tokens are members', and how often who may ask."""
    rates = dict(map(parse_rate, config.rates))
    strangers = rates.pop(STRANGER, STRANGER_PER_MINUTE)
    return Access(
        issuer=_issuer_of(directory, config) if config.oidc_issuer else None,
        per_minute={CallerRole(role): number for role, number in rates.items()},
        stranger_per_minute=strangers,
    )


def _issuer_of(directory: Path, config: NodeConfig) -> Issuer:
    is_url = config.oidc_jwks.startswith(("https://", "http://"))
    return Issuer(
        name=config.oidc_issuer,
        audience=config.oidc_audience,
        account_claim=config.oidc_account_claim,
        keys=HttpKeySet(config.oidc_jwks) if is_url else FileKeySet(directory / config.oidc_jwks),
    )


def partner_tls(directory: Path, config: NodeConfig) -> ssl.SSLContext | None:
    """Return how partners are dialled over TLS, or None where that is as for everybody; raise `ConfigInvalid`.

    What `partner_ca` signs is believed beside what the system's authorities do.
    """
    if not config.partner_ca and not config.partner_certificate:
        return None
    context = httpx.create_ssl_context()
    try:
        if config.partner_ca:
            context.load_verify_locations(directory / config.partner_ca)
        if config.partner_certificate:
            context.load_cert_chain(directory / config.partner_certificate, directory / config.partner_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(f"partner_ca, partner_certificate or partner_key cannot be used: {error}") from error
    return context


def server_tls(directory: Path, config: NodeConfig) -> ssl.SSLContext | None:
    """Return how this node answers over TLS, or None where it does not; raise `ConfigInvalid`.

    With `tls_client_ca` a caller may show a certificate, and one that this authority has not signed ends the
    connection; who must show one is said by path (`node.api.edges`).
    """
    if not config.tls_certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(directory / config.tls_certificate, directory / config.tls_key)
        if config.tls_client_ca:
            context.load_verify_locations(directory / config.tls_client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise ConfigInvalid(f"tls_certificate, tls_key or tls_client_ca cannot be used: {error}") from error
    return context
