"""How the public pages write the type of a field, derived from the code."""

from types import NoneType, UnionType
from typing import Annotated, Final, Union, get_args, get_origin, get_type_hints

import msgspec

from protocol import fields
from protocol.agreement import KeyText, SignatureText
from protocol.appeal_entries import AppealOutcome, AppealParty
from protocol.import_entries import OriginField
from protocol.keys import Role
from protocol.point_entries import Expiry
from protocol.points import Amount, Natural, Signed
from protocol.program_entries import DeclinedBy
from protocol.statement import BalanceText, TotalText

NAMES: Final[dict[str, object]] = {
    "ledger": fields.LedgerField,
    "network": fields.NetworkField,
    "alias": fields.AliasField,
    "nonce": fields.NonceField,
    "asset": fields.AssetField,
    "holder": fields.HolderField,
    "uuid": fields.UuidField,
    "digest": fields.DigestField,
    "time": fields.TimeField,
    "date": fields.DateField,
    "reason": fields.ReasonField,
    "text": fields.TextField,
    "origin": OriginField,
    "amount": Amount,
    "natural": Natural,
    "signed": Signed,
    "total": TotalText,
    "balance": BalanceText,
    "key": KeyText,
    "signature": SignatureText,
    "`log`, `witness`, `channel` or `approval`": Role,
    "`https`, `answers` or `files`": Annotated[str, msgspec.Meta(pattern=r"^(?:https|answers|files)\Z")],
    "`never`, `fixed`, `rolling` or `named`": Expiry,
    "`recipient`, `sender` or `time`": DeclinedBy,
    "`holder` or `program`": AppealParty,
    "`upheld`, `rejected` or `withdrawn`": AppealOutcome,
    "body": msgspec.Raw,
}


def schema(struct: type[msgspec.Struct]) -> dict[str, str]:
    """Return each field of a document, as its bytes name it, with the type as a page writes it."""
    hints = get_type_hints(struct, include_extras=True)
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    return {encoded: written(hints[name]) for name, encoded in names}


def written(hint: object) -> str:
    """Return how a page writes a type; an annotation of a list's length belongs to its rule."""
    for name, known in NAMES.items():
        if hint == known:
            return name
    if get_origin(hint) is Annotated:
        return _bounded(hint)
    if get_origin(hint) in {Union, UnionType}:
        return " or ".join("null" if arm is NoneType else written(arm) for arm in get_args(hint))
    if get_origin(hint) is tuple:
        return f"list of {written(get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint.__name__
    return "string" if hint is str else repr(hint)


def _bounded(hint: object) -> str:
    inner, *metas = get_args(hint)
    (meta,) = metas
    assert isinstance(meta, msgspec.Meta)
    if meta.title is not None:
        return meta.title
    if inner is not int:
        return written(inner)
    if meta.ge == meta.le:
        return f"{meta.ge}"
    return f"integer from {meta.ge:,} to {meta.le:,}"
