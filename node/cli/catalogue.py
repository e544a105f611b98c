"""Every code with what it means and what to do; written by `python -m scripts.catalogue`."""

# ruff: noqa: E501 - a line a code, as the page has it

from typing import Final

ROWS: Final = """\
account_busy | the account has points on hold, or undecided conversions | release the holds, and wait until the conversions are decided
account_closed | the account is closed | use another account
account_exists | there is an account of this name | use it, or another id
account_frozen | the account is frozen: its holder can begin nothing that takes points | ask the program why; what comes in is credited
account_importing | a file of balances has opened the account, and is not in yet | wait until the import is finished; whoever imports gives the command again if it was broken off
account_not_empty | the account still has points | redeem or transfer them first
account_not_frozen | the account is not frozen | nothing is to be opened again
account_unknown | there is no such account | open it, or correct the id
action_decided | it was approved or refused already | read what became of it; propose it anew if it is still wanted
action_exists | the same act is proposed already, or approved | approve that proposal, or refuse it first
action_expired | nobody approved it in time | propose it again
action_unknown | nothing stands under this proposal | correct the id
add_checkpoint_invalid | not a request to a witness, or not the answer to one (witness.md) | correct the request; a witness that answers so is broken
address_unavailable | the node cannot listen where it is told to | stop what listens there, or choose another host and port
agent_busy | another agent has these keys, or something listens there | stop it first
agent_socket_invalid | the agent cannot listen at this path | choose another, of at most 107 bytes, in a directory that is there
agent_wire_invalid | what came is no frame of the agent's protocol | use an agent and a node of one version
agreement_exists | it was entered already, or does not follow the latest one | number it one higher and let it supersede the latest
agreement_invalid | an agreement is malformed or contradicts itself (agreement.md) | correct the document and have it signed anew
agreement_lapsed | it has ended or was superseded, and the grace is over | make a new quote
agreement_loop | converting there and back would make points | correct the steps, or force it knowingly
agreement_not_yet | it does not bind yet | wait for its first moment
agreement_unknown | there is no such agreement with this partner | enter the agreement first
amount_invalid | not a whole number from 1 to 2^53 − 1 | correct the amount
amount_mismatch | amounts are not what the agreement makes of the steps | compute them from the agreement that is cited
appeal_decided | the appeal has been decided | open another one about what is not accepted
appeal_full | too much has been said about this appeal | decide it
appeal_mismatch | the appeal is another account's, or a holder would wait for an answer | name the appeal's own account; only the program asks
appeal_unknown | there is no such appeal | look it up: tallystick appeal list
approval_missing | two people must want this, and have not said so | propose it, and have another person approve it (access.md §5)
assets_invalid | codes of points and currencies collide, or the currency is not settled in | correct the codes
backup_invalid | a backup is not whole, was changed, or cannot be written or put back there | name another place, or another backup
balance_overflow | a balance or a conversion would pass 2^53 − 1 | convert or issue less
body_invalid | not a message body (messages.md) | the sender corrects its node; nothing was applied
busy | too many requests wait to be written or for others' answers, or too many connections are open | repeat the request as it was after Retry-After; slow down
cancelled | the source asked for it, before anything was credited | nothing; order again if still wanted
cap_reached | undecided, owed and unpaid value would pass the cap | wait for a payment, or close the window early
certificate_invalid | a certificate or a private key cannot be made or used as asked | correct what the text names
certificate_missing | the route is for partners, and the connection showed no certificate | connect with the partner's certificate
certificate_unreadable | a file holds no certificate | name a PEM file of one
chain_broken | the entry does not follow the one before it: number, link, time, or ledger succeeded | stop; the log is damaged or not the one expected
checkpoint_invalid | a note's text is not a checkpoint, or not of this log (notes.md) | fetch it again; then tell the log's operator
clock | a time is too far ahead, or a deadline too near or too far | set the clock; order again
config_invalid | the configuration cannot be read, or a value in it cannot be used | correct the key of node.toml, or the variable, that the text names
consent_tries | too many codes were wrong | wait ten minutes; have the code read again
consent_unknown | the code of a consent is wrong, was used, or is too old | the member consents again
conversion_decided | the decision is made and final | read the conversion's state
conversion_exists | the conversion was ordered already | read its state; another conversion needs another id
conversion_modified | another body about this conversion came first | the source stops and shows both bodies to its operator
conversion_unknown | no conversion of this id was ordered, or none was decided | correct the id; a source sends its PREPARE again
could_not_check | something needed is missing: neither held nor disproved | get what the text names, and check again
credential_last | nobody could issue a credential any more | make another administrator first
credential_unknown | there is no such credential, or it has ended | list credentials; issue another
database_taken | the database holds another ledger | name an empty one
date_invalid | not a calendar day, or a day out of bounds | correct the date
decision_mismatch | a decision does not fit the conversion that it is about | keep the body: it is evidence against its sender
directory_invalid | the directory cannot become a node's | name one that is empty, or not there
encoding_invalid | not the canonical encoding of a value (encoding.md) | write it canonically: order, spacing, integers, escapes
entry_invalid | not a ledger entry (entries.md) | in a log: keep the log, it is evidence against its ledger
entry_too_large | the entry would pass 65,535 bytes | shorten texts, or split the command
envelope_invalid | an envelope, its frames and its bodies are malformed or do not belong together (envelope.md) | the sender makes the envelope anew; nothing was applied
evidence_invalid | a file of evidence does not show what it claims | do not act on it
exchange_file_damaged | an exchange file was changed on its way | get the file again; nothing was applied
exchange_file_incomplete | an exchange file ends before its trailer | get the file again, whole; nothing was applied
exchange_file_invalid | not an exchange file, or it contradicts itself (file-exchange.md) | ask the sender for another export
exchange_file_misaddressed | an exchange file is for another ledger | hand it to the ledger that it names; nothing was applied
expired | the deadline was over when the destination saw the PREPARE | order again
expiry_mismatch | the points' days are not those that the agreement, or the program's rule, makes | in a log: the entry breaks the agreement or the program's terms
fee_mismatch | the fee is not that of the agreement | compute it from the agreement that is cited
file_unreadable | a file cannot be read or written | correct its path or its mode
fingerprint_mismatch | the invitation's keys are not those that were read aloud | do not go on: ask the partner, over a channel that you trust, to read the fingerprint again
forbidden | the credential's role may not do this | use a credential of a role that may (http.md §2)
fork_refused | the stored log is not the one that the node was writing | stop: another process or an old copy has the store; an operator looks at it with tallystick fsck
four_eyes | whoever proposed it approves it | another person must approve
head_too_large | the head of the request is too long | send fewer and shorter headers (http.md §1)
hold_closed | nothing remains of the hold | nothing; it was captured or released
hold_expired | the hold's time is over | place another hold
hold_not_expired | the hold's time is not over | wait, or release it
hold_of_conversion | the hold belongs to a conversion | cancel the conversion instead
hold_too_small | less remains of the hold than is to be captured | capture what remains
hold_unknown | there is no such hold | correct the id
http_invalid | what came is no HTTP | look at the client, or at what stands between it and the node
id_invalid | the id is not one that this kind of entry can have | use a new random UUID
id_reused | the id was used for something else | use a new id; check why this one was used twice
identifier_invalid | a name or id does not follow its grammar (names.md) | correct the name
import_file_invalid | the file as a whole cannot be read as balances (import.md) | correct the file
import_mismatch | a row is not the next of its file, or rows and points are not those that the file announced | import the file again as it was, from where the import stands; nothing of it counts yet
import_open | another file of balances is coming in | finish that import first, with the same command and file, or with the same rows where the file is lost
import_unknown | no import of this file has begun | begin it: it says how many rows and points there are
in_flight_limit | as many conversions, or as much value, are undecided as may be | wait for decisions
insufficient_points | fewer points are available than are needed | lower the amount
internal | a defect of the node | repeat the request as it was; if it stays so, report it with the X-Request-Id
invitation_invalid | an invitation is malformed (partners.md) | the inviting brand makes another
issuer_invalid | the directory holds no issuer that can sign | tallystick dev-issuer init
issuer_unavailable | the keys of the issuer of members' tokens cannot be read | repeat later; an operator checks the issuer's address
json_invalid | the body is not JSON with one reading | write it as UTF-8 JSON, each key once, nested at most 16 levels
key_file_invalid | a key file is missing, malformed, or others can read it, or it cannot be written | correct its mode, make room, or put it back from a backup
key_invalid | a key, key file or verifier key cannot be read (keys.md) | get the key again from its owner
keys_invalid | keys are not one for each role, in order, all different and valid | correct the keys
keys_mismatch | configuration or keys are not those of the ledger in the database | put back the ones that belong to it
kind_not_allowed | accounts of this kind may not do this | use an account of another kind, or change the program's terms
ledger_exists | the log has its first entry already | use this ledger, or another place
ledger_missing | the log has no first entry | create the ledger first
less_than_a_step | the amount does not fill one step | convert at least one step
limit_reached | a limit of the program leaves no room; the text says which, how much is left, and from when on more | do less, or wait until that day
line_disputed | the line is in dispute already | nothing
line_unknown | there is no such line of this window, or it is another one | read the window's lines
lines_too_many | more lines would be in dispute than a statement can list | wait until the window's lines are cleared; close earlier
link_cooling_off | the link is new, and the conversion a large one | wait until the time that the text names, or convert less
link_exhausted | the link has been used as often, or for as much, as it may be | the member links the accounts anew
link_exists | the alias or the account is linked already | use the link that there is
link_expired | the link held until a moment that has passed | the member links the accounts anew
link_invalid | an account link is malformed (links.md) | the member asks the issuer for another link
link_request_unknown | no such link was begun, or it is too long ago | begin it again
link_revoked | the link has been ended by one of its sides | the member links the accounts anew
link_unknown | no account is linked by this alias, or none with this partner | the member links the accounts first
log_inconsistent | a partner's checkpoint is not shown to be of the log that it has shown before | do not sign; keep both checkpoints, and have the partner's log audited
log_unreachable | the partner's log cannot be read to check that | ask the partner, repeat, or sign with unchecked
lot_not_due | no such lot of the account has had its last day, or it is posted already | nothing is to be done; in a log: the entry takes what is not lost
member_limit | the member would convert more in a day or year than agreed | convert less, or later
method_not_allowed | the resource has no such method | see the OpenAPI document
next_key_elsewhere | the log key that will follow is not among the files | bring next_log.seed back
node_unreachable | a node gave no answer that can be read, or says that it cannot answer now | check the URL, and that the node runs; repeat the request as it was
not_found | there is no such resource, entry, transaction or tile | correct the path; what is beyond the log's end may come later
not_writing | another node process of this ledger writes | send it to the one that writes, or wait until this one takes over, and repeat it as it was
note_invalid | not a signed note (notes.md) | fetch it again; then tell the log's operator
notice_too_short | the end is nearer than the notice that the agreement asks for | choose a later end
order_file_invalid | the file cannot be read as orders; nothing was ordered | correct the order that the text names
partner_busy | something is open with the partner: an agreement, conversions, a window, a dispute or a payment | see what, and who is to act (tallystick partner show)
partner_ended | the partner is a partner no more, for ever | nothing; a partnership anew needs another ledger
partner_exists | the partner is known already | use it as it is
partner_mismatch | ledger, network, keys or points are not those by which the partner is known | compare with the partner's invitation
partner_not_suspended | the partner is not suspended | nothing
partner_suspended | the partner is suspended: nothing new begins with it | wait until an operator takes it back; what has begun goes on
partner_unknown | the ledger is not a partner | exchange invitations first
partner_unreachable | the partner's node does not answer, or not as it should | repeat the request as it was; ask the partner
passphrase_missing | no passphrase was given, or its file cannot be used | --passphrase-file, or passphrase_file in node.toml
passphrase_wrong | the passphrase does not open the key, or the file was changed: which, cannot be told | try again
payload_too_large | the body is too long | send less at a time (http.md §1)
payment_mismatch | a payment or receipt is not one of the statement that is to be paid | compare it with the statement; keep the body
person_unknown | nothing is kept of a person behind this account | nothing; it was never said, or was erased
policy_invalid | not a trust policy, or it contradicts itself (policy.md) | correct the line that the text names
postings_invalid | the postings are not those that this kind of entry makes | in a log: the entry breaks the ledger's rules
program_invalid | a program's terms are malformed or contradict themselves (program.md) | correct the part that the text names
program_unchanged | the program has these terms already | nothing is to be done
promotion_over | the promotion does not run, or its budget does not cover the conversion | make a new quote
promotion_unknown | the agreement has no such promotion in this direction | name one that it has, or none
proof_invalid | a Merkle proof does not lead to the claimed root (merkle.md) | keep both; if both are as the log signed and served them, they are evidence
proposal_unknown | there is no such proposal | list proposals; ask the partner to propose again
proposals_cross | a proposal of this node with the same number is out | wait for the partner's answer, or propose again on its terms
proposals_full | as many proposals of the partner wait as may | accept one, or ask the partner to wait
protocol_error | a rule of a format is broken, in no way that has a code below | look at the text
quorum_missing | too few witnesses of the trust policy have cosigned (policy.md) | fetch the checkpoint or the receipt again; if it stays so, ask the log's operator
rate_limited | the credential, or the address, has used up its requests | wait as Retry-After says, then repeat the request as it was
reconciliation_invalid | not a partner's daily file, cut off or changed, or of another day or pair (reconciliation.md) | get the file again, of the same day and both ways round
recovering | the ledger waits for words that it has lost; nothing of its own moves until partners have given them back | wait, and try again; an operator can go on without a partner that is gone
recovery_mismatch | a word is not one that this ledger had said, or does not fit what stands again | keep the body and the partner's evidence; an operator goes on without the rest
redirect_unregistered | nobody has said where members consent at this partner, or go back to | set it under /v1/links/pages
reference_taken | another account has this external reference | use that account, or another reference
refund_exceeded | fewer steps of the original are left to refund | refund what is left
refund_mismatch | a refund on other terms, or between other accounts, than its original | in a log: the entry breaks the rules
refund_unknown | no such conversion with this partner was completed here, or it is a refund itself | correct the id
request_invalid | a field is missing, unknown or of another type | correct the fields that errors names
request_timeout | the request did not arrive in time | repeat the request as it was, over a better line, or less at a time (http.md §1)
reversal_exceeded | no more can be reversed than was issued or redeemed, less what was reversed before or has expired | lower the amount
reversal_unknown | nothing was issued or redeemed under this id | check the id; a transfer is not reversed, a conversion is refunded
review_closed | somebody has decided about the order already | look at what was decided
review_required | a person must look at an order of this size first | have it reviewed; a node does so by itself
review_unknown | no such order was put up for review | correct the id
rotation_invalid | the log's next key is not the one that it committed to, or lacks a signature | in a log: the entry breaks the rules; whoever wrote it may have stolen a key
same_account | the points are on this account already | name another account
signature_invalid | a signature does not verify, or one that is required is missing | do not trust the document; ask its signer, over another channel
signer_refused | whoever holds the node's keys does not sign this | an operator reads what the agent says; after a restore, see tallystick standing
signer_unavailable | whoever holds the node's keys does not answer | start the agent, then repeat the request as it was
start_unanswered | the node has just started, and a partner or a witness has not yet told whether the store is an old copy | wait, and try again; an operator can start without one that is gone
state_file_foreign | state.json holds no checkpoint of this ledger | put this ledger's own back
state_file_invalid | state.json cannot be read or written | correct its mode; put it back from where it was copied to
statement_invalid | a settlement statement is malformed, contradicts itself or does not follow the one before (settlement.md) | compare both ledgers' windows; the statement is computed and signed anew
statement_mismatch | a close or a statement is not what this ledger computes | compare totals, then lines; dispute what cannot be cleared
steps_above_maximum | more steps than the agreement allows at once | convert less at a time
steps_below_minimum | fewer steps than the agreement allows | convert more at a time
stopped | the node is stopping | repeat the request as it was, once it runs again
store_behind | the store is an old copy: it has forgotten what this ledger has signed | bring the tail from a replica, or let a successor go on; suspend a partner that claims it and shows nothing (succession.md §8)
store_busy | another process holds the store | stop the other process, or wait until it lets go
store_corrupt | the store contradicts itself | stop; tallystick fsck says where; restore a backup, or let a successor go on
store_failed | the store does not answer | repeat the request as it was; an operator looks at the database
store_full | the store has no space left | make space; then repeat the request as it was
store_moved | the ledger of this store goes on in another one | correct database_url
store_newer | a newer version of the program has changed the store's tables | start that version; an older one cannot read them
store_read_only | the store cannot be written | give the node's user the right to write; then repeat
store_taken | a copy would go where there is a ledger already | name an empty database
subject_unknown | what the appeal is about is not in the log, or not the account's | name an entry of the account, or none
succession_invalid | a successor does not go on from what was restored, or its numbers were used before | correct what genesis names; a partner keeps both, they are evidence
system_error | the system does not do what is asked, in a way that has no code of its own | look at the text; TALLYSTICK_DEBUG=1 shows where
tile_invalid | a tile, an entry bundle or a tile path is malformed (merkle.md) | fetch it again; then tell the log's operator
token_unreadable | the file that should hold the token cannot be read, or holds none | name another: --token-file, or TALLYSTICK_TOKEN_FILE
transfer_closed | the transfer is accepted, declined or lapsed | look at where it stands
transfer_cooling_off | a recipient who is new to the sender must wait | accept it once the time in the text has come
transfer_lapsed | nobody can accept the transfer any more | ask the sender for another
transfer_mismatch | fee or times are not those of the program's terms | compute them from the terms in force
transfer_not_lapsed | the transfer can still be accepted | wait, or decline it as one of its sides
transfer_too_small | the amount is below the program's minimum | offer more
transfer_unknown | there is no such transfer | correct the id
unauthorized | no credential that the node knows | send a token that is not revoked or expired
unsupported_media_type | the body is not application/json | send Content-Type: application/json
unwitnessed | it is written, and too few witnesses have cosigned it yet | repeat the request as it was; it is not written again
value_unstorable | the store cannot hold a value | leave out null characters, and numbers beyond 2^53 − 1
webhook_exists | there is an endpoint under this id | use it; its secret is not shown again: make another if it is lost
webhook_unknown | there is no such endpoint | list the endpoints; make it first
webhook_url_refused | nothing may be sent to this address | name an address of https that is not inside this network (events.md §5)
webhooks_full | as many endpoints are named as may be | remove one that is not used
window_agreed | the statement is signed: what it bills can only be adjusted by the next one | adjust the line in the next window
window_closed | the window takes nothing more | use the window that is open
window_confirmed | the window is done | nothing
window_mismatch | the two sides' totals of the window differ | compare lines; enter or dispute those that differ
window_not_agreed | the statement of this or an earlier window is not signed by both | agree on it first
window_not_paid | no payment is on its way | wait for the payment
window_not_reconciled | a close is missing, or was not compared yet | wait for the partner's close
window_open | the window, or an earlier one, is still open | wait for its end, or close it early
window_paid | a payment is on its way | wait for its receipt, or record that it came back
witness_refused | a witness does not cosign a checkpoint of this log | see tallystick witnesses, and ask its operator
"""
