"""What routes about links share: their limits, pages, codes and challenges."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from node.api.fields import AmountField, Body, TimeText
from node.api.routes import WRITES
from node.services.refusals import NodeCode
from protocol.consent import CHALLENGE_PATTERN
from protocol.documents import LinkLimits
from protocol.errors import Code

UrlText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r'^https?://[!"$-~]{1,480}$'),
    Field(examples=["https://bluebird.example/link/authorize"]),
]
"""A page of a redirect; without a fragment, in which its server would not see what is added (RFC 6749 §3.1, §3.1.2)."""

AliasText: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{32}$"), Field(examples=["5f2d0c9a8b7e6d5c4b3a291807f6e5d4"])
]
StateText: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{1,256}$"), Field(examples=["Kx3vN0b2m5Tq8wZr"])
]
CodeText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$"),
    Field(description="The one-time code of a redirect.", examples=["dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"]),
]
TypedText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9 -]{8,12}$"),
    Field(description="The eight characters that the member read at the partner.", examples=["7KQ4-M2XD"]),
]
ChallengeText: TypeAlias = Annotated[
    str,
    StringConstraints(pattern=f"^{CHALLENGE_PATTERN}$"),
    Field(examples=["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"]),
]
DirectionField: TypeAlias = Literal["issued", "accepted"]

ENDED: Final = (Code.LINK_UNKNOWN, Code.LINK_REVOKED, Code.PARTNER_UNKNOWN)
ASKED: Final = (*WRITES, Code.ACCOUNT_UNKNOWN, Code.PARTNER_UNKNOWN)
REDEEMED: Final = (
    *ASKED,
    Code.ACCOUNT_CLOSED,
    Code.ENTRY_TOO_LARGE,
    Code.ID_REUSED,
    Code.LINK_EXISTS,
    Code.PARTNER_MISMATCH,
    "encoding_invalid",
    "link_invalid",
    "signature_invalid",
    NodeCode.CONSENT_TRIES,
    NodeCode.CONSENT_UNKNOWN,
    NodeCode.PARTNER_UNREACHABLE,
)
"""What getting a link for a code may be refused with."""


class LimitsBody(Body):
    """How long and how often a link may be used; what is left out is not limited."""

    until: TimeText | None = None
    conversions_max: AmountField | None = None
    points_max: AmountField | None = None

    def limits(self) -> LinkLimits:
        """Return the limits as the ledger keeps them."""
        return LinkLimits(until=self.until, conversions=self.conversions_max, points=self.points_max)
