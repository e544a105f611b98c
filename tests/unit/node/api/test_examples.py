"""Every operation of the OpenAPI document has an example of its request and of its answer, as its schema asks for."""

from collections.abc import Iterator, Mapping
from typing import cast

import jsonschema_rs
import pytest
from fastapi import FastAPI

from node.api.app import routes_of
from node.api.examples import example_of, form_of
from node.api.openapi import describe

JSON = "application/json"
Content = Mapping[str, Mapping[str, object]]


def document() -> dict[str, object]:
    """Return the document as a node answers it; no node is needed to write it."""
    app = FastAPI(title="Tallystick node", version="1")
    app.router.routes.extend(routes_of())
    describe(app)
    return cast("dict[str, object]", app.openapi())


DOCUMENT = document()


def operations() -> Iterator[tuple[str, Mapping[str, object]]]:
    for path, methods in cast("Mapping[str, Mapping[str, Mapping[str, object]]]", DOCUMENT["paths"]).items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def media_of(operation: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    request = cast("Mapping[str, Content]", operation.get("requestBody", {}))
    if JSON in request.get("content", {}):
        yield "request", request["content"][JSON]
    for status, answer in cast("Mapping[str, Mapping[str, Content]]", operation["responses"]).items():
        for kind, media in answer.get("content", {}).items():
            if kind.endswith("json"):
                yield status, media


@pytest.mark.parametrize(("name", "operation"), [*operations()], ids=[name for name, _ in operations()])
def test_every_request_and_answer_has_an_example_that_its_schema_accepts(
    name: str, operation: Mapping[str, object]
) -> None:
    for place, media in media_of(operation):
        assert "example" in media or "examples" in media, (name, place)
        schema = {**cast("dict[str, object]", media["schema"]), "components": DOCUMENT["components"]}
        wrong = [
            f"{name} {place}: {'.'.join(map(str, error.instance_path))}: {error.message[:200]}"
            for error in jsonschema_rs.Draft202012Validator(schema).iter_errors(media["example"])
        ]
        assert not wrong


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "examples": ["a", "b"]}, "a"),
        ({"enum": ["x"]}, "x"),
        ({"type": "integer", "default": 7}, 7),
        ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 5}]}, 5),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [False, False]),
        ({"type": "string", "maxLength": 1}, "1"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "pattern": "^no example is like this$"}, ""),
        ({"type": "array"}, []),
        ({"allOf": [{"type": "boolean"}], "description": "a part"}, False),
    ],
)
def test_an_example_is_made_of_what_a_schema_says(schema: dict[str, object], expected: object) -> None:
    assert example_of(schema, {}) == expected


def test_a_schema_that_holds_itself_ends() -> None:
    schemas = {"Node": {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/x/Node"}}}}
    found = example_of({"$ref": "#/x/Node"}, schemas)
    depth = 0
    while isinstance(found, dict) and found:
        found, depth = found["next"], depth + 1
    assert 5 < depth < 20


@pytest.mark.parametrize(
    ("name", "pattern", "form"),
    [
        ("month", "^[0-9]{4}-(0[1-9]|1[0-2])$", "a text like 2026-01"),
        ("name", r"^[^\x00-\x1f\x7f]{1,128}$", "a text of 1 to 128 characters without control characters"),
        ("text", r"^[^\x00-\x08\x0b-\x1f\x7f]+$", "a text without control characters"),
        ("digest", "^[0-9a-f]{64}$", "a text of 64 of the characters 0-9a-f"),
        ("state", "^[A-Za-z0-9._~-]{1,256}$", "a text of 1 to 256 of the characters A-Za-z0-9._~-"),
        ("witnesses", r"^[^\x00-\x20\x7f+]+$", "a text like witness.example"),
        ("other", "^no example is like this$", "a text that fits ^no example is like this$"),
    ],
)
def test_the_form_of_a_field_is_said_in_words(name: str, pattern: str, form: str) -> None:
    assert form_of(pattern, name=name) == form
