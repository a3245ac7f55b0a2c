"""The log: every event is documented, none contains a secret, and one asset can be followed."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest

from dev.seaweedfs import ACCESS_KEY, SECRET_KEY
from tests.operate.conftest import FinalizedAssets
from tests.support.product import running_product

ROOT: Final = Path(__file__).parents[2]
WRONG: Final = "no-such-secret"
LEVELS: Final = frozenset({"log", "debug", "info", "warning", "error"})


@dataclass(frozen=True, slots=True)
class Debugged:
    """The debug logs of a service and three runs."""

    log: str
    left_id: str
    urls: list[str]


def documented() -> dict[str, set[str]]:
    """Return the fields of the table by event."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", (ROOT / "docs" / "logs.md").read_text(), re.MULTILINE)
    return {event: set(re.findall(r"`(\w+)`", fields)) for event, fields in rows}


def written() -> dict[str, set[str]]:
    """Return the fields in the code by event."""
    found: dict[str, set[str]] = {}
    for package in ("assetuploader", "service", "reconciler"):
        for path in (ROOT / package).rglob("*.py"):
            for call in _logging(ast.parse(path.read_text())):
                (event,) = _texts(call.args)
                found.setdefault(event, set()).update(_fields(call))
    return found


def _logging(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=attr)) if attr in LEVELS:
                yield node


def _texts(expressions: Iterable[ast.expr | None]) -> Iterator[str]:
    for expression in expressions:
        match expression:
            case ast.Constant(value=str(text)):
                yield text


def _fields(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
            continue
        for node in ast.walk(keyword.value):
            if isinstance(node, ast.Dict):
                yield from _texts(node.keys)


def test_every_event_is_documented_with_its_fields() -> None:
    """docs/logs.md names exactly the events that the code logs, each with exactly its fields."""
    assert documented() == written()


@pytest.fixture(scope="module")
def debugged() -> Iterator[Debugged]:
    """At debug: an asset's whole lifecycle, an asset that waits, a rejected request, an outage."""
    with running_product(ASSETUPLOADER_LOG_LEVEL="debug") as product:
        pinned, left = product.upload(b"body of a client"), product.upload(b"")
        assert product.mark(pinned, pinned=True) == 202
        runs = product.run("reconcile").stderr
        url = product.http.request("GET", f"{product.url}/asset/{pinned.asset_id}").json()["Download_url"]
        runs += product.run("reconcile", AWS_SECRET_ACCESS_KEY=WRONG).stderr
        runs += product.run("reconcile", AWS_ENDPOINT_URL_S3="http://127.0.0.1:1").stderr
        yield Debugged(product.log_path.read_text() + runs, left.asset_id, [pinned.upload_url, url])


def test_nothing_secret_is_logged_at_any_level(debugged: Debugged) -> None:
    """At debug, through a whole lifecycle and rejected requests, no credential and no part of a URL is logged."""
    signatures = [parse_qs(urlsplit(url).query)["X-Amz-Signature"][0] for url in debugged.urls]
    secrets = [SECRET_KEY, WRONG, "X-Amz-", "Signature=", f"{ACCESS_KEY}/", "body of a client", *signatures]
    assert [secret for secret in secrets if secret.lower() in debugged.log.lower()] == []
    assert debugged.log.count('"event":"run_finished"') == 3


def test_debug_lines_of_s3_requests_name_their_cause(debugged: Debugged) -> None:
    """At debug each S3 request of the service has a request id, and each of a run an asset id."""
    lines = [json.loads(line) for line in debugged.log.splitlines()]
    created, _ = (line for line in lines if line["event"] == "request_finished" and line["method"] == "POST")
    calls = [line for line in lines if line["event"] == "s3_request_finished"]
    assert [call["operation"] for call in calls if call.get("request_id") == created["request_id"]] == ["PutObject"]
    assert [call["operation"] for call in calls if call.get("asset_id") == debugged.left_id] == ["HeadObject"]
    (left,) = [line for line in lines if line["event"] == "asset_skipped"]
    assert (left["asset_id"], left["outcome"], left["due_at"]) == (debugged.left_id, "waiting", None)


def test_one_line_for_each_request_run_and_changed_asset(finalized_assets: FinalizedAssets) -> None:
    """A search for an asset's id finds one line each for created, marked and finalized."""
    lines = finalized_assets.log + finalized_assets.runs

    def story(asset_id: str) -> list[tuple[str, object]]:
        mine = [line for line in lines if line.get("asset_id") == asset_id]
        return [(line["event"], line.get("status", line.get("outcome"))) for line in mine]

    marked = [("request_finished", 201), ("request_finished", 202)]
    assert story(finalized_assets.pinned.asset_id) == [*marked, ("asset_reconciled", "finalized")]
    assert story(finalized_assets.unpinned.asset_id) == [*marked, ("asset_reconciled", "finalized")]
    assert story(finalized_assets.unmarked.asset_id) == [("request_finished", 201)]
    finished = [line for line in finalized_assets.runs if line["event"] == "run_finished"]
    assert sum(line.get("finalized", 0) for line in finished) == 2
    assert {line["exit_code"] for line in finished} == {0}
