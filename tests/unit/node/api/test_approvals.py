"""What one person proposes and another approves, over HTTP: done once, in the approving commit, or not at all."""

import httpx
import pytest

from node.services.access.credentials import CallerRole
from tests.support.api import BOB, Api, Json, request_id
from tests.support.documents import uuid

APPROVALS = "/v1/approvals"


class Person:
    """Somebody with a credential of a role."""

    def __init__(self, api: Api, role: CallerRole) -> None:
        self._api = api
        self.token = api.node.credentials.issue(role, name="test").result()
        self.id = self.token.split("_")[2]

    def post(self, path: str, body: object) -> httpx.Response:
        return self._api.call("POST", path, body=body, headers={"authorization": f"Bearer {self.token}"}, role=None)

    def propose(self, name: str, **action: object) -> Json:
        response = self.post(APPROVALS, proposal(name, **action))
        assert response.status_code == 201, response.text
        answer: Json = response.json()
        return answer

    def approve(self, name: str) -> httpx.Response:
        return self.post(f"{APPROVALS}/{request_id(name)}/approve", {"id": request_id(f"{name} approved by {self.id}")})


def proposal(name: str, **action: object) -> Json:
    return {"id": request_id(name), "action": {"entry": request_id(f"{name} done"), **action}}


def adjustment(amount: int = 500, **changes: object) -> Json:
    return {"type": "adjustment", "account": BOB, "amount": amount, "reason": "goodwill", **changes}


def code_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, str(response.json()["code"])


@pytest.fixture(scope="module")
def agent(api: Api) -> Person:
    return Person(api, CallerRole.SUPPORT)


@pytest.fixture(scope="module")
def manager(api: Api) -> Person:
    return Person(api, CallerRole.MANAGER)


def points_of(api: Api, account: str) -> object:
    return api.read(f"/v1/accounts/{account}")["posted"]


def test_an_adjustment_is_done_by_the_approving_commit(api: Api, agent: Person, manager: Person) -> None:
    before = int(str(points_of(api, BOB)))
    proposed = agent.propose("gift", **adjustment())
    assert proposed["kind"] == "action_proposed"
    assert points_of(api, BOB) == before
    shown = api.read(f"{APPROVALS}/{request_id('gift')}")
    assert (shown["state"], shown["proposed_by"], shown["expired"]) == ("proposed", agent.id, False)
    approved = manager.approve("gift")
    assert approved.status_code == 201, approved.text
    assert points_of(api, BOB) == before + 500
    shown = api.read(f"{APPROVALS}/{request_id('gift')}")
    assert (shown["state"], shown["decided_by"]) == ("done", manager.id)


def test_the_same_words_again_are_answered_with_the_same_bytes(api: Api, agent: Person, manager: Person) -> None:
    first = agent.post(APPROVALS, proposal("again", **adjustment(5)))
    assert agent.post(APPROVALS, proposal("again", **adjustment(5))).content == first.content
    approved = manager.approve("again")
    before = points_of(api, BOB)
    assert manager.approve("again").content == approved.content
    assert points_of(api, BOB) == before


def test_four_eyes_are_those_of_two_people(api: Api, agent: Person, manager: Person) -> None:
    manager.propose("alone", **adjustment())
    assert code_of(manager.approve("alone")) == (409, "four_eyes")
    assert code_of(agent.approve("alone")) == (403, "forbidden")
    assert Person(api, CallerRole.ADMINISTRATOR).approve("alone").status_code == 201
    assert code_of(Person(api, CallerRole.MANAGER).approve("alone")) == (409, "action_decided")


def test_what_is_refused_is_not_done(api: Api, agent: Person, manager: Person) -> None:
    before = points_of(api, BOB)
    agent.propose("never", **adjustment())
    other = Person(api, CallerRole.SUPPORT)
    refusal = {"id": request_id("refused"), "reason": "not_shown"}
    path = f"{APPROVALS}/{request_id('never')}/refuse"
    assert code_of(other.post(path, refusal)) == (403, "forbidden")
    assert agent.post(path, refusal).status_code == 201
    assert code_of(manager.approve("never")) == (409, "action_decided")
    assert points_of(api, BOB) == before


def test_an_action_that_the_rules_refuse_leaves_its_proposal_as_it_was(
    api: Api, agent: Person, manager: Person
) -> None:
    agent.propose("too much", **adjustment(-(10**9)))
    assert code_of(manager.approve("too much")) == (422, "insufficient_points")
    assert api.read(f"{APPROVALS}/{request_id('too much')}")["state"] == "proposed"


def test_a_proposal_ends(api: Api, agent: Person, manager: Person) -> None:
    agent.post(APPROVALS, {**proposal("late", **adjustment()), "within_hours": 1})
    api.clock.advance(3_601)
    assert api.read(f"{APPROVALS}/{request_id('late')}")["expired"] is True
    assert code_of(manager.approve("late")) == (409, "action_expired")


def test_what_nobody_proposed(api: Api, manager: Person) -> None:
    assert code_of(manager.approve("nothing")) == (404, "action_unknown")
    assert api.get(f"{APPROVALS}/{request_id('nothing')}").status_code == 404


def test_who_may_propose_what(agent: Person) -> None:
    force = {"type": "forced_release", "conversion": uuid("none"), "reason": "gone"}
    assert code_of(agent.post(APPROVALS, proposal("force", **force))) == (403, "forbidden")
    terms = {"type": "program", "terms": {}, "reason": "order"}
    assert code_of(agent.post(APPROVALS, proposal("terms", **terms))) == (403, "forbidden")


def test_proposals_are_listed_the_latest_first(api: Api, agent: Person) -> None:
    for name in ("one", "two", "three"):
        agent.propose(f"listed {name}", **adjustment(1))
    page = api.read(f"{APPROVALS}?state=proposed&limit=2")
    found = page["approvals"]
    assert isinstance(found, list)
    assert [row["proposal"] for row in found] == [request_id("listed three"), request_id("listed two")]
    following = api.read(f"{APPROVALS}?state=proposed&limit=1&before={page['next']}")["approvals"]
    assert isinstance(following, list)
    assert [row["proposal"] for row in following] == [request_id("listed one")]
