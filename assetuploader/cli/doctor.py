"""`assetuploader doctor`: checks the bucket, the credentials and the store, and prints how to solve each problem."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from termcolor import colored

from assetuploader.cli.config import Config
from assetuploader.cli.exit_codes import ExitCode
from assetuploader.cli.logs import configure_logs
from assetuploader.cli.wiring import open_bucket
from assetuploader.doctor.bucket_configuration import open_bucket_configuration
from assetuploader.doctor.checks import CheckContext, Program, run_checks
from assetuploader.doctor.results import SEVERITIES, CheckResult, Severity
from assetuploader.errors import StoreError

_FAILURE: Final = ("✗", "red")
_SYMBOLS: Final[Mapping[Severity, tuple[str, str]]] = {
    Severity.OK: ("✓", "green"),
    Severity.SKIPPED: ("-", "dark_grey"),
    Severity.WARNING: ("!", "yellow"),
}
_EXIT_CODES: Final[Mapping[Severity, ExitCode]] = {
    Severity.FAILED: ExitCode.PARTIAL_FAILURE,
    Severity.MISCONFIGURED: ExitCode.CONFIG,
    Severity.ACCESS_DENIED: ExitCode.NO_PERMISSION,
    Severity.UNAVAILABLE: ExitCode.TEMP_FAIL,
}
"""The exit code of the worst result. Severities without an entry exit with 0."""


@dataclass(frozen=True, slots=True)
class DoctorOptions:
    """The options of the command line."""

    programs: frozenset[Program]
    origin: str | None
    is_json: bool


def doctor(config: Config, options: DoctorOptions) -> int:
    """Run the checks, print each result when it is known, and return the exit code of the worst."""
    configure_logs(config.log_level, config.log_format)
    try:
        results = asyncio.run(_run(config, options))
    except StoreError as error:
        results = [CheckResult("configuration", SEVERITIES[error.kind], str(error))]
        if not options.is_json:
            _print(results[0])
    code = exit_code_for_results(results)
    if options.is_json:
        print(json.dumps({"exit_code": int(code), "results": [asdict(result) for result in results]}, indent=2))
    else:
        failures = sum(result.severity.is_failure for result in results)
        summary = f"{failures} of {len(results)} checks failed" if failures else "no problems found"
        print(colored(summary, "red" if failures else "green", attrs=["bold"]))
    return code


def exit_code_for_results(results: Sequence[CheckResult]) -> ExitCode:
    """Return the exit code of the worst result. Warnings alone exit with 0."""
    order = list(Severity)
    return _EXIT_CODES.get(max((result.severity for result in results), key=order.index), ExitCode.OK)


async def _run(config: Config, options: DoctorOptions) -> list[CheckResult]:
    results = []
    async with open_bucket(config) as bucket:
        context = CheckContext(
            bucket,
            open_bucket_configuration(config.region, config.bucket, bucket.http),
            config.policy,
            config.region,
            options.programs,
            options.origin,
            lambda: datetime.now(UTC),
            config.deletes,
        )
        async with aclosing(run_checks(context)) as checks:
            async for result in checks:
                results.append(result)
                if not options.is_json:
                    _print(result)
    return results


def _print(result: CheckResult) -> None:
    symbol, colour = _SYMBOLS.get(result.severity, _FAILURE)
    message = result.message if result.severity is Severity.OK else colored(result.message, colour)
    print(f"{colored(symbol, colour)} {result.check}: {message}")
    if result.remediation:
        print(colored(f"  → {result.remediation}", attrs=["bold"]))
