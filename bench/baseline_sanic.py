"""What Sanic itself costs: a constant response. `python -m bench.baseline_sanic PORT`."""

import sys
from typing import Any

from sanic import HTTPResponse, Request, Sanic, json


def build_app() -> Sanic[Any, Any]:
    """Build the application."""
    app: Sanic[Any, Any] = Sanic("baseline-sanic", configure_logging=False)
    app.config.MOTD = False

    @app.get("/asset/<asset_id:str>")
    async def resolve(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001 -- the route's
        return json({"Download_url": "https://bucket.s3.eu-central-1.amazonaws.com/uploaded/constant"})

    return app


if __name__ == "__main__":
    build_app().run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, backlog=1024)
