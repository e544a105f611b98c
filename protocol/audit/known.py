"""The keys that whoever checks has from elsewhere: verifier keys, and agreements that hold the keys of both parties."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from protocol.agreement import RoleKey, SignedAgreement, key_of, verify_agreement
from protocol.envelope import Envelope
from protocol.errors import CouldNotCheck, KeyInvalid, ProtocolError
from protocol.identifiers import Ledger, Network, first_of, partner_of
from protocol.keys import PublicKey, Role
from protocol.note import KeyType, Verifier
from protocol.policy import Policy


class Keys(Protocol):
    """The keys by which what somebody signed is judged; each raises `CouldNotCheck` where none is known."""

    def for_notes(self, origin: str) -> tuple[Verifier, ...]:
        """Return the keys by which a checkpoint of `origin` is judged."""

    def channel_key(self, envelope: Envelope) -> PublicKey:
        """Return the key by which `envelope` is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKeys:
    """The keys of one ledger in all its generations, as a partner of it knows them: in one network, or in any."""

    ledger: Ledger
    network: Network | None
    keys: tuple[RoleKey, ...]

    def for_notes(self, origin: str) -> tuple[Verifier, ...]:
        """Return the log's key, or raise `CouldNotCheck` for another ledger's log."""
        if origin.rpartition(".")[0] != partner_of(self.ledger):
            raise CouldNotCheck(f"no key of the log {origin[:80]} is known")
        return (Verifier(origin, key_of(self.keys, Role.LOG)),)

    def channel_key(self, envelope: Envelope) -> PublicKey:
        """Return the channel's key, or raise `CouldNotCheck` for another ledger's envelope."""
        header = envelope.header()
        if header.sender != self.ledger or self.network not in {None, header.network}:
            raise CouldNotCheck(f"no channel key of {header.sender} is known")
        return key_of(self.keys, Role.CHANNEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKeys:
    """Keys to judge by. An agreement counts as known when its file comes from a party, not from who is judged.

    A `policy` brings keys of logs and witnesses, and says which of the witnesses must have cosigned a checkpoint.
    """

    verifiers: tuple[Verifier, ...] = ()
    agreements: tuple[SignedAgreement, ...] = ()
    policy: Policy | None = None

    def __post_init__(self) -> None:
        """Raise `CouldNotCheck` when an agreement to judge by is not itself signed by both parties."""
        for signed in self.agreements:
            try:
                verify_agreement(signed, complete=True)
            except ProtocolError as error:
                raise CouldNotCheck(f"the agreement to check by does not hold: {error}") from error

    def roles(self, ledger: str, *, network: Network | None = None) -> list[tuple[RoleKey, ...]]:
        """Return the key lists of `ledger` in the agreements, of one network if it is given."""
        return [
            party.keys
            for signed in self.agreements
            for party in signed.agreement.parties
            if party.ledger == ledger and network in (None, signed.agreement.network)
        ]

    def for_notes(self, origin: str) -> tuple[Verifier, ...]:
        """Return the keys by which a checkpoint of `origin` is judged: the log's, and all witnesses'.

        A ledger keeps its keys when it goes on as another log, so a key that is known of one log is known of each.
        Raises `CouldNotCheck` when no key of that ledger is known.
        """
        verifiers = (*self.verifiers, *(self.policy.verifiers if self.policy else ()))
        same = [each for each in verifiers if partner_of(Ledger(each.name)) == partner_of(Ledger(origin))]
        log_keys = [Verifier(origin, each.key) for each in same if each.type is KeyType.ED25519]
        log_keys += [Verifier(origin, key_of(keys, Role.LOG)) for keys in self.roles(first_of(Ledger(origin)))]
        if not log_keys:
            raise CouldNotCheck(f"no key of the log {origin[:80]} is known")
        witnesses = [each for each in verifiers if each.type is KeyType.COSIGNATURE]
        parties = (party for signed in self.agreements for party in signed.agreement.parties)
        witnesses += [Verifier(each.ledger, each.key(Role.WITNESS), KeyType.COSIGNATURE) for each in parties]
        return tuple(dict.fromkeys(log_keys + witnesses))

    def channel_key(self, envelope: Envelope) -> PublicKey:
        """Return the key by which `envelope` is judged, or raise `CouldNotCheck` when none of its sender is known.

        Verifier keys do not tell their role, so of those only the one that the envelope itself points to counts.
        """
        header = envelope.header()
        listed = self.roles(header.sender, network=header.network)
        if listed:
            return key_of(listed[0], Role.CHANNEL)
        for each in self._named(header.sender):
            if each.key.digest == envelope.signatures[0].keyid:
                return each.key
        raise CouldNotCheck(f"no channel key of {header.sender} is known")

    def link_keys(self, issuer: Ledger, *, network: Network) -> list[PublicKey]:
        """Return the keys by which an account link is judged, or raise `CouldNotCheck` when there are none."""
        listed = [key_of(keys, Role.CHANNEL) for keys in self.roles(issuer, network=network)]
        found = listed or [each.key for each in self._named(issuer)]
        if not found:
            raise CouldNotCheck(f"no channel key of {issuer} is known")
        return found

    def approval_keys(self, parties: Sequence[Ledger], *, network: Network) -> dict[Ledger, PublicKey]:
        """Return the keys by which a statement of `parties` is judged; raise `CouldNotCheck` where one is not known."""
        found = {}
        for ledger in parties:
            listed = self.roles(ledger, network=network)
            if not listed:
                raise CouldNotCheck(f"no approval key of {ledger} is known")
            found[ledger] = key_of(listed[0], Role.APPROVAL)
        return found

    def check_listed(self, ledger: Ledger, keys: Sequence[RoleKey]) -> bool:
        """Return whether a document's `keys` of `ledger` could be compared, or raise `KeyInvalid` where they differ."""
        for known in self.roles(ledger):
            if tuple(keys) != known:
                raise KeyInvalid(f"the agreement to check by names other keys of {ledger}")
        named = self._named(ledger)
        listed = {item.key for item in keys}
        if named and not any(each.key.text in listed for each in named):
            raise KeyInvalid(f"none of the keys listed for {ledger} is the one that is known")
        return bool(named or self.roles(ledger))

    def _named(self, ledger: Ledger) -> list[Verifier]:
        return [each for each in self.verifiers if each.name == ledger and each.type is KeyType.ED25519]
