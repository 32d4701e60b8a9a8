"""The OpenAPI: what the server says of itself holds under random requests, and none of them makes it fail."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from server_world import ASKED, Site, listening, serving

EXAMPLES = int(os.environ.get("KNOWHOW_SCHEMA_EXAMPLES", "100"))
"""Random requests a route is sent."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("schema")) as made:
        made.ask(ASKED)
        made.client.put("/api/documents/x", json={"text": "One."})
        made.client.put("/api/documents/x", json={"text": "Two."})
        yield made


def test_every_route_is_described(site: Site) -> None:
    paths = site.client.get("/api/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, told in methods.items():
            assert told["summary"], (method, path)
            assert told["description"], (method, path)
            assert told["tags"], (method, path)


@pytest.mark.real
def test_no_random_request_makes_the_server_fail(site: Site) -> None:
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis.checks import not_a_server_error

    schema = schemathesis.openapi.from_dict(site.client.get("/api/openapi.json").json())
    seen: dict[str, int] = {}
    with listening(site.app) as address:
        for result in schema.get_all_operations():

            @given(case=result.ok().as_strategy())
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def send(case: schemathesis.Case) -> None:
                response = case.call(base_url=address)
                seen[str(response.status_code)] = seen.get(str(response.status_code), 0) + 1
                case.validate_response(response, checks=(not_a_server_error,))

            send()
    assert seen["200"] > EXAMPLES
