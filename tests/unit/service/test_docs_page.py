"""`/docs` in a real browser."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web

from service.operations import OPERATIONS
from tests.support.browser import CHROMIUM, open_page
from tests.support.in_process_service import Service
from tests.support.raw_connection import HOST

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)")


@asynccontextmanager
async def behind_prefix(service: Service, prefix: str) -> AsyncIterator[str]:
    """Run a proxy that serves the service below a path prefix, and return its URL there."""
    async with ClientSession(f"http://{HOST}:{service.port}", auto_decompress=False) as session:

        async def forward(request: web.Request) -> web.Response:
            target = request.raw_path.removeprefix(prefix)
            headers = {"Content-Type": request.content_type} if request.can_read_body else {}
            async with session.request(request.method, target, data=await request.read(), headers=headers) as response:
                kept = {name: value for name, value in response.headers.items() if name != "Content-Length"}
                return web.Response(status=response.status, headers=kept, body=await response.read())

        app = web.Application()
        app.router.add_route("*", prefix + "/{path:.*}", forward)
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            yield f"http://{HOST}:{runner.addresses[0][1]}{prefix}"
        finally:
            await runner.cleanup()


@pytest.mark.parametrize("prefix", ["", "/storage"], ids=["at the root", "behind a path prefix"])
async def test_the_page_lists_the_operations_and_can_send_them(service: Service, prefix: str) -> None:
    """A person sees every operation, creates an asset from the page, and the browser loads nothing from elsewhere."""
    async with behind_prefix(service, prefix) as url, open_page() as page:
        await page.open(f"{url}/docs#asset_expired")
        await page.until(f"document.querySelectorAll('.opblock').length === {len(OPERATIONS)}")
        listed = await page.until(
            "[...document.querySelectorAll('.opblock')].map(block => block.querySelector('.opblock-summary-method')"
            ".textContent + ' ' + block.querySelector('.opblock-summary-path').dataset.path)"
        )
        anchor_is_visible = await page.until(
            "(box => box.top > -1 && box.bottom <= innerHeight)"
            "(document.getElementById('asset_expired').getBoundingClientRect())"
        )
        await page.click(".opblock-post .opblock-summary-control")
        await page.until(
            "document.querySelectorAll('.opblock-post .model-example').length"
        )  # the viewer has read all of it
        await page.click(".opblock-post .execute")
        status = await page.until(
            "document.querySelector('.live-responses-table tbody .response-col_status')?.innerText"
        )

    assert sorted(listed) == sorted(f"{operation.method} {operation.route}" for operation in OPERATIONS)  # by path
    assert anchor_is_visible
    assert status.split()[0] == "201"
    assert [key for key in service.s3.objects if key.startswith("uploaded/")] != []
    assert {urlsplit(link).netloc for link in page.requested if not link.startswith("data:")} == {urlsplit(url).netloc}
    assert page.complaints == []
