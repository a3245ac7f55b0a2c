"""The shipped policies allow exactly the requests that the programs send: nothing is missing, nothing is unused."""

import json
from pathlib import Path
from typing import Any, Final

import boto3

from assetuploader.conformance import check_conditional_delete
from assetuploader.multipart_check import CHECK_MULTIPART_KEY
from dev.seaweedfs import ACCESS_KEY, REGION, SECRET_KEY, LocalS3, free_port, running_s3
from tests.faults.lifecycles import opened_bucket
from tests.support.iam_recorder import Needed, is_unconditional_write, recording
from tests.support.product import Product, await_until, serving

IAM: Final = Path(__file__).parents[2] / "docs" / "iam"
UNSEEN: Final = {
    # S3 requires it only when the source of a copy has tags. A client's upload has none, but a malware scanner may add
    # some, and then every copy would be rejected.
    ("s3:GetObjectTagging", "temp/"),
}
UNSEEN_OF_RECONCILER: Final = UNSEEN | {("s3:GetObjectTagging", "uploaded/")}
SETTINGS: Final = {
    "ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS": "2",
    "ASSETUPLOADER_GRACE_SECONDS": "0",
    "ASSETUPLOADER_EXPIRE_AFTER_SECONDS": "0",
}


def allowed(program: str) -> set[Needed]:
    """Return what the program's policy allows: pairs of action and prefix."""
    found: set[Needed] = set()
    for statement in json.loads((IAM / f"{program}.json").read_text())["Statement"]:
        assert statement["Effect"] == "Allow"
        actions, resources = (
            [value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"])
        )
        for resource in resources:
            prefix = resource.removeprefix("arn:aws:s3:::BUCKET").removeprefix("/").removesuffix("*")
            found |= {(action, prefix) for action in actions}
    return found


def raw(s3: LocalS3) -> Any:  # noqa: ANN401 -- boto3's client
    """Return a boto3 client without the proxy."""
    return boto3.client(
        "s3",
        region_name=REGION,
        endpoint_url=s3.endpoint_url,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


def keys(s3: LocalS3) -> set[str]:
    """Return the keys in the bucket."""
    listed = raw(s3).list_objects_v2(Bucket=s3.bucket).get("Contents", [])
    return {found["Key"] for found in listed}


def create_in_parts(product: Product) -> tuple[str, str]:
    """Create an asset that is uploaded in parts; return its URL and the upload id."""
    response = product.http.request("POST", f"{product.url}/v1/assets", json={"size": 5, "multipart": True})
    assert response.status == 201
    created = response.json()
    return f"{product.url}/v1/assets/{created['id']}", created["upload"]["upload_id"]


def upload_in_parts(product: Product, body: bytes) -> None:
    """Upload an asset in one part, list the parts, and complete it."""
    asset, upload_id = create_in_parts(product)
    urls = product.http.request("POST", f"{asset}/parts", json={"upload_id": upload_id, "part_numbers": [1]}).json()
    assert product.http.request("PUT", urls["parts"][0]["url"], body=body).status == 200
    [part] = product.http.request("GET", f"{asset}/parts", fields={"upload_id": upload_id}).json()["parts"]
    completion = {"upload_id": upload_id, "parts": [{"number": 1, "etag": part["etag"]}]}
    assert product.http.request("POST", f"{asset}/complete", json=completion).json()["status"] == "uploaded"


def test_each_program_may_do_what_it_does_and_nothing_else() -> None:
    """The permissions that all operations of the protocol need are exactly those of the shipped policies.

    No request is one that the bucket policy denies.
    """
    with (
        running_s3(free_port(), "assets") as s3,
        recording(s3.endpoint_url) as service,
        recording(s3.endpoint_url) as reconciler,
        serving(s3, AWS_ENDPOINT_URL_S3=service.endpoint_url, **SETTINGS) as product,
    ):
        pinned, unpinned, unmarked = (product.upload(body) for body in (b"pinned", b"unpinned", b"unmarked"))
        wrong = product.http.request(
            "PUT", f"{product.url}/asset/{pinned.asset_id}", json={"Status": "uploaded", "etag": "0"}
        )
        assert wrong.status == 409
        upload_in_parts(product, b"parts")
        cancelled, _ = create_in_parts(product)
        assert product.http.request("DELETE", cancelled).status == 204
        assert [product.mark(pinned, pinned=True), product.mark(unpinned, pinned=False)] == [202, 202]
        outcomes: set[str] = set()

        def all_was_done() -> bool:
            run = product.run("reconcile", AWS_ENDPOINT_URL_S3=reconciler.endpoint_url)
            assert run.returncode == 0, run.stderr
            lines = [json.loads(line) for line in run.stderr.splitlines()]
            done = {line["asset_id"]: line["outcome"] for line in lines if line["event"] == "asset_reconciled"}
            if done.get(pinned.asset_id) == "finalized":  # bytes that come late are swept
                raw(s3).put_object(Bucket=s3.bucket, Key=f"temp/{pinned.asset_id}", Body=b"late")
            outcomes.update(done.values())
            return outcomes == {"finalized", "expired", "swept"}

        assert raw(s3).list_multipart_uploads(Bucket=s3.bucket)["Uploads"]
        await_until("assets were finalized, expired and swept", all_was_done)
        assert "Uploads" not in raw(s3).list_multipart_uploads(Bucket=s3.bucket)
        download = product.http.request("GET", f"{product.url}/asset/{unpinned.asset_id}").json()["Download_url"]
        assert product.http.request("GET", download).data == b"unpinned"
        assert product.http.request("GET", f"{product.url}/asset/{unmarked.asset_id}").status == 410
        with serving(s3, AWS_ENDPOINT_URL_S3=service.endpoint_url) as other:  # which reads the report when it starts
            await_until("it is read", lambda: 'report_reads_total{outcome="success"} 1' in other.metrics())
    assert service.unconditional | reconciler.unconditional == set()
    assert allowed("service") == service.needed | UNSEEN
    assert allowed("reconciler") == reconciler.needed | UNSEEN_OF_RECONCILER


def test_the_bucket_policy_lets_parts_through() -> None:
    """Requests that take no condition are exempt from the rule that demands one; their signatures are not exempt."""
    statements = {each["Sid"]: each for each in json.loads((IAM / "bucket.json").read_text())["Statement"]}
    condition = statements["NoUnconditionalWriteOfAnAsset"]["Condition"]
    assert condition["Bool"] == {"s3:ObjectCreationOperation": "true"}
    assert is_unconditional_write("POST", "/bucket/uploaded/id?uploadId=1", {})
    assert not is_unconditional_write("PUT", "/bucket/uploaded/id?partNumber=1&uploadId=1", {})
    assert "arn:aws:s3:::BUCKET/uploaded/*" in statements["NoUploadUrlOlderThan15Minutes"]["Resource"]


def test_a_role_without_the_permissions_for_parts_serves_everything_else() -> None:
    """The service with the policies of an earlier version starts, logs why, and refuses uploads in parts."""
    denied = {("s3:AbortMultipartUpload", CHECK_MULTIPART_KEY)}
    with (
        running_s3(free_port(), "assets") as s3,
        recording(s3.endpoint_url, denied) as service,
        serving(s3, AWS_ENDPOINT_URL_S3=service.endpoint_url) as product,
    ):
        [line] = [line for line in product.log() if line["event"] == "multipart_unsupported"]
        assert "denied" in line["reason"]
        response = product.http.request("POST", f"{product.url}/v1/assets", json={"size": 5, "multipart": True})
        assert response.json()["code"] == "multipart_unsupported"
        assert product.mark(product.upload(b"whole"), pinned=True) == 202


def test_deletes_need_one_more_policy() -> None:
    """A service that deletes needs both of its policies, and nothing else."""
    settings = {**SETTINGS, "ASSETUPLOADER_DELETES": "true"}
    with running_s3(free_port(), "assets") as s3, recording(s3.endpoint_url) as service:
        with serving(s3, AWS_ENDPOINT_URL_S3=service.endpoint_url, **settings) as product:
            final, pending = product.upload(b"final"), product.upload(b"pending")
            assert product.mark(final, pinned=True) == 202
            for asset in (final, pending):
                path = f"{product.url}/v1/assets/{asset.asset_id}"
                assert product.http.request("DELETE", path).status == 204
        assert {key for key in keys(s3) if final.asset_id in key} == set()
    assert service.needed <= allowed("service") | allowed("service-deletes")
    assert allowed("service-deletes") == service.needed - allowed("service")


async def test_the_condition_of_a_deletion_needs_permission_to_read() -> None:
    """Amazon S3 requires s3:GetObject for DeleteObject with If-Match."""
    with running_s3(free_port(), "assets") as s3, recording(s3.endpoint_url) as deleting:
        async with opened_bucket(s3, deleting.endpoint_url) as bucket:
            await check_conditional_delete(bucket.store)
    actions = ("s3:PutObject", "s3:PutObjectTagging", "s3:DeleteObject", "s3:GetObject")
    assert deleting.needed == {(action, "uploaded/") for action in actions}
