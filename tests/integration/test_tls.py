"""Two node processes that speak over TLS and show each other certificates: a conversion ends as it should."""

import re
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from node.app.tls import check_certificate, make_certificate
from node.peers.http import ENVELOPES_PATH, PARCEL_MEDIA_TYPE
from protocol.conversion import SourceState
from scripts.alliance.process import HOST
from tests.support.crashing_node import nursery
from tests.support.documents import uuid
from tests.support.processes import Brand, Pair, await_end, begin, check_ledgers, nodes_of, order

TLS = """
tls_certificate = "tls.pem"
tls_key = "tls.key"
tls_client_ca = "../authority/ca.pem"
partner_ca = "../authority/ca.pem"
partner_certificate = "tls.pem"
partner_key = "tls.key"
"""


def behind_tls(brand: Brand, authority: Path) -> Brand:
    """Give a brand's node a certificate, and return the brand with a client that trusts its authority."""
    make_certificate(brand.directory, authority=authority, names=[HOST], now=datetime.now(UTC))
    settings = brand.directory / "node.toml"
    given = [
        line for line in settings.read_text().splitlines() if not line.startswith(("tls_", "partner_c", "partner_k"))
    ]
    settings.write_text("\n".join(given) + TLS)
    headers = {"authorization": brand.client.headers["authorization"]}
    trusted = context_of(authority)
    client = httpx.Client(base_url=f"https://{HOST}:{brand.port}", headers=headers, timeout=20, verify=trusted)
    return replace(brand, client=client)


def context_of(authority: Path, *, shown: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    if shown is not None:
        context.load_cert_chain(shown / "tls.pem", shown / "tls.key")
    return context


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = begin(tmp_path, witnesses=False)
    source, destination = made.brands
    for brand, partner in ((source, destination), (destination, source)):
        brand.set_partner_url(partner, f"https://{HOST}:{partner.port}")
    served = Pair(*(behind_tls(brand, tmp_path / "authority") for brand in made.brands))
    yield served
    for brand in (*made.brands, *served.brands):
        brand.client.close()


def said_to(brand: Brand, context: ssl.SSLContext) -> tuple[int, str]:
    """Return how a node answers a parcel of a caller who shows what `context` has."""
    url = f"https://{HOST}:{brand.port}{ENVELOPES_PATH}"
    answer = httpx.post(url, content=b"{}", headers={"content-type": PARCEL_MEDIA_TYPE}, verify=context, timeout=20)
    return answer.status_code, answer.json()["code"]


def test_two_nodes_convert_over_tls_with_certificates_of_both(pair: Pair, tmp_path: Path) -> None:
    authority = tmp_path / "authority"
    make_certificate(tmp_path / "stranger", authority=tmp_path / "elsewhere", names=[HOST], now=datetime.now(UTC))
    with nursery() as lent, nodes_of(pair, lent) as nodes:
        nodes.start(*pair.brands)
        nodes.meet()
        conversion = uuid("over tls")
        assert order(pair.source, conversion) is not None
        assert await_end(pair.source, conversion) is SourceState.CAPTURED
        assert said_to(pair.source, context_of(authority)) == (403, "certificate_missing")
        shown = said_to(pair.source, context_of(authority, shown=pair.destination.directory))
        assert shown[0] in {400, 422}, "a certificate opens the route; what is no parcel is refused there"
        with pytest.raises(httpx.TransportError):
            said_to(pair.source, context_of(authority, shown=tmp_path / "stranger"))
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{HOST}:{pair.source.port}/livez", timeout=20)
        assert pair.source.client.get("/livez").status_code == 200, "nobody else needs a certificate"
        ends_at = check_certificate(pair.source.directory / "tls.pem", now=datetime.now(UTC)).ends_at.timestamp()
        figures = pair.source.client.get("/metrics").text
        told = re.search(r'^tallystick_certificate_end_timestamp_seconds{file="tls.pem"} (\S+)$', figures, re.MULTILINE)
        assert told is not None
        assert float(told[1]) == ends_at
        nodes.stop()
    check_ledgers(pair, {conversion: SourceState.CAPTURED})
