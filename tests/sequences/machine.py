"""The state machine of Hypothesis: each rule acts on the product and on the model, and compares them."""

import asyncio
import json
import random
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from assetuploader.asset_cache import TTL_SECONDS_WITH_DELETES, AssetCache
from assetuploader.asset_reconciler import AssetReconciler
from assetuploader.asset_service import AssetService
from assetuploader.capabilities import Capability
from assetuploader.errors import StoreError
from assetuploader.multipart_service import MultipartService
from assetuploader.state_machine import LifecyclePolicy
from assetuploader.store import ObjectAttributes
from reconciler.run import Run, RunOptions, check_nothing
from reconciler.shards import Shard
from reconciler.summary import RunCounters
from service.context import Context
from service.metrics import Metrics
from service.readiness import Readiness
from tests.sequences.flaky_store import FlakyStore
from tests.sequences.model import Model, Stage
from tests.sequences.server import LoopbackService
from tests.support.in_memory_s3 import InMemoryS3, RefusedError, etag_of
from tests.support.load_client import Response

POLICY = LifecyclePolicy(
    upload_url_ttl_seconds=900,
    grace_seconds=60,
    expire_after_seconds=3600,
    finalize_at_once_bytes=1,
    multipart_ttl_seconds=1800,
)
FILES = st.sampled_from([b"", b"A", b"B", b"CC"])
PINS = st.one_of(st.none(), FILES)
UNKNOWN_ID = "6f1c0f4e-5b0a-4d6e-9c3b-2f1d8a7e4b90"


def _options(shard: Shard | None = None, *, dry_run: bool = False) -> RunOptions:
    return RunOptions(shard or Shard(), 0, 5, 3000, dry_run)


