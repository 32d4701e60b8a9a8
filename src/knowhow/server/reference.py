"""docs/api.md from the application's own OpenAPI: `python -m knowhow.server.reference > docs/api.md`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping

from fastapi.routing import APIRoute

from knowhow.server.app import ROUTERS, create_app
from knowhow.server.identity import Needs
from knowhow.types import Json
from knowhow.workspace import Workspace

HEAD = """\
# API

Written by `python -m knowhow.server.reference`; do not edit. The same as OpenAPI is at `/api/openapi.json` of a running
server. [serve.md](serve.md) says what holds for all routes: keys, roles, errors, pages, idempotency, limits.
"""
_TITLES = {
    "openai": "For OpenAI's clients",
    "questions": "Questions",
    "documents": "Documents",
    "traces": "Traces, feedback and live quality",
    "suites": "Suites",
    "runs": "Runs",
    "jobs": "Jobs",
    "server": "The server",
}


def reference() -> str:
    """The page."""
    with tempfile.TemporaryDirectory() as scratch, Workspace.init(scratch) as workspace:
        openapi = create_app(workspace).openapi()
    return "\n".join([HEAD, *_sections(openapi, _roles())])


def _roles() -> dict[tuple[str, str], str]:
    """The role that each (method, path) needs."""
    found = {}
    for route in (one for router in ROUTERS for one in router.routes if isinstance(one, APIRoute)):
        needed = [one.call.role.value for one in route.dependant.dependencies if isinstance(one.call, Needs)]
        found.update({(method, route.path_format): needed[0] for method in route.methods or () if needed})
    return found


def _sections(openapi: Json, roles: Mapping[tuple[str, str], str]) -> Iterator[str]:
    for tag, title in _TITLES.items():
        yield f"## {title}\n"
        for path, methods in openapi["paths"].items():
            for method, told in methods.items():
                if told["tags"] == [tag]:
                    yield from _route(method.upper(), path, told, roles.get((method.upper(), path), ""), openapi)


def _route(method: str, path: str, told: Json, role: str, openapi: Json) -> Iterator[str]:
    needs = f" Role: {role}." if role else " Needs no key."
    yield f"### `{method} {path}`\n"
    yield f"{' '.join(told['description'].split())}{needs}\n"
    for one in told.get("parameters", ()):
        if one["in"] != "header":
            yield _row(one["name"], one["schema"], one.get("required", False), one.get("description", ""), one["in"])
    for kind, media in told.get("requestBody", {}).get("content", {}).items():
        schema = _resolved(media["schema"], openapi)
        for variant in schema.get("oneOf", [schema]):
            variant = _resolved(variant, openapi)
            if variant is not schema:
                yield f"\n{variant.get('description', variant.get('title', ''))}\n"
            for name, field in variant.get("properties", {}).items():
                required = name in variant.get("required", ())
                yield _row(name, field, required, field.get("description", ""), _where(kind))
    yield ""


def _where(media_type: str) -> str:
    return "form" if "form" in media_type else "body"


def _row(name: str, schema: Json, required: bool, about: str, where: str) -> str:
    words = [where, _type(schema), *(["required"] if required else [])]
    default = schema.get("default")
    if default not in (None, "", [], {}, False):
        words.append(f"default {default}")
    return f"- `{name}` ({', '.join(words)}){': ' + about if about else ''}"


def _type(schema: Json) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one.get("type") != "null"))
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _resolved(schema: Json, openapi: Json) -> Json:
    if "$ref" not in schema:
        return schema
    found: Json = openapi["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found


if __name__ == "__main__":
    print(reference(), end="")
