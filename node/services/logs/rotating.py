"""Rotations of log keys, as they were prepared where the keys are: this ledger's, and partners' (specs/keys.md §7)."""

from node.ports import SignerRefused
from node.services.answers import EntryAnswer
from node.services.context import Context
from node.services.pending import Pending
from protocol.errors import Code, Refusal
from protocol.identifiers import Ledger
from protocol.key_entries import decode_rotation
from protocol.ledger.commands import RotateLogKey, TakeLogKey
from protocol.ledger.names import log_key_id, partner_log_key_id


class RotationService:
    """Enters the next key of a log, by which every checkpoint from then on is signed too."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rotate(self, document: bytes) -> Pending[EntryAnswer]:
        """Enter the rotation in `document`.

        Raises `EntryInvalid`, `rotation_invalid` for another ledger's, and `SignerRefused` where neither this process
        nor its agent holds the new key.
        """
        signed = decode_rotation(document)
        key, ledger = signed.statement.key, signed.statement.ledger
        if ledger != self._context.ledger:
            raise Refusal(
                Code.ROTATION_INVALID, f"the rotation is of the log of {ledger}, not of {self._context.ledger}"
            )
        if key not in {each.public.text for each in self._context.keyring.log_keys()}:
            raise SignerRefused(
                f"this node has not read the log key {key}: start it again where that key is, after its agent if it "
                "has one, then repeat"
            )
        command = RotateLogKey(
            id=log_key_id(signed.statement.number),
            request=self._context.digests.digest("rotate", {"rotation": document.decode("ascii")}),
            signed=signed,
        )
        return self._context.execute(command)

    def take(self, partner: Ledger, document: bytes) -> Pending[EntryAnswer]:
        """Know a partner's log by its next key as well, or raise `EntryInvalid`; both of its keys have signed it."""
        signed = decode_rotation(document)
        fields = {"partner": partner, "rotation": document.decode("ascii")}
        command = TakeLogKey(
            id=partner_log_key_id(partner, signed.statement.number),
            request=self._context.digests.digest("take_log_key", fields),
            partner=partner,
            signed=signed,
        )
        return self._context.execute(command)
