"""The canonical bytes of the most frequent kinds of entries, each kind's as one regular expression.

Whatever matches is canonical and has the grammar of its kind: one look instead of a dozen, and no second encoding. What
does not match may still be an entry, and is looked at field by field.
"""

import re
from typing import Final

from protocol.entry import ID_PATTERN, Entry
from protocol.fields import DATE_PATTERN, TIME_PATTERN
from protocol.identifiers import ASSET_PATTERN
from protocol.limits import NAME_CHARACTERS_MAX
from protocol.point_entries import PointsIssued, PointsRedeemed, PointsTransferred

PLAIN: Final[tuple[type[Entry], ...]] = (PointsIssued, PointsRedeemed, PointsTransferred)

_NATURAL: Final = "(?:0|[1-9][0-9]{0,14})"
_ACCOUNT: Final = f"[a-z0-9_./-]{{1,{NAME_CHARACTERS_MAX}}}"
_POSTING: Final = rf'\["{_ACCOUNT}","{ASSET_PATTERN}",-?[1-9][0-9]{{0,14}}\]'
# An expression takes seven times as long for a hex digit as one look at all of them: it only says where they are.
_HEX_DIGITS: Final = b"0123456789abcdef"
_DIGEST: Final = "((?s:.{64}))"
_NONCE: Final = "((?s:.{32}))"
_DIGEST_OR_NULL: Final = f'(?:null|"{_DIGEST}")'
_DATE_OR_NULL: Final = f'(?:null|"{DATE_PATTERN}")'
_VALUES: Final = {
    "v": "1",
    "seq": _NATURAL,
    "prev": f'"{_DIGEST}"',
    "time": f'"{TIME_PATTERN}"',
    "nonce": f'"{_NONCE}"',
    "occurred_on": f'"{DATE_PATTERN}"',
    "id": f'"{ID_PATTERN}"',
    "request": _DIGEST_OR_NULL,
    "postings": rf"\[{_POSTING},{_POSTING}\]",
    "metadata": _DIGEST_OR_NULL,
    "expiry": '"(?:never|fixed|rolling|named)"',
    "expires_on": _DATE_OR_NULL,
    "spendable_on": _DATE_OR_NULL,
}


def _shape(kind: type[Entry]) -> str:
    config = kind.__struct_config__
    values = {**{name: _VALUES[name] for name in kind.__struct_encode_fields__}, "kind": f'"{config.tag}"'}
    return r"\{" + ",".join(f'"{name}":{values[name]}' for name in sorted(values)) + r"\}"


_SHAPES: Final = re.compile("|".join(map(_shape, PLAIN)).encode())


def is_plain(data: bytes) -> bool:
    """Return whether `data` is, beyond doubt, the canonical encoding of an entry of one of the kinds `PLAIN`."""
    match = _SHAPES.fullmatch(data)
    return match is not None and not b"".join(match.groups(b"")).translate(None, _HEX_DIGITS)
