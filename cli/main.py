"""The command line: what may be typed, and how each program ends."""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn

from assetstore.doctor.programs import Program
from assetstore.prognosis import Kind
from assetstore.protocol import is_asset_id
from cli.config import Config, ConfigError, read_config
from reconciler.exits import Exit

_EXAMPLES: Final = """\
examples:
  assetuploader serve --region eu-west-1 --bucket my-assets
  assetuploader reconcile --dry-run
  assetuploader doctor --origin https://app.example.com
  assetuploader ls --overdue
  assetuploader selftest http://127.0.0.1:8080

All other settings are environment variables: see the table in README.md.
"""


_LISTED: Final = {
    Kind.OVERDUE: "those that a run should have made final",
    Kind.WAITING: "those that wait for their mark, their bytes, or for being due",
    Kind.EXPIRED: "those that are given up, or will be by the next run",
}


class _Parser(argparse.ArgumentParser):
    """Ends with EX_USAGE and shows what may be typed."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\nTry {self.prog} --help\n")


def main() -> NoReturn:
    """Run the command that the process was started with."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command; the exit code."""
    given = _parser().parse_args(arguments)
    if given.command == "selftest":
        from cli.selftest import selftest

        return selftest(given.url, given.connect_to)
    flags = {"AWS_REGION": given.region, "AWS_BUCKET": given.bucket}
    try:
        config = read_config({**environment, **{name: text for name, text in flags.items() if text is not None}})
    except ConfigError as error:
        from assetstore.s3.connect import credentials_problems

        return _refuse([*error.problems, *credentials_problems()])
    # Nothing that is imported is garbage: looking for some in it takes a fifth of a start, and of all that follows.
    gc.disable()
    try:
        start = _command(given)
    finally:
        gc.freeze()
        gc.enable()
    return start(config)


def _command(given: argparse.Namespace) -> Callable[[Config], int]:
    """The command, of which only what it needs is imported: the CronJob starts every minute."""
    match given.command:
        case "serve":
            from cli.serve import serve

            return partial(serve, host=given.host, port=given.port, metrics_port=given.metrics_port)
        case "reconcile":
            from cli.reconcile import reconcile

            return partial(reconcile, dry_run=given.dry_run)
        case "doctor":
            from rich.console import Console

            from cli.doctor import Request, doctor

            request = Request(frozenset(map(Program, given.program or Program)), given.origin, given.json)
            return partial(doctor, request=request, console=Console(soft_wrap=True))
        case "status":
            from rich.console import Console

            from cli.look import status

            return partial(status, asset_id=given.id, console=Console(soft_wrap=True), is_json=given.json)
        case _:
            from rich.console import Console

            from cli.look import Look, ls

            asked = frozenset(kind for kind in _LISTED if getattr(given, kind.value))
            return partial(ls, look=Look(asked or frozenset(Kind), given.json), console=Console(soft_wrap=True))


def _refuse(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"assetuploader: {problem}", file=sys.stderr)  # noqa: T201 -- logs are not configured yet
    return Exit.CONFIG


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="assetuploader",
        description="Uploads straight to S3 that become immutable assets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    bucket = _Parser(add_help=False)
    bucket.add_argument("--region", help="the bucket's region (AWS_REGION)")
    bucket.add_argument("--bucket", help="the bucket's name (AWS_BUCKET)")

    serving = commands.add_parser("serve", parents=[bucket], help="answer the HTTP API")
    serving.add_argument("--host", default="0.0.0.0", help="the address to listen on (default: all)")  # noqa: S104
    serving.add_argument("--port", type=_port, default=8080, help="the API's port (default: 8080)")
    serving.add_argument("--metrics-port", type=_port, default=9090, help="Prometheus' port (default: 9090)")

    reconciling = commands.add_parser("reconcile", parents=[bucket], help="finalize what is due, once: the CronJob")
    reconciling.add_argument("--dry-run", action="store_true", help="say what a run would do; write nothing")

    examining = commands.add_parser("doctor", parents=[bucket], help="find out what is wrong, and what to do about it")
    examining.add_argument(
        "--program",
        action="append",
        choices=list(Program),
        help="whose permissions to try; may be given twice (default: both)",
    )
    examining.add_argument("--origin", help="where browsers upload from, as in https://app.example.com: try CORS too")
    examining.add_argument("--json", action="store_true", help="one JSON object instead of a line for each check")

    telling = commands.add_parser("status", parents=[bucket], help="how one asset stands, and what comes next")
    telling.add_argument("id", metavar="ID", type=_asset_id, help="the asset's id")
    telling.add_argument("--json", action="store_true", help="one JSON object")

    listing = commands.add_parser(
        "ls", parents=[bucket], help="the assets that have bytes in temp/, and how they stand"
    )
    for kind, what in _LISTED.items():
        listing.add_argument(f"--{kind.value}", action="store_true", help=what)
    listing.add_argument("--json", action="store_true", help="one JSON object a line")

    testing = commands.add_parser("selftest", help="take one asset through its life against a running service")
    testing.add_argument("url", type=_url, metavar="URL", help="where the service is, as in http://127.0.0.1:8080")
    testing.add_argument(
        "--connect-to",
        type=_address,
        metavar="HOST:PORT",
        help="reach S3 there, whatever host its URLs name: for a public endpoint that is not reachable from here",
    )
    return parser


def _asset_id(text: str) -> str:
    if not is_asset_id(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an asset id: a UUIDv4 in lower case")
    return text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, 1 to 65535")
    return int(text)


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL as in http://127.0.0.1:8080")
    return text


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), _port(port)
