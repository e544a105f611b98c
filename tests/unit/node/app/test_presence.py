"""Who answers at a shared address: known to the one that writes, whatever becomes of a process."""

from pathlib import Path

from node.app.presence import Presence, file_name

HOST = "127.0.0.1"
PORT = 8_420


def presence(directory: Path, *, port: int = PORT) -> Presence:
    return Presence(directory, host=HOST, port=port)


def test_the_one_that_writes_knows_whether_others_answer(tmp_path: Path) -> None:
    writes, answers, too = presence(tmp_path), presence(tmp_path), presence(tmp_path)
    assert not writes.others_answer()
    answers.enter()
    too.enter()
    assert writes.others_answer()
    answers.leave()
    assert writes.others_answer()
    too.close()
    assert not writes.others_answer()
    assert not answers.others_answer()
    for each in (writes, answers):
        each.close()


def test_one_that_enters_while_another_looks_enters_at_its_next_call(tmp_path: Path) -> None:
    import fcntl  # noqa: PLC0415 - what looking is, held still

    looks, answers = presence(tmp_path), presence(tmp_path)
    with (tmp_path / file_name(HOST, PORT)).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answers.enter()
        fcntl.flock(file, fcntl.LOCK_UN)
    assert not looks.others_answer()
    answers.enter()
    assert looks.others_answer()
    for each in (looks, answers):
        each.close()


def test_who_answers_at_another_address_does_not_answer_at_this_one(tmp_path: Path) -> None:
    writes, elsewhere = presence(tmp_path), presence(tmp_path, port=PORT + 1)
    elsewhere.enter()
    assert not writes.others_answer()
    for each in (writes, elsewhere):
        each.close()