class Sequences(RuleBasedStateMachine):
    """One bucket, one service, one reconciler, and the dictionary of models that they must agree with."""

    service: ClassVar[LoopbackService]
    readiness: ClassVar[Readiness] = Readiness(
        is_started=True, store_verified=True, capabilities=frozenset(Capability), takes_parts=True
    )
    metrics: ClassVar[Metrics] = Metrics(readiness)
    begun: ClassVar[int] = 0
    """How many sequences there have been."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        Sequences.begun += 1
        self.s3 = InMemoryS3(page_size=2)
        self.store = FlakyStore(self.s3)
        rng = random.Random(0)  # noqa: S311 -- the same ids in every sequence
        nonces = (f"nonce {number}".encode() for number in count())
        self.assets = AssetService(
            self.store,
            self.s3,
            POLICY,
            lambda: UUID(int=rng.getrandbits(128), version=4),
            lambda: next(nonces),
            AssetCache(TTL_SECONDS_WITH_DELETES, timer=lambda: self.s3.now.timestamp()),  # noqa: PLW0108 -- it moves
        )
        self.reconciler = AssetReconciler(self.store, self.store, POLICY, lambda: next(nonces))
        self.multipart = MultipartService(
            self.store,
            self.store,
            self.s3,
            POLICY,
            lambda: UUID(int=rng.getrandbits(128), version=4),
            lambda: next(nonces),
        )
        self.service.serve(
            Context(
                self.assets,
                self.multipart,
                60,
                lambda: self.s3.now,
                self.metrics,
                self.readiness,
                may_delete_promised=True,
            )
        )
        self.models: dict[str, Model] = {}
        self.urls: dict[str, str] = {}
        self.upload_ids: dict[str, str] = {}

    # --- the client ---------------------------------------------------------------------------------------------------

    @initialize(target=ids)
    def begin(self) -> Any:  # noqa: ANN401 -- Hypothesis's own wrapper
        """Create two assets to start with."""
        return multiple(self.create(), self.create())

    @rule(target=ids)
    def create_another(self) -> str:
        """POST /asset."""
        return self.create()

    @rule(target=ids)
    def declare_one_byte(self) -> str:
        """POST /v1/assets with a size: the upload must have it."""
        response = self.service.request("POST", "/v1/assets", b'{"size": 1}')
        assert response.status == 201
        document = response.document
        asset_id: str = document["id"]
        self.models[asset_id] = Model(datetime.fromisoformat(document["expires_at"]), size=1)
        self.urls[asset_id] = document["upload"]["url"]
        return asset_id

    @rule(target=ids)
    def create_in_parts(self) -> str:
        """POST /v1/assets for an upload in parts, of one byte."""
        declared = b'{"multipart": true, "size": 1, "content_type": "text/x-test"}'
        response = self.service.request("POST", "/v1/assets", declared)
        assert response.status == 201
        document = response.document
        asset_id: str = document["id"]
        assert document["upload"]["part_count"] == 1
        expires_at = datetime.fromisoformat(document["expires_at"])
        assert expires_at == self.s3.now + timedelta(seconds=POLICY.multipart_ttl_seconds)
        self.models[asset_id] = Model(expires_at, temp=b"", size=1, is_multipart=True)
        self.upload_ids[asset_id] = document["upload"]["upload_id"]
        return asset_id

    @rule(asset_id=ids, body=FILES)
    def send_part(self, asset_id: str, body: bytes) -> None:
        """POST …/parts and the client's PUT of the part, which replaces the one before."""
        model = self.models[asset_id]
        members = {"upload_id": self.upload_ids.get(asset_id, "none"), "part_numbers": [1]}
        response = self.service.request("POST", f"/v1/assets/{asset_id}/parts", json.dumps(members).encode())
        self._require(response, *model.presigned(self.s3.now))
        if response.status != 200:
            return
        [part] = response.document["parts"]
        try:
            etag = self.s3.put_part(part["url"], body)
        except RefusedError:
            assert len(body) != 1
            return
        assert (len(body), etag) == (1, etag_of(body))
        self.models[asset_id] = replace(model, part=body)

    @rule(asset_id=ids, body=FILES)
    def complete(self, asset_id: str, body: bytes) -> None:
        """POST …/complete with the part that has these bytes."""
        status, code, after = self.models[asset_id].completed(body)
        self._require(self._complete(asset_id, body), status, code)
        self.models[asset_id] = after

    @rule(asset_id=ids, body=FILES, calls=st.integers(0, 3), takes_effect=st.booleans())
    def complete_and_fail(self, asset_id: str, body: bytes, calls: int, takes_effect: bool) -> None:  # noqa: FBT001
        """The same while S3 fails one call. If the completion took effect, the HEAD after it tells, and it succeeds."""
        before = self.models[asset_id]
        status, code, after = before.completed(body)
        with _OneFailure(self.store, calls, takes_effect=takes_effect) as failing:
            response = self._complete(asset_id, body)
        if failing.has_failed and response.status == 503:
            self._settle(asset_id, before, after)
        else:
            self._require(response, status, code)
            self.models[asset_id] = after

    @rule(asset_id=ids)
    def refresh(self, asset_id: str) -> None:
        """POST /v1/assets/{id}/upload-url: a pending asset gets another URL, which expires later."""
        response = self.service.request("POST", f"/v1/assets/{asset_id}/upload-url")
        ttl = timedelta(seconds=POLICY.upload_url_ttl_seconds)
        status, code, after = self.models[asset_id].refreshed(self.s3.now, ttl)
        self._require(response, status, code)
        if status == 200:
            self.urls[asset_id] = response.document["upload"]["url"]
        self.models[asset_id] = after

    @rule(asset_id=consumes(ids))
    def delete(self, asset_id: str) -> None:
        """DELETE /v1/assets/{id}, twice: nothing is left of a final asset, and no other one becomes final."""
        after = self.models[asset_id].deleted()
        for _ in range(2):
            assert self.service.request("DELETE", f"/v1/assets/{asset_id}").status == 204
        response = self.service.request("GET", f"/asset/{asset_id}")
        if after is None:
            self._require(response, 404, "asset_not_found")
            del self.models[asset_id]
        else:
            self._require(response, 410, "asset_expired")
            self.models[asset_id] = after

    def create(self) -> str:
        """POST /asset: 201, the upload URL, and the location."""
        response = self.service.request("POST", "/asset")
        assert response.status == 201
        document = response.document
        asset_id: str = document["id"]
        assert response.headers["location"] == f"asset/{asset_id}"
        assert asset_id not in self.models
        expires_at = datetime.fromisoformat(document["expires_at"])
        assert expires_at == self.s3.now + timedelta(seconds=900)
        self.models[asset_id] = Model(expires_at)
        self.urls[asset_id] = document["upload_url"]
        return asset_id

    @rule(asset_id=ids, body=FILES)
    def upload(self, asset_id: str, body: bytes) -> None:
        """The client's PUT to the upload URL: accepted until it expires."""
        model = self.models[asset_id]
        if model.is_multipart:  # there is no upload URL
            return
        try:
            etag = self.s3.put(self.urls[asset_id], body, {"content-type": "text/x-test"})
        except RefusedError:
            assert self.s3.now >= model.expires_at or model.size not in {None, len(body)}
            return
        assert model.size in {None, len(body)}
        assert self.s3.now < model.expires_at
        assert etag == etag_of(body)
        self.models[asset_id] = replace(model, temp=body)

    @rule(asset_id=ids, body=FILES)
    def upload_late(self, asset_id: str, body: bytes) -> None:
        """A PUT that began in time, and arrives at any later time."""
        if self.models[asset_id].is_multipart:
            return
        self.s3.store("put", f"temp/{asset_id}", body, ObjectAttributes({}, {}, {"content-type": "text/x-test"}))
        self.models[asset_id] = replace(self.models[asset_id], temp=body)

    @rule(asset_id=ids, body=PINS, is_quoted=st.booleans())
    def mark(self, asset_id: str, body: bytes | None, is_quoted: bool) -> None:  # noqa: FBT001 -- Hypothesis's way
        """PUT /asset/{id}: the response and the state are the model's."""
        pin = None if body is None else etag_of(body)
        status, code, after = self._marked(self.models[asset_id], pin)
        self._require(self._mark(asset_id, pin, '"{}"' if is_quoted else "{}"), status, code)
        self.models[asset_id] = after

    @rule(asset_id=ids, body=PINS, calls=st.integers(0, 3), takes_effect=st.booleans())
    def mark_and_fail(self, asset_id: str, body: bytes | None, calls: int, takes_effect: bool) -> None:  # noqa: FBT001
        """The same while S3 fails one call: 503, and the asset is as before, or as after.

        When only the copy failed, the mark is accepted: the asset is marked, or final if the copy took effect.
        """
        pin = None if body is None else etag_of(body)
        before = self.models[asset_id]
        status, code, after = self._marked(before, pin)
        with _OneFailure(self.store, calls, takes_effect=takes_effect) as failing:
            response = self._mark(asset_id, pin, "{}")
        left_to_reconciler = before.marked(pin, self.s3.now, POLICY.grace_seconds, None)[2]
        if failing.has_failed and response.status == 202:
            assert left_to_reconciler != after
            self._settle(asset_id, left_to_reconciler, after)
        elif failing.has_failed:
            self._require(response, 503, "store_unavailable")
            assert response.headers["retry-after"] == "2"
            self._settle(asset_id, before, after)
        else:
            self._require(response, status, code)
            self.models[asset_id] = after

    @rule(asset_id=ids)
    def get(self, asset_id: str) -> None:
        """GET /asset/{id}: exactly the uploaded bytes once final, and never any other."""
        response = self.service.request("GET", f"/assets/{asset_id}?timeout=5")
        model = self.models[asset_id] = self.models[asset_id].resolved(self.s3.now, POLICY.grace_seconds)
        match model.stage:
            case Stage.UPLOADED:
                self._require(response, 200, None)
                found = self.s3.get(response.document["Download_url"])
                assert found.body == model.final
                assert found.headers == {
                    "content-type": "text/x-test",
                    "content-disposition": "attachment",
                    "cache-control": "private, max-age=5",
                }
            case Stage.EXPIRED:
                self._require(response, 410, "asset_expired")
            case _:
                self._require(response, 404, "asset_not_uploaded")
                assert int(response.headers["retry-after"]) >= 1

    @rule(asset_id=ids, calls=st.integers(0, 3), takes_effect=st.booleans())
    def get_and_fail(self, asset_id: str, calls: int, takes_effect: bool) -> None:  # noqa: FBT001 -- Hypothesis's way
        """The same while S3 fails one call: the asset is as before, or expired for want of an upload."""
        before = self.models[asset_id]
        with _OneFailure(self.store, calls, takes_effect=takes_effect) as failing:
            response = self.service.request("GET", f"/asset/{asset_id}")
        if failing.has_failed:
            self._require(response, 503, "store_unavailable")
        self._settle(asset_id, before, before.resolved(self.s3.now, POLICY.grace_seconds))

    @rule()
    def request_an_unknown_id(self) -> None:
        """An id that was never created is not found, and is never written."""
        for response in (self.service.request("GET", f"/asset/{UNKNOWN_ID}"), self._mark(UNKNOWN_ID, None, "{}")):
            self._require(response, 404, "asset_not_found")

    # --- time, and the reconciler -------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 59, 60, 840, 900, 2700, 3600]))
    def wait(self, seconds: int) -> None:
        """Time passes."""
        self.s3.now += timedelta(seconds=seconds)

    @rule(shards=st.integers(1, 3))
    def reconcile(self, shards: int) -> None:
        """One run of every shard: every asset is as in the model."""
        for index in range(shards):
            self._wait_for(self._run(_options(Shard(index, shards))))
        for asset_id, model in self.models.items():
            self.models[asset_id] = self._reconciled(model)

    @rule(index=st.integers(0, 1))
    def reconcile_half(self, index: int) -> None:
        """One shard of two: its assets and no others."""
        self._wait_for(self._run(_options(Shard(index, 2))))
        for asset_id, model in self.models.items():
            if (asset_id[0] in "01234567") == (index == 0):
                self.models[asset_id] = self._reconciled(model)

    @rule()
    def dry_run(self) -> None:
        """A dry run writes nothing."""
        written = len(self.s3.writes)
        self._wait_for(self._run(_options(dry_run=True)))
        assert len(self.s3.writes) == written

    @rule(calls=st.integers(0, 12), takes_effect=st.booleans())
    def reconcile_and_fail(self, calls: int, takes_effect: bool) -> None:  # noqa: FBT001 -- Hypothesis's way
        """A run in which one call fails: each asset as before or as after, garbage swept or not yet."""
        before = dict(self.models)
        with _OneFailure(self.store, calls, takes_effect=takes_effect) as failing:
            try:
                self._wait_for(self._run(_options()))
            except StoreError:
                assert failing.has_failed
        for asset_id, model in before.items():
            after = self._reconciled(model)
            self._settle(asset_id, model, after, after.unswept(model), after.unaborted(model))

    # --- always -------------------------------------------------------------------------------------------------------

    @invariant()
    def bucket_and_dictionary_agree(self) -> None:
        """The bucket contains what the dictionary contains, and no other object."""
        assert self._read_bucket() == self.models
        uploads = sum(model.temp is not None for model in self.models.values())
        assert len(self.s3.objects) == len(self.models) + uploads
        for asset_id, model in self.models.items():
            if model.is_multipart:
                is_open = self.upload_ids[asset_id] in self.s3.uploads
                assert is_open or model.stage is not Stage.PENDING
                # What stands for the upload is deleted after its abort.
                assert not is_open or model.temp is not None

    def teardown(self) -> None:
        """At the end two runs finish everything, and a third writes nothing."""
        self.s3.now += timedelta(days=30)
        for _ in range(2):
            self.reconcile(1)
        assert self._read_bucket() == self.models
        written = len(self.s3.writes)
        self.reconcile(1)
        assert len(self.s3.writes) == written

    # ------------------------------------------------------------------------------------------------------------------

    def _mark(self, asset_id: str, pin: str | None, template: str) -> Response:
        body = {"Status": "uploaded"} | ({} if pin is None else {"etag": template.format(pin)})
        return self.service.request("PUT", f"/asset/{asset_id}", json.dumps(body).encode())

    def _complete(self, asset_id: str, body: bytes) -> Response:
        upload_id = self.upload_ids.get(asset_id, "none")
        members = {"upload_id": upload_id, "parts": [{"number": 1, "etag": etag_of(body)}]}
        return self.service.request("POST", f"/v1/assets/{asset_id}/complete", json.dumps(members).encode())

    def _require(self, response: Response, status: int, code: str | None) -> None:
        document = response.document if response.body else {}
        assert (response.status, document.get("code")) == (status, code)
        assert response.headers["cache-control"] == "no-store"

    def _marked(self, model: Model, pin: str | None) -> tuple[int, str | None, Model]:
        return model.marked(pin, self.s3.now, POLICY.grace_seconds, POLICY.finalize_at_once_bytes)

    async def _run(self, options: RunOptions) -> None:
        now = self.s3.now.timestamp
        await Run(self.reconciler, options, [RunCounters()], check_nothing, asyncio.Event(), now).run()

    def _wait_for(self, running: Coroutine[Any, Any, None]) -> None:
        self.service.loop.run_until_complete(running)

    def _reconciled(self, model: Model) -> Model:
        return model.reconciled(self.s3.now, POLICY.grace_seconds, POLICY.expire_after_seconds)

    def _settle(self, asset_id: str, *possible: Model) -> None:
        """After a fault, set the model to the bucket's state, if that is one of the possible ones."""
        found_models = self._read_bucket()[asset_id]
        assert found_models in possible
        self.models[asset_id] = found_models

    def _read_bucket(self) -> dict[str, Model]:
        """Return the dictionary that the bucket implies."""
        found_models = {}
        for key, found in self.s3.objects.items():
            prefix, _, asset_id = key.partition("/")
            if prefix == "uploaded":
                temp = self.s3.objects.get(f"temp/{asset_id}")
                stage = Stage(found.metadata["status"])
                found_models[asset_id] = Model(
                    datetime.fromisoformat(found.metadata["expires-at"]),
                    stage,
                    found.metadata.get("pin"),
                    temp.body if temp else None,
                    found.body if stage is Stage.UPLOADED else None,
                    int(found.metadata["size"]) if "size" in found.metadata else None,
                    "part-size" in found.metadata,
                    self._read_part(asset_id),
                )
        return found_models

    def _read_part(self, asset_id: str) -> bytes | None:
        upload = self.s3.uploads.get(self.upload_ids.get(asset_id, ""))
        return upload.parts.get(1) if upload else None


class _OneFailure:
    """A context in which one call of the store fails."""

    def __init__(self, store: FlakyStore, calls: int, *, takes_effect: bool) -> None:
        self._store, self._calls, self._takes_effect = store, calls, takes_effect

    def __enter__(self) -> FlakyStore:
        self._store.calls_until_failure = self._calls
        self._store.takes_effect, self._store.has_failed = self._takes_effect, False
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.calls_until_failure = -1
