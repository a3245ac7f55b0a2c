"""`assetuploader doctor`: what is wrong with the bucket, the credentials or the store, and what to do about it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.text import Text

from assetstore.doctor.examine import Patient, examine
from assetstore.doctor.findings import Finding, Level
from assetstore.doctor.programs import Program
from assetstore.doctor.settings import open_settings
from assetstore.errors import StoreMisconfiguredError
from assetstore.protocol import Rules
from cli.config import Config
from cli.logs import configure_logs
from cli.open import open_bucket
from reconciler.exits import Exit

_SIGNS: Final[Mapping[Level, tuple[str, str]]] = {
    Level.GOOD: ("✓", "green"),
    Level.SKIPPED: ("-", "dim"),
    Level.WARNING: ("!", "yellow"),
    Level.BROKEN: ("✗", "red"),
    Level.MISCONFIGURED: ("✗", "red"),
    Level.DENIED: ("✗", "red"),
    Level.UNAVAILABLE: ("✗", "red"),
}
_EXITS: Final[Mapping[Level, Exit]] = {
    Level.GOOD: Exit.OK,
    Level.SKIPPED: Exit.OK,
    Level.WARNING: Exit.OK,
    Level.BROKEN: Exit.SOME_FAILED,
    Level.MISCONFIGURED: Exit.CONFIG,
    Level.DENIED: Exit.DENIED,
    Level.UNAVAILABLE: Exit.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line."""

    programs: frozenset[Program]
    origin: str | None
    is_json: bool


def doctor(config: Config, request: Request, console: Console) -> int:
    """Examine, print each finding as it is found; the exit code of the worst."""
    configure_logs(config.log_level, config.log_format)
    try:
        findings = asyncio.run(_examine(config, request, console))
    except StoreMisconfiguredError as error:
        findings = [Finding("configuration", Level.MISCONFIGURED, str(error))]
        if not request.is_json:
            _print(findings[0], console)
    code = exit_for(findings)
    if request.is_json:
        told = {"exit_code": int(code), "findings": [asdict(finding) for finding in findings]}
        console.print_json(json.dumps(told))
    else:
        bad = sum(finding.level.is_bad for finding in findings)
        verdict = f"{bad} of {len(findings)} checks found something to mend" if bad else "nothing to mend"
        console.print(Text(verdict, "bold red" if bad else "bold green"))
    return code


def exit_for(findings: Sequence[Finding]) -> Exit:
    """The exit code that the worst finding stands for; warnings alone are 0."""
    order = list(Level)
    return _EXITS[max((finding.level for finding in findings), key=order.index)]


async def _examine(config: Config, request: Request, console: Console) -> list[Finding]:
    bucket = open_bucket(config)
    patient = Patient(
        bucket,
        open_settings(config.region, config.bucket),
        Rules(config.upload_url_seconds, config.grace_seconds, config.unmarked_seconds),
        config.region,
        request.programs,
        request.origin,
        lambda: datetime.now(UTC),
    )
    findings = []
    try:
        async with aclosing(examine(patient)) as found:
            async for finding in found:
                findings.append(finding)
                if not request.is_json:
                    _print(finding, console)
    finally:
        await bucket.close()
    return findings


def _print(finding: Finding, console: Console) -> None:
    sign, style = _SIGNS[finding.level]
    console.print(
        Text.assemble((sign, style), f" {finding.check}: ", (finding.says, style if style != "green" else ""))
    )
    if finding.to_do:
        console.print(Text(f"  → {finding.to_do}", "bold"))
