"""The usual alternative: the same three routes on Sanic and boto3, each S3 request in a thread.

It sends the same requests with the same conditions. It has no logs, metrics or problem documents, and few checks.
`python -m bench.baseline_boto3 PORT`, configured by the same environment.
"""

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from sanic import HTTPResponse, Request, Sanic, empty, json

BUCKET = os.environ.get("AWS_BUCKET", "")
URL_SECONDS = 900


def build_app() -> Sanic[Any, Any]:
    """Build the application."""
    app: Sanic[Any, Any] = Sanic("baseline-boto3", configure_logging=False)
    app.config.MOTD = False
    client = boto3.client(
        "s3",
        region_name=os.environ["AWS_REGION"],
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            max_pool_connections=32,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )

    def presign(operation: str, key: str, seconds: int) -> str:
        url: str = client.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=seconds)
        return url

    def write(asset_id: str, state: dict[str, str], **condition: str) -> None:
        attributes: Any = {"Metadata": state, "Tagging": urlencode(state), **condition}
        client.put_object(Bucket=BUCKET, Key=f"uploaded/{asset_id}", Body=os.urandom(16), **attributes)

    @app.post("/asset")
    async def create(request: Request) -> HTTPResponse:  # noqa: ARG001 -- the route's
        asset_id = str(uuid4())
        url = await asyncio.to_thread(presign, "put_object", f"temp/{asset_id}", URL_SECONDS)
        expires_at = (datetime.now(UTC) + timedelta(seconds=URL_SECONDS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"status": "pending", "expires-at": expires_at}
        await asyncio.to_thread(write, asset_id, state, IfNoneMatch="*")
        return json({"upload_url": url, "id": asset_id, "expires_at": expires_at}, 201)

    @app.put("/asset/<asset_id:str>")
    async def mark(request: Request, asset_id: str) -> HTTPResponse:
        if request.json != {"Status": "uploaded"}:
            return empty(400)
        found = await asyncio.to_thread(client.head_object, Bucket=BUCKET, Key=f"uploaded/{asset_id}")
        state = {**found["Metadata"], "status": "marked"}
        await asyncio.to_thread(write, asset_id, state, IfMatch=found["ETag"])
        return empty(202)

    @app.get("/asset/<asset_id:str>")
    async def resolve(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001 -- the route's
        key = f"uploaded/{asset_id}"
        try:
            found = await asyncio.to_thread(client.head_object, Bucket=BUCKET, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004
                return json({"code": "asset_not_found"}, 404)
            raise
        if found["Metadata"]["status"] != "uploaded":
            return json({"code": "asset_not_uploaded"}, 404)
        return json({"Download_url": await asyncio.to_thread(presign, "get_object", key, 60)})

    return app


if __name__ == "__main__":
    build_app().run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, backlog=1024)
