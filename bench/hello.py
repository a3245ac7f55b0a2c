"""What Sanic itself costs: the same routes, each answering a constant. `python -m bench.hello PORT`."""

import sys
from typing import Any

from sanic import HTTPResponse, Request, Sanic, json


def build_app() -> Sanic[Any, Any]:
    """The application that does nothing."""
    app: Sanic[Any, Any] = Sanic("hello", configure_logging=False)
    app.config.MOTD = False

    @app.get("/asset/<asset_id:str>")
    async def answer(request: Request, asset_id: str) -> HTTPResponse:  # noqa: ARG001 -- the route's
        return json({"Download_url": "https://bucket.s3.eu-central-1.amazonaws.com/uploaded/constant"})

    return app


if __name__ == "__main__":
    build_app().run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, backlog=1024)
