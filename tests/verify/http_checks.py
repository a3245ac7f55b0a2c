"""The checks of HTTP: the raw corpus, Schemathesis, and the logs of the whole suite."""

import asyncio
import re
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from dev.seaweedfs import HOST, free_port, running_s3
from tests.fuzz.raw import CorpusRun
from tests.support.fleet import running_product
from tests.support.leaks import leaks
from tests.verify import quiet_logging
from tests.verify.check import CheckOutcome, make_progress_printer

_BIN: Final = Path(sys.executable).parent
_SCHEMATHESIS_CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
_CASES: Final = re.compile(r"(\d+) generated, (\d+) passed")


def check_raw(number: int) -> CheckOutcome:
    """Send `number` malformed requests."""
    corpus, output = asyncio.run(_against_service(number))
    outcomes = ", ".join(f"{count:,} × {status}" for status, count in corpus.outcomes.most_common())  # noqa: RUF001
    return CheckOutcome(f"{corpus.cases:,} cases: {outcomes}", corpus.violations + leaks(output))


async def _against_service(number: int) -> tuple[CorpusRun, bytes]:
    with running_s3(free_port(), "assets") as s3, tempfile.TemporaryFile() as output:
        async with AsyncExitStack() as stack:
            product = await stack.enter_async_context(running_product(s3, output, s3.endpoint_url, drain_seconds=0))
            port = free_port()
            process = await product.serve(port)
            await product.wait_until_ok(port, "/healthcheck")
            corpus = CorpusRun(HOST, port, number, make_progress_printer("cases"))
            await corpus.run()
            if process.returncode is not None:
                corpus.violations.append(f"the service ended with {process.returncode}")
        output.seek(0)
        whole = output.read()
    for line in whole.splitlines():
        if b"Traceback" in line or b"uncaught" in line or b"internal_error" in line:
            corpus.violations.append(f"in the log: {line[:300]!r}")
    return corpus, whole


def check_schema(examples: int) -> CheckOutcome:
    """Run Schemathesis with `examples` examples of each operation."""
    return asyncio.run(_schema(examples))


async def _schema(examples: int) -> CheckOutcome:
    with running_s3(free_port(), "assets") as s3, tempfile.TemporaryFile() as output:
        async with AsyncExitStack() as stack:
            product = await stack.enter_async_context(running_product(s3, output, s3.endpoint_url, drain_seconds=0))
            port = free_port()
            await product.serve(port)
            await product.wait_until_ok(port, "/healthcheck")
            url = f"http://{HOST}:{port}/openapi.json"
            # One worker: before 3.11.9, CPython cannot parse source in two threads (python/cpython#106905).
            options = f"--max-examples {examples} --seed 1 --no-color --workers 1 --continue-on-failure"
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            done = await asyncio.create_subprocess_exec(
                str(_BIN / "schemathesis"),
                "--config-file",
                str(_SCHEMATHESIS_CONFIG),
                "run",
                url,
                *options.split(),
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            shown = (await done.communicate())[0].decode()
        output.seek(0)
        found = leaks(output.read())
    cases = _CASES.search(shown)
    if done.returncode:
        found.append(shown[-4000:])
    return CheckOutcome(f"{cases[1] if cases else '?'} cases of {examples} examples each, all checks", found)


def check_suite(_: int) -> CheckOutcome:
    """Look for secrets in the output of the whole test suite, with log records of every level."""
    # httpx, with httpcore, is a client of the tests, and werkzeug is moto's server: their logs are not the product's.
    not_ours = ("werkzeug", "httpx", "httpcore.http11", "httpcore.connection")
    options = "-n 2 -q -rA --log-level=DEBUG " + " ".join(f"--log-disable={name}" for name in not_ours)
    command = ["pytest", *options.split(), "-p", quiet_logging.__name__]
    done = subprocess.run([_BIN / command[0], *command[1:]], capture_output=True, check=False)  # noqa: S603 -- our own suite
    output = done.stdout + done.stderr
    found = leaks(output)
    if done.returncode:
        found.append(f"the suite ended with {done.returncode}: {output[-2000:]!r}")
    return CheckOutcome(f"{output.count(b'PASSED')} tests, {len(output):,} bytes of output", found)
