"""`make run`: an S3 server, the service and the reconciler on loopback, until Ctrl-C."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import urllib3

from dev.seaweedfs import HOST, DevServerError, running_s3

RECONCILE_SECONDS: Final = 3.0
START_SECONDS: Final = 30.0
STOP_TIMEOUT_SECONDS: Final = 10.0

_ASSETUPLOADER: Final = str(Path(sys.executable).parent / "assetuploader")
_FIELD: Final = """python3 -c 'import json, sys; print(json.load(sys.stdin)["{0}"])'"""
_COMMANDS: Final = """
The lifecycle of a file, to copy and paste into another terminal:

  # 1. create an asset, and upload its bytes straight to S3
  asset=$(curl -sS -X POST {url}/asset); id=$(echo "$asset" | {id})
  etag=$(curl -sS -D- -o/dev/null -T Makefile "$(echo "$asset" | {upload_url})" | grep -i '^etag:' | cut -d'"' -f2)

  # 2. mark it; without "etag" the asset becomes final only after its upload URL expired
  curl -sS -X PUT {url}/asset/$id -H 'Content-Type: application/json' -d '{{"Status":"uploaded","etag":"'$etag'"}}'

  # 3. download it: curl retries until it is final
  download_url=$(curl -sf --retry 20 --retry-all-errors {url}/asset/$id | {download_url})
  curl -sS "$download_url" | cmp - Makefile && echo the same bytes

API: {url}/docs · metrics: http://{host}:{metrics_port}/metrics · stop: Ctrl-C
"""


def main() -> int:
    """Run everything; return the exit code."""
    args = _parse()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with ExitStack() as stack:
            _check_ports({"PORT": args.port, "METRICS_PORT": args.metrics_port})
            environment = dict(os.environ)
            environment.setdefault("ASSETUPLOADER_LOG_FORMAT", "console")
            environment.setdefault("ASSETUPLOADER_DRAIN_SECONDS", "0")  # no load balancer here
            if "AWS_BUCKET" not in environment:
                _check_ports({"S3_PORT": args.s3_port})
                _print(f"starting SeaweedFS on {HOST}:{args.s3_port}; its data is deleted when it stops")
                environment |= stack.enter_context(running_s3(args.s3_port, "assets")).environment()
            serve = ["serve", "--host", HOST, "--port", str(args.port), "--metrics-port", str(args.metrics_port)]
            service = stack.enter_context(_running(serve, environment))
            url = f"http://{HOST}:{args.port}"
            _await_ready(service, url, stop)
            fields = {name.lower(): _FIELD.format(name) for name in ("id", "upload_url", "Download_url")}
            print(_COMMANDS.format(url=url, host=HOST, metrics_port=args.metrics_port, **fields), flush=True)  # noqa: T201
            stack.enter_context(_running(["selftest", url], environment))
            while not stop.is_set() and service.poll() is None:
                _reconcile(environment)
                stop.wait(RECONCILE_SECONDS)
            _print("stopping" if stop.is_set() else f"the service ended with exit code {service.returncode}")
    except DevServerError as error:
        _print(str(error))
    return 0 if stop.is_set() else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make run", description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--metrics-port", type=int, default=9090)
    parser.add_argument("--s3-port", type=int, default=8333)
    return parser.parse_args()


def _check_ports(ports: Mapping[str, int]) -> None:
    for variable, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except (OSError, OverflowError) as error:
                raise DevServerError(
                    f"cannot use port {port} ({error}): choose another, as in make run {variable}={port + 1}"
                ) from None


@contextmanager
def _running(arguments: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    # In a session of its own: on Ctrl-C this program stops the others, in order.
    process = subprocess.Popen([_ASSETUPLOADER, *arguments], env=environment, start_new_session=True)  # noqa: S603
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(service: subprocess.Popen[bytes], url: str, stop: threading.Event) -> None:
    deadline = time.monotonic() + START_SECONDS
    with urllib3.PoolManager(timeout=2, retries=False) as http:
        while not stop.is_set():
            try:
                if http.request("GET", f"{url}/healthcheck").status == 200:  # noqa: PLR2004
                    return
            except urllib3.exceptions.HTTPError:
                pass
            if service.poll() is not None:
                raise DevServerError("the service did not start: its log above has the reason")
            if time.monotonic() > deadline:
                raise DevServerError(f"the service is not healthy after {START_SECONDS:.0f} s: see its log above")
            stop.wait(0.1)
    raise DevServerError("stopped before it was ready")


def _reconcile(environment: Mapping[str, str]) -> None:
    """Run the reconciler once, as the CronJob does; show its log only when it did something."""
    command = [_ASSETUPLOADER, "reconcile"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, start_new_session=True) as process:  # noqa: S603
        _, output = process.communicate()
    if process.returncode or output.count(b"\n") > 1:
        sys.stderr.write(output.decode(errors="replace"))
        sys.stderr.flush()


def _print(text: str) -> None:
    print(f"make run: {text}", file=sys.stderr, flush=True)  # noqa: T201 -- for people at a terminal


if __name__ == "__main__":
    sys.exit(main())
