"""Requests whose clients do not wait for the response."""

import os
import signal
import socket
import struct
from collections import Counter
from contextlib import suppress

from dev.seaweedfs import HOST
from tests.support.product import await_until, running_product


def test_a_request_whose_client_left_is_counted_and_logged() -> None:
    """Clients that give up while S3 hangs are counted, so that the metrics show the outage."""
    with running_product() as product:
        os.kill(product.s3.process.pid, signal.SIGSTOP)
        with socket.create_connection((HOST, product.port)) as client:
            client.sendall(b"POST /asset HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            await_until("it is in flight", lambda: "http_requests_in_flight 1.0" in product.metrics())
        await_until(
            "it is counted", lambda: 'requests_total{method="POST",route="/asset",status="499"} 1' in product.metrics()
        )
        os.kill(product.s3.process.pid, signal.SIGCONT)
        assert "http_requests_in_flight 0.0" in product.metrics()
        lines = [line for line in product.log() if line.get("route") == "/asset"]
        assert [(line["event"], line["status"]) for line in lines] == [("request_finished", 499)]


def test_a_request_whose_client_leaves_during_the_response_is_counted_once() -> None:
    """Unread responses fill the connection. When it breaks, Sanic requests a second response to the last request."""
    with running_product() as product:
        with socket.create_connection((HOST, product.port)) as client:
            client.settimeout(1)
            request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
            with suppress(TimeoutError):
                while True:  # until the service stops reading, because its responses are not read
                    client.send(request)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # end with a reset
        assert product.http.request("GET", f"{product.url}/nothing").status == 404
        finished = [line for line in product.log() if line["event"] == "request_finished"]
        assert sum(line["route"] == "/openapi.json" for line in finished) > 3
        assert max(Counter(line["request_id"] for line in finished).values()) == 1
