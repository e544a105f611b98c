"""Evidence against partners: every file is proved again, by the keys under which the log knows the partner."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, cast

from node.services.channel.misconduct import keys_of
from node.services.fsck.fsck_report import TableNotes
from node.store.codec import Row
from protocol.audit.evidence import decode_evidence, prove
from protocol.errors import CouldNotCheck, ProtocolError
from protocol.identifiers import Ledger
from protocol.ledger.state import PartnerRecord

ACCUSATIONS: Final = "accusations"


def check_accusations(
    rows: Iterable[Row], notes: TableNotes, *, partner: Callable[[Ledger], PartnerRecord | None], sound: bool
) -> None:
    """Note each row whose file proves nothing, or something else than its columns say.

    Where the log is not `sound`, the entry that names the partner may be what is missing.
    """
    for stored, digest, accused, kind, subject, name, conversion, _found_at, data in rows:
        number = cast("int", stored)
        ledger = Ledger(accused) if isinstance(accused, str) else Ledger("")
        record = partner(ledger)
        if record is None:
            if sound:
                notes.note((number,), "partner", f"no entry names the keys of {ledger}")
            continue
        try:
            evidence = decode_evidence(data if isinstance(data, bytes) else b"")
            proved = prove(evidence, keys_of(ledger, record))
        except (ProtocolError, CouldNotCheck) as error:
            notes.note((number,), "evidence", f"{error} ({error.code})")
            continue
        expected = {
            "digest": sha256(data if isinstance(data, bytes) else b"").hexdigest(),
            "kind": evidence.__struct_config__.tag,
            "subject": proved.subject.value,
            "name": proved.name,
            "conversion": proved.conversion,
        }
        stated = {"digest": digest, "kind": kind, "subject": subject, "name": name, "conversion": conversion}
        for column, value in stated.items():
            if value != expected[column]:
                notes.note((number,), column, f"{value!r}, where the evidence says {expected[column]!r}")
