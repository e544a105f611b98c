"""The issuer for development: its tokens are those that a node believes, and its keys are published."""

import threading
from pathlib import Path

import jwt
import pytest

from node.app.access import access_of
from node.app.dev_issuer import KEY_SET_NAME, IssuerInvalid, IssuerServer, keep_issuer, make_issuer, read_issuer
from node.config import make_config
from node.peers.key_sets import KEY_SET_BYTES_MAX, FileKeySet, HttpKeySet
from node.ports import TransportFailed
from node.services.access.issuer_keys import read_key_set

NAME, AUDIENCE = "https://id.aurora.example", "tallystick"


def test_an_issuer_is_kept_and_read_again(tmp_path: Path) -> None:
    made = keep_issuer(tmp_path / "issuer", name=NAME, audience=AUDIENCE)
    assert keep_issuer(tmp_path / "issuer", name="another", audience="another").key_id == made.key_id
    kept = read_issuer(tmp_path / "issuer")
    assert (tmp_path / "issuer" / "issuer.key").stat().st_mode & 0o777 == 0o600
    keys = read_key_set((tmp_path / "issuer" / KEY_SET_NAME).read_bytes())
    token = kept.token({"sub": "member"}, now=1_000_000)
    claims = jwt.decode(
        token,
        keys[made.key_id].key,
        algorithms=["ES256"],
        audience=AUDIENCE,
        options={"verify_exp": False, "verify_nbf": False},
    )
    assert claims == {
        "iss": NAME, "aud": AUDIENCE, "iat": 1_000_000, "nbf": 1_000_000, "exp": 1_000_900, "sub": "member"
    }  # fmt: skip


@pytest.mark.parametrize("content", [None, "", "{}", '{"key": 1}', '{"key": "x", "name": "n"}'])
def test_what_is_no_issuer_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "issuer.key").write_text(content)
    with pytest.raises(IssuerInvalid):
        read_issuer(tmp_path)


def test_keys_are_published_over_http_and_read_there() -> None:
    issuer = make_issuer(NAME, AUDIENCE)
    server = IssuerServer(issuer)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert HttpKeySet(server.url).fetch() == issuer.key_set
        with pytest.raises(TransportFailed, match="404"):
            HttpKeySet(server.url + "x").fetch()
    finally:
        server.stop()
        thread.join()
    for nowhere in (server.url, "http://"):
        with pytest.raises(TransportFailed):
            HttpKeySet(nowhere).fetch()


def test_no_key_set_is_larger_than_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(TransportFailed):
        FileKeySet(path).fetch()
    path.write_bytes(b" " * KEY_SET_BYTES_MAX)
    assert len(FileKeySet(path).fetch()) == KEY_SET_BYTES_MAX
    path.write_bytes(b" " * (KEY_SET_BYTES_MAX + 1))
    with pytest.raises(TransportFailed, match="too large"):
        FileKeySet(path).fetch()


def test_a_configuration_names_the_issuer(tmp_path: Path) -> None:
    base = {"ledger": "aurora.example/main.1", "points": "AUR", "points_name": "Aurora Miles"}
    assert access_of(tmp_path, make_config(base)).issuer is None
    named = {**base, "oidc_issuer": NAME, "oidc_audience": AUDIENCE, "rates": ["member 5", "stranger 7"]}
    for place, kind in (("keys.json", FileKeySet), ("https://id.aurora.example/jwks", HttpKeySet)):
        access = access_of(tmp_path, make_config({**named, "oidc_jwks": place}))
        assert access.issuer is not None
        assert isinstance(access.issuer.keys, kind)
        assert (access.per_minute, access.stranger_per_minute) == ({"member": 5}, 7)
