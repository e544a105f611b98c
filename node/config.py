"""A node's configuration: `node.toml` in its directory, and `TALLYSTICK_*` variables that override it.

Later sources win: defaults, the file, the environment, what the caller says. A key that nobody knows is refused, so
that a misspelt one never leaves a node running on a default.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from protocol.errors import KeyInvalid, ProtocolError, TallystickError
from protocol.identifiers import parse_asset, parse_ledger
from protocol.limits import ACCEPT_BY_SECONDS_MAX, CURRENCIES_MAX, TEXT_CHARACTERS_MAX
from protocol.note import KeyType, Verifier, parse_vkey

FILE_NAME: Final = "node.toml"
ENVIRONMENT_PREFIX: Final = "TALLYSTICK_"
WITNESSES_MAX: Final = 32
ORIGINS_MAX: Final = 32
STRANGER: Final = "stranger"
"""An address that shows no credential which the node knows."""

RATED: Final = (
    "viewer",
    "support",
    "manager",
    "administrator",
    "backend",
    "auditor",
    "partner",
    "member",
    STRANGER,
)
"""Whose requests are counted: each credential of a role, and each address of strangers."""

PER_MINUTE_MAX: Final = 10_000_000
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,7}")
_URL: Final = re.compile(r"https?://[!-~]{1,480}")


WITHOUT_EFFECT: Final = frozenset({"accept_within_seconds"})
"""Keys that stand in the files of nodes, and that nothing reads: each order says it by itself."""


class ConfigInvalid(TallystickError):
    """The configuration cannot be read, or a value in it cannot be used."""

    code = "config_invalid"


def _checked(parse: Callable[[str], str]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            return parse(text)
        except ProtocolError as error:
            raise ValueError(str(error)) from error

    return AfterValidator(check)


AssetText = Annotated[str, _checked(parse_asset)]


def parse_witness(text: str) -> tuple[Verifier, str]:
    """Return key and submission prefix of a witness, which a blank stands between, or raise `KeyInvalid`."""
    vkey, _, url = text.partition(" ")
    verifier = parse_vkey(vkey)
    if verifier.type is not KeyType.COSIGNATURE or not _URL.fullmatch(url):
        raise KeyInvalid(f"{text[:80]!r} is not the verifier key of a witness, a blank, and its URL")
    return verifier, url


def _is_witness(text: str) -> str:
    parse_witness(text)
    return text


WitnessText = Annotated[str, _checked(_is_witness)]


def parse_rate(text: str) -> tuple[str, int]:
    """Return who may make how many requests a minute, which a blank stands between, or raise `KeyInvalid`."""
    who, _, number = text.partition(" ")
    if who not in RATED or not _NUMBER.fullmatch(number) or not 1 <= int(number) <= PER_MINUTE_MAX:
        raise KeyInvalid(f"{text[:80]!r} is not one of {', '.join(RATED)}, a blank, and requests in a minute")
    return who, int(number)


def _is_rate(text: str) -> str:
    parse_rate(text)
    return text


RateText = Annotated[str, _checked(_is_rate)]


def _is_url(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is no URL like https://ledger.aurora.example")
    return text


UrlText = Annotated[str, AfterValidator(_is_url)]
OriginText = Annotated[str, Field(pattern=r"^https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$")]
"""An origin (RFC 6454 §6.2) from which browsers may ask: never `*`."""


class NodeConfig(BaseSettings):
    """Everything that an operator can set."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENVIRONMENT_PREFIX, validate_default=True)

    ledger: Annotated[str, _checked(parse_ledger)]
    points: AssetText
    points_name: Annotated[str, Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)]
    currencies: Annotated[tuple[AssetText, ...], Field(max_length=CURRENCIES_MAX)] = ()
    url: UrlText = ""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_420
    database_url: Annotated[str, Field(repr=False)] = ""
    passphrase_file: str = ""
    agent: str = ""
    accept_within_seconds: Annotated[int, Field(ge=1, le=ACCEPT_BY_SECONDS_MAX)] = 3_600
    partner_timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    cluster_url: UrlText = ""
    start_answers: Literal["all", "none"] = "all"
    stop_within_seconds: Annotated[int, Field(ge=1, le=300)] = 10
    witnesses: Annotated[tuple[WitnessText, ...], Field(max_length=WITNESSES_MAX)] = ()
    partners_are_witnesses: bool = True
    public_log: Literal["open", "credential"] = "open"
    appeal_days: Annotated[int, Field(ge=0, le=366)] = 30
    webhooks_private: bool = False
    ack_after_witness: Annotated[int, Field(ge=0, le=WITNESSES_MAX)] = 0
    oidc_issuer: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)] = ""
    oidc_audience: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)] = ""
    oidc_jwks: Annotated[str, Field(max_length=TEXT_CHARACTERS_MAX)] = ""
    oidc_account_claim: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")] = "sub"
    member_origins: Annotated[tuple[OriginText, ...], Field(max_length=ORIGINS_MAX)] = ()
    rates: Annotated[tuple[RateText, ...], Field(max_length=len(RATED))] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    partner_ca: str = ""
    partner_certificate: str = ""
    partner_key: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @model_validator(mode="after")
    def whole(self) -> Self:
        """Refuse keys that mean nothing without others."""
        oidc = (self.oidc_issuer, self.oidc_audience, self.oidc_jwks)
        if any(oidc) and not all(oidc):
            raise ValueError("oidc_issuer, oidc_audience and oidc_jwks go together")
        if bool(self.tls_certificate) is not bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca needs a tls_certificate")
        if bool(self.partner_certificate) is not bool(self.partner_key):
            raise ValueError("partner_certificate and partner_key go together")
        return self


