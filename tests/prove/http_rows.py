"""The rows about HTTP: the raw corpus, Schemathesis, and what the whole suite writes to its logs."""

import asyncio
import re
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from local.seaweedfs import HOST, free_port, running_s3
from tests.faults.leaks import leaks
from tests.faults.product import running_product
from tests.fuzz.raw import Raw
from tests.prove import hushed
from tests.prove.row import Outcome, now_and_then

_BIN: Final = Path(sys.executable).parent
_CASES: Final = re.compile(r"(\d+) generated, (\d+) passed")


def raw(number: int) -> Outcome:
    """So many requests that are wrong, as bytes."""
    trial, said = asyncio.run(_against_service(number))
    answers = ", ".join(f"{count:,} × {status}" for status, count in trial.answers.most_common())  # noqa: RUF001
    return Outcome(f"{trial.cases:,} cases: {answers}", trial.violations + leaks(said))


async def _against_service(number: int) -> tuple[Raw, bytes]:
    with running_s3(free_port(), "assets") as s3, tempfile.TemporaryFile() as said:
        async with AsyncExitStack() as stack:
            product = await stack.enter_async_context(running_product(s3, said, s3.endpoint_url, drain_seconds=0))
            port = free_port()
            process = await product.serve(port)
            await product.until_answered(port, "/healthcheck")
            trial = Raw(HOST, port, number, now_and_then("cases"))
            await trial.run()
            if process.returncode is not None:
                trial.violations.append(f"the service ended with {process.returncode}")
        said.seek(0)
        whole = said.read()
    for line in whole.splitlines():
        if b"Traceback" in line or b"uncaught" in line or b"internal_error" in line:
            trial.violations.append(f"in the log: {line[:300]!r}")
    return trial, whole


def schema(examples: int) -> Outcome:
    """So many examples of each operation, by Schemathesis."""
    return asyncio.run(_schema(examples))


async def _schema(examples: int) -> Outcome:
    with running_s3(free_port(), "assets") as s3, tempfile.TemporaryFile() as said:
        async with AsyncExitStack() as stack:
            product = await stack.enter_async_context(running_product(s3, said, s3.endpoint_url, drain_seconds=0))
            port = free_port()
            await product.serve(port)
            await product.until_answered(port, "/healthcheck")
            url = f"http://{HOST}:{port}/openapi.json"
            options = f"--checks all --max-examples {examples} --seed 1 --no-color --workers 2 --continue-on-failure"
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            done = await asyncio.create_subprocess_exec(
                str(_BIN / "schemathesis"), "run", url, *options.split(), cwd=folder, stdout=-1, stderr=-2
            )
            told = (await done.communicate())[0].decode()
        said.seek(0)
        found = leaks(said.read())
    cases = _CASES.search(told)
    if done.returncode:
        found.append(told[-4000:])
    return Outcome(f"{cases[1] if cases else '?'} cases of {examples} examples each, all checks", found)


def suite(_: int) -> Outcome:
    """Everything that `make test` writes, every log record of every level in it."""
    # httpx is the tests' client, and werkzeug moto's server: they log what they are told to ask. Nothing of it is ours.
    options = "-n 2 -q -rA --log-level=DEBUG --log-disable=werkzeug --log-disable=httpx"
    command = ["pytest", *options.split(), "-p", hushed.__name__]
    done = subprocess.run([_BIN / command[0], *command[1:]], capture_output=True, check=False)  # noqa: S603 -- our own suite
    said = done.stdout + done.stderr
    found = leaks(said)
    if done.returncode:
        found.append(f"the suite ended with {done.returncode}: {said[-2000:]!r}")
    return Outcome(f"{said.count(b'PASSED')} tests, {len(said):,} bytes of output", found)
