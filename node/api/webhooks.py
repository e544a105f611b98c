"""`/v1/webhooks`: where events are sent, how it goes, and sending again."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import Path
from pydantic import Field, StringConstraints
from starlette.responses import Response

from node.api.events import PlaceText
from node.api.fields import Body, IdText
from node.api.routes import READS, WRITES, NodeDependency, answered, answers, requires, router
from node.services.access.credentials import Scope
from node.services.events.webhook_views import (
    AddWebhookRequest,
    DeliveriesView,
    NewWebhook,
    WebhookList,
    WebhookTested,
    WebhookView,
)
from node.services.refusals import NodeCode
from protocol.identifiers import Id

ROUTER: Final = router("webhooks", "/v1/webhooks")
TYPES_MAX: Final = 64
OVERLAP_SECONDS_MAX: Final = 30 * 86_400
_GUARD: Final = [requires(Scope.WEBHOOKS)]

WebhookPath: TypeAlias = Annotated[IdText, Path()]
UrlText: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^https?://[!-~]{1,1000}$"), Field(examples=["https://crm.example/hooks/points"])
]
TypeText: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z]+\.[a-z]+$", max_length=64), Field(examples=["points.issued"])
]


class WebhookBody(Body):
    """Send events to `url`; `types` that are none are all, and without `after` it begins with what happens next."""

    id: IdText
    url: UrlText
    types: Annotated[list[TypeText], Field(default_factory=list, max_length=TYPES_MAX)]
    after: PlaceText | None = None


class ReplayBody(Body):
    """Go on after a place in the feed: the `seq` of an entry, or a cursor."""

    after: PlaceText


class RotateBody(Body):
    """How long the secret so far signs beside the new one: by default a day, at most 30."""

    overlap_seconds: Annotated[int, Field(ge=0, le=OVERLAP_SECONDS_MAX, examples=[86_400])] = 86_400


@ROUTER.post(
    "",
    status_code=HTTPStatus.CREATED,
    dependencies=_GUARD,
    responses=answers(
        NewWebhook,
        *WRITES,
        NodeCode.WEBHOOK_EXISTS,
        NodeCode.WEBHOOKS_FULL,
        NodeCode.WEBHOOK_URL_REFUSED,
        status=HTTPStatus.CREATED,
    ),
)
def add_webhook(body: WebhookBody, node: NodeDependency) -> Response:
    """Name an endpoint and get the secret that signs what is sent to it, this once."""
    request = AddWebhookRequest(id=Id(body.id), url=body.url, types=tuple(body.types), after=body.after)
    return answered(node.webhooks.add(request).result(), HTTPStatus.CREATED)


@ROUTER.get("", dependencies=_GUARD, responses=answers(WebhookList, *READS))
def list_webhooks(node: NodeDependency) -> Response:
    """List endpoints and how delivery to them goes."""
    return answered(node.webhooks.all())


@ROUTER.get("/{webhook_id}", dependencies=_GUARD, responses=answers(WebhookView, *READS, NodeCode.WEBHOOK_UNKNOWN))
def show_webhook(webhook_id: WebhookPath, node: NodeDependency) -> Response:
    """Show an endpoint and how delivery to it goes."""
    return answered(node.webhooks.show(webhook_id))


@ROUTER.delete("/{webhook_id}", dependencies=_GUARD, responses=answers(WebhookView, *WRITES, NodeCode.WEBHOOK_UNKNOWN))
def remove_webhook(webhook_id: WebhookPath, node: NodeDependency) -> Response:
    """Forget an endpoint and all that waits for it."""
    return answered(node.webhooks.remove(webhook_id))


@ROUTER.post(
    "/{webhook_id}/test", dependencies=_GUARD, responses=answers(WebhookTested, *WRITES, NodeCode.WEBHOOK_UNKNOWN)
)
def test_webhook(webhook_id: WebhookPath, node: NodeDependency) -> Response:
    """Send one event that means nothing, and tell what came of it."""
    return answered(node.webhooks.test(webhook_id))


@ROUTER.post(
    "/{webhook_id}/replay", dependencies=_GUARD, responses=answers(WebhookView, *WRITES, NodeCode.WEBHOOK_UNKNOWN)
)
def replay_webhook(webhook_id: WebhookPath, body: ReplayBody, node: NodeDependency) -> Response:
    """Send what comes after a place in the feed, again or leaving out what lies between; what waits is forgotten."""
    return answered(node.webhooks.replay(webhook_id, after=body.after))


@ROUTER.post(
    "/{webhook_id}/resume", dependencies=_GUARD, responses=answers(WebhookView, *WRITES, NodeCode.WEBHOOK_UNKNOWN)
)
def resume_webhook(webhook_id: WebhookPath, node: NodeDependency) -> Response:
    """Try a disabled or failing endpoint again, at once and from where it stands."""
    return answered(node.webhooks.resume(webhook_id))


@ROUTER.post(
    "/{webhook_id}/rotate-secret",
    dependencies=_GUARD,
    responses=answers(NewWebhook, *WRITES, NodeCode.WEBHOOK_UNKNOWN),
)
def rotate_secret(webhook_id: WebhookPath, body: RotateBody, node: NodeDependency) -> Response:
    """Give an endpoint a new secret, answered this once; the one before signs as well until the overlap is over."""
    return answered(node.webhooks.rotate_secret(webhook_id, overlap_seconds=body.overlap_seconds))


@ROUTER.get(
    "/{webhook_id}/deliveries",
    dependencies=_GUARD,
    responses=answers(DeliveriesView, *READS, NodeCode.WEBHOOK_UNKNOWN),
)
def list_deliveries(webhook_id: WebhookPath, node: NodeDependency) -> Response:
    """List what waits for an endpoint and what was tried last."""
    return answered(node.webhooks.deliveries(webhook_id))