def load_config(directory: Path, overrides: Mapping[str, object] | None = None) -> NodeConfig:
    """Return the configuration of the node in `directory`, or raise `ConfigInvalid`."""
    path = directory / FILE_NAME
    return _build(_read(path), overrides or {}, source=str(path))


def make_config(values: Mapping[str, object]) -> NodeConfig:
    """Return the configuration of a node that has no file yet, or raise `ConfigInvalid`."""
    return _build({}, values, source="the given values")


def is_shared(config: NodeConfig) -> bool:
    """Return whether the store is on a database server, and no file."""
    return bool(config.database_url) and not config.database_url.startswith("sqlite")


def shared_database(config: NodeConfig) -> str:
    """Return the URL of a database that several processes can share, or raise `ConfigInvalid` where it is a file."""
    if not is_shared(config):
        raise ConfigInvalid("several processes need a store on PostgreSQL: tallystick copy-store")
    return config.database_url


def format_config(config: NodeConfig) -> str:
    """Return the text of a `node.toml` that leads to `config`."""
    return _format(config.model_dump(mode="json"))


def format_changed(directory: Path, changes: Mapping[str, str]) -> str:
    """Return the text of a `node.toml` that says what that of `directory` says, and `changes`.

    What the environment says is not in it: it may be secret, and where it is to hold it will be said again. Raises
    `ConfigInvalid` where the file cannot be read; `load_config` says whether a node can use it.
    """
    return _format({**_read(directory / FILE_NAME), **changes})


def _format(values: Mapping[str, object]) -> str:
    lines = ["# A Tallystick node. TALLYSTICK_<KEY> in the environment overrides a key of this file.", ""]
    for name in NodeConfig.model_fields:
        if name in values and name not in WITHOUT_EFFECT:
            # A JSON string, number or array of strings is also TOML's; DEL alone would have to be escaped there.
            text = json.dumps(values[name], ensure_ascii=True, default=str).replace("\x7f", "\\u007f")
            lines.append(f"{name} = {text}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigInvalid(f"{path.parent} is not a node directory: no {path.name} (tallystick init)") from error
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigInvalid(f"{path} cannot be read: {error}") from error


def _build(in_file: Mapping[str, object], overrides: Mapping[str, object], *, source: str) -> NodeConfig:
    try:
        in_environment: Mapping[str, object] = EnvSettingsSource(NodeConfig)()
        return NodeConfig.model_validate({**in_file, **in_environment, **overrides})
    except ValidationError as error:
        raise ConfigInvalid(f"{source}: {_explain(error)}") from None
    except ValueError as error:  # A variable that must be JSON and is not.
        raise ConfigInvalid(f"the environment: {error}") from None


def _explain(error: ValidationError) -> str:
    return "; ".join(
        _explain_one(".".join(map(str, each["loc"])), each["type"], each["msg"]) for each in error.errors()
    )


def _explain_one(name: str, kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(name, NodeConfig.model_fields, n=1)
        return f"unknown key {name!r}" + (f", did you mean {close[0]!r}?" if close else "")
    if kind == "missing":
        return f"the key {name!r} is missing"
    return f"{name}: {message.removeprefix('Value error, ')}"
