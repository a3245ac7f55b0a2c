"""`assetuploader status ID` and `assetuploader ls`: how assets stand. Both only read."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from assetstore.door import Bucket
from assetstore.errors import StoreError
from assetstore.looking import Seen, look_at, look_over
from assetstore.prognosis import Kind
from assetstore.protocol import Rules, spell_instant
from cli.config import Config
from cli.logs import configure_logs
from cli.open import open_bucket
from reconciler.exits import Exit, exit_on

Tell = Callable[[Bucket, Rules], Coroutine[Any, Any, int]]
"""Looks, prints, and answers the exit code."""

_COLOURS: Final = {
    Kind.FINAL: "green",
    Kind.WAITING: "cyan",
    Kind.OVERDUE: "bold red",
    Kind.EXPIRED: "yellow",
    Kind.UNKNOWN: "red",
}
_HEADING: Final = f"{'ASSET':36}  {'KIND':8}  {'STATUS':8}  {'PINNED':6}  {'AT':20}  WHAT COMES NEXT"


@dataclass(frozen=True, slots=True)
class Look:
    """What was asked for on the command line."""

    kinds: frozenset[Kind]
    is_json: bool


def status(config: Config, asset_id: str, console: Console, *, is_json: bool) -> int:
    """Tell one asset's state, its history as far as S3 tells it, and what comes next; the exit code."""

    async def tell(bucket: Bucket, rules: Rules) -> int:
        seen = await look_at(bucket.door, asset_id, rules)
        if is_json:
            console.print_json(json.dumps(_values(seen)))
        else:
            _print_story(seen, console)
        return Exit.OK if seen.placeholder else Exit.SOME_FAILED

    return _ask(config, tell, console)


def ls(config: Config, look: Look, console: Console) -> int:
    """List the assets that have bytes in `temp/`, as they come in; the exit code."""

    async def tell(bucket: Bucket, rules: Rules) -> int:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        watching = Console(stderr=True)
        looked_at = shown = 0
        if not look.is_json:
            console.print(_HEADING, style="bold")
        with Progress(*columns, console=watching, transient=True, disable=not watching.is_terminal) as progress:
            task = progress.add_task("listing temp/")
            async with aclosing(look_over(bucket.door, rules)) as found:
                async for seen in found:
                    looked_at += 1
                    if seen.prognosis.kind in look.kinds:
                        shown += 1
                        console.print(
                            json.dumps(_values(seen)) if look.is_json else _row(seen), markup=not look.is_json
                        )
                    progress.update(task, description=f"{looked_at:,} looked at, {shown:,} shown")
        return Exit.OK

    return _ask(config, tell, console)


def _ask(config: Config, tell: Tell, console: Console) -> int:
    configure_logs(config.log_level, config.log_format)
    try:
        rules = Rules(config.upload_url_seconds, config.grace_seconds, config.unmarked_seconds)
        return asyncio.run(_tell_and_close(open_bucket(config), rules, tell))
    except StoreError as error:
        console.print(f"[red]✗[/red] {escape(str(error))}")
        return exit_on(error)


async def _tell_and_close(bucket: Bucket, rules: Rules, tell: Tell) -> int:
    try:
        return await tell(bucket, rules)
    finally:
        await bucket.close()


def _print_story(seen: Seen, console: Console) -> None:
    colour = _COLOURS[seen.prognosis.kind]
    console.print(f"asset    {seen.asset_id}")
    console.print(f"now      {spell_instant(seen.now)} (S3's clock)")
    if (placeholder := seen.placeholder) is not None:
        state = placeholder.state
        console.print(
            f"status   [{colour}]{state.status.value}[/{colour}] since {spell_instant(placeholder.written_at)}"
        )
        console.print(f"expiry   {spell_instant(state.expires_at)}: the upload URL's end")
        console.print(f"pin      {state.pin or 'none'}")
    if (upload := seen.upload) is not None:
        console.print(f"temp/    {upload.size} bytes, ETag {upload.etag}, since {spell_instant(upload.last_modified)}")
    else:
        console.print("temp/    nothing")
    at = f" ({spell_instant(seen.prognosis.at)})" if seen.prognosis.at else ""
    console.print(f"next     [{colour}]{seen.prognosis.says}[/{colour}]{at}")


def _row(seen: Seen) -> str:
    kind = seen.prognosis.kind
    state = seen.placeholder.state if seen.placeholder else None
    status_ = state.status.value if state else "-"
    pinned = "yes" if state and state.pin else "no"
    at = spell_instant(seen.prognosis.at) if seen.prognosis.at else "-"
    colour = _COLOURS[kind]
    return (
        f"{seen.asset_id}  [{colour}]{kind.value:8}[/{colour}]  {status_:8}  {pinned:6}  {at:20}  {seen.prognosis.says}"
    )


def _values(seen: Seen) -> dict[str, Any]:
    placeholder, upload = seen.placeholder, seen.upload
    return {
        "id": seen.asset_id,
        "now": spell_instant(seen.now),
        "kind": seen.prognosis.kind.value,
        "next": seen.prognosis.says,
        "at": spell_instant(seen.prognosis.at) if seen.prognosis.at else None,
        "status": placeholder.state.status.value if placeholder else None,
        "status_since": spell_instant(placeholder.written_at) if placeholder else None,
        "expires_at": spell_instant(placeholder.state.expires_at) if placeholder else None,
        "pin": placeholder.state.pin if placeholder else None,
        "upload": {"bytes": upload.size, "etag": upload.etag, "since": spell_instant(upload.last_modified)}
        if upload
        else None,
    }
