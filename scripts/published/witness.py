"""A witness that answers the published exchanges one after the other, at the time that each of them states."""

from collections.abc import Iterator, Mapping

from protocol.checkpoint import Checkpoint, sign_cosignature
from protocol.errors import AddCheckpointInvalid
from protocol.keys import SigningKey
from protocol.note import Verifier, parse_vkey
from protocol.witness import Accepted, Known, Reply, ReplyStatus, cosigned, decide, malformed, parse_add_checkpoint
from scripts.published.files import Case, Shown, VectorFile


def answers(file: VectorFile) -> Iterator[Mapping[str, Shown]]:
    """Yield how each request is answered: its status, and the body where the standard leaves no choice of it."""
    assert file.given is not None, "the file names the logs that the witness knows"
    logs = {each.name: each for each in map(parse_vkey, file.given.logs)}
    last: dict[str, Checkpoint] = {}
    for case in file.cases:
        reply = _answer(case, logs, last)
        fixed = reply.status in {ReplyStatus.COSIGNED, ReplyStatus.CONFLICT}
        shown: dict[str, Shown] = {"status": int(reply.status), "content_type": reply.content_type}
        yield {**shown, "body": reply.body.decode()} if fixed else shown


def _answer(case: Case, logs: Mapping[str, Verifier], last: dict[str, Checkpoint]) -> Reply:
    try:
        request = parse_add_checkpoint(case.content)
    except AddCheckpointInvalid as error:
        return malformed(error)
    origin = request.checkpoint.origin
    known = Known(trusted=(logs[origin],) if origin in logs else (), last=last.get(origin))
    decided = decide(request, known)
    if not isinstance(decided, Accepted):
        return decided.reply
    last[origin] = decided.checkpoint
    assert case.made_from is not None, "a witness signs with its key"
    key, time = SigningKey(bytes.fromhex(case.made_from.seed)), int(case.made_from.time)
    return cosigned([sign_cosignature(decided.checkpoint, name=case.made_from.name, key=key, time_seconds=time)])
