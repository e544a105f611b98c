"""The rules of members' links and of forgetting a member, by command and by kind of entry."""

from typing import Final

from protocol import member_entries
from protocol.ledger import forgetting, links, member_commands

NEEDS: Final = {
    member_commands.IssueLink: links.needs_issue,
    member_commands.AcceptLink: links.needs_accept,
    member_commands.RevokeLink: links.needs_revoke,
    member_commands.TakeUnlink: links.needs_revoke,
    member_commands.EraseAccount: forgetting.needs_erase,
}

DECIDE: Final = {
    member_commands.IssueLink: links.decide_issue,
    member_commands.AcceptLink: links.decide_accept,
    member_commands.RevokeLink: links.decide_revoke,
    member_commands.TakeUnlink: links.decide_take,
    member_commands.EraseAccount: forgetting.decide_erase,
}

APPLY: Final = {
    member_entries.LinkIssued: links.apply_issue,
    member_entries.LinkAccepted: links.apply_accept,
    member_entries.LinkRevoked: links.apply_revoked,
    member_entries.AccountErased: forgetting.apply_erased,
}
