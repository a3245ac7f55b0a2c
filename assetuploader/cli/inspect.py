"""`assetuploader status ID` and `assetuploader ls`: print the states of assets. Both only read."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from termcolor import colored
from tqdm import tqdm

from assetuploader.cli.config import Config
from assetuploader.cli.exit_codes import ExitCode, exit_code_for
from assetuploader.cli.logs import configure_logs
from assetuploader.cli.progress import BAR_FORMAT
from assetuploader.cli.wiring import open_bucket
from assetuploader.errors import StoreError
from assetuploader.inspection import AssetInspection, AssetPhase, inspect_asset, inspect_uploads
from assetuploader.keys import format_timestamp
from assetuploader.store import Bucket

_COLOURS: Final = {
    AssetPhase.FINAL: "green",
    AssetPhase.WAITING: "cyan",
    AssetPhase.OVERDUE: "red",
    AssetPhase.EXPIRED: "yellow",
    AssetPhase.ORPHANED: "yellow",
    AssetPhase.UNKNOWN: "red",
}
_HEADING: Final = f"{'ASSET':36}  {'PHASE':8}  {'STATUS':8}  {'PINNED':6}  {'AT':20}  WHAT HAPPENS NEXT"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of `ls`."""

    phases: frozenset[AssetPhase]
    is_json: bool


def status(config: Config, asset_id: str, *, is_json: bool) -> int:
    """Print one asset's state and what happens next; return the exit code."""

    async def run(bucket: Bucket) -> int:
        inspection = await inspect_asset(bucket.store, asset_id, config.policy)
        if is_json:
            print(json.dumps(_to_json(inspection), indent=2))
        else:
            _print_asset(inspection)
        return ExitCode.OK if inspection.placeholder else ExitCode.PARTIAL_FAILURE

    return _run(config, run)


def ls(config: Config, options: ListOptions) -> int:
    """List the assets that have bytes in `temp/`, page by page; return the exit code."""

    async def run(bucket: Bucket) -> int:
        inspected = shown = 0
        if not options.is_json:
            print(colored(_HEADING, attrs=["bold"]))
        with tqdm(desc="listing temp/", bar_format=BAR_FORMAT, leave=False, disable=None) as progress:
            async with aclosing(inspect_uploads(bucket.store, config.policy)) as inspections:
                async for inspection in inspections:
                    inspected += 1
                    if inspection.next_step.phase in options.phases:
                        shown += 1
                        line = json.dumps(_to_json(inspection)) if options.is_json else _format_row(inspection)
                        tqdm.write(line)
                    progress.set_description_str(f"{inspected:,} inspected, {shown:,} shown", refresh=False)
                    progress.update()
        return ExitCode.OK

    return _run(config, run)


def _run(config: Config, command: Callable[[Bucket], Coroutine[Any, Any, int]]) -> int:
    configure_logs(config.log_level, config.log_format)

    async def run() -> int:
        async with open_bucket(config) as bucket:
            return await command(bucket)

    try:
        return asyncio.run(run())
    except StoreError as error:
        print(colored("✗", "red"), error)
        return exit_code_for(error)


def _print_asset(inspection: AssetInspection) -> None:
    next_step = inspection.next_step
    colour = _COLOURS[next_step.phase]
    print(f"asset    {inspection.asset_id}")
    print(f"now      {format_timestamp(inspection.now)} (S3's clock)")
    if (placeholder := inspection.placeholder) is not None:
        state = placeholder.state
        since = format_timestamp(placeholder.last_modified)
        print(f"status   {colored(state.status.value, colour)} since {since}")
        print(f"upload   until {format_timestamp(state.upload_expires_at)}, when the upload URL expires")
        print(f"pin      {state.pin or 'none'}")
    if (upload := inspection.upload) is not None:
        since = format_timestamp(upload.last_modified)
        print(f"temp/    {upload.size} bytes, ETag {upload.etag}, since {since}")
    else:
        print("temp/    nothing")
    at = f" ({format_timestamp(next_step.at)})" if next_step.at else ""
    print(f"next     {colored(next_step.message, colour)}{at}")


def _format_row(inspection: AssetInspection) -> str:
    next_step = inspection.next_step
    state = inspection.placeholder.state if inspection.placeholder else None
    status_ = state.status.value if state else "-"
    pinned = "yes" if state and state.pin else "no"
    at = format_timestamp(next_step.at) if next_step.at else "-"
    phase = colored(f"{next_step.phase.value:8}", _COLOURS[next_step.phase])
    age = f" (uploaded {_format_age(inspection.upload_age)} ago)" if inspection.upload_age is not None else ""
    return f"{inspection.asset_id}  {phase}  {status_:8}  {pinned:6}  {at:20}  {next_step.message}{age}"


def _format_age(age: timedelta) -> str:
    """Return an age in the largest unit of which it has two, as in `3 d`, `47 h`, `90 min` or `5 s`."""
    seconds = round(age.total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _to_json(inspection: AssetInspection) -> dict[str, Any]:
    placeholder, upload, next_step = inspection.placeholder, inspection.upload, inspection.next_step
    return {
        "id": inspection.asset_id,
        "now": format_timestamp(inspection.now),
        "phase": next_step.phase.value,
        "next": next_step.message,
        "at": format_timestamp(next_step.at) if next_step.at else None,
        "status": placeholder.state.status.value if placeholder else None,
        "status_since": format_timestamp(placeholder.last_modified) if placeholder else None,
        "upload_expires_at": format_timestamp(placeholder.state.upload_expires_at) if placeholder else None,
        "pin": placeholder.state.pin if placeholder else None,
        "upload": {
            "bytes": upload.size,
            "etag": upload.etag,
            "since": format_timestamp(upload.last_modified),
            "age_seconds": round((inspection.now - upload.last_modified).total_seconds()),
        }
        if upload
        else None,
    }
