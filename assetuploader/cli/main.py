"""The command line: arguments, and which command they start."""

import argparse
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, NoReturn
from urllib.parse import urlsplit

from assetuploader.cli.config import Config, ConfigError, read_config
from assetuploader.cli.exit_codes import ExitCode
from assetuploader.inspection import AssetPhase
from assetuploader.keys import is_asset_id

_EXAMPLES: Final = """\
examples:
  assetuploader serve --region eu-west-1 --bucket my-assets
  assetuploader reconcile --dry-run
  assetuploader doctor --origin https://app.example.com
  assetuploader ls --overdue
  assetuploader selftest http://127.0.0.1:8080

All other settings are environment variables: see docs/configuration.md.
"""


LISTABLE_PHASES: Final = {
    AssetPhase.OVERDUE: "only assets that are due and not final yet",
    AssetPhase.WAITING: "only assets that wait for their mark, their bytes, or the time when they are due",
    AssetPhase.EXPIRED: "only assets that expired, or expire in the next run",
    AssetPhase.ORPHANED: "only bytes without an asset, with their age and when they are deleted",
}


class _Parser(argparse.ArgumentParser):
    """A parser that shows the usage and exits with EX_USAGE after a mistake."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(ExitCode.USAGE, f"{self.prog}: {message}\nTry {self.prog} --help\n")


def main() -> NoReturn:
    """Run the command line of this process."""
    # A Secret made with `echo` ends in a line break. boto3 reads the environment, too, so it is corrected there.
    for name, text in list(os.environ.items()):
        if text != text.strip():
            os.environ[name] = text.strip()
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command; return its exit code."""
    args = _build_parser().parse_args(arguments)
    if args.command == "selftest":
        from assetuploader.cli.selftest import selftest

        return selftest(args.url, args.connect_to)
    flags = {"AWS_REGION": args.region, "AWS_BUCKET": args.bucket}
    try:
        config = read_config({**environment, **{name: text for name, text in flags.items() if text is not None}})
    except ConfigError as error:
        from assetuploader.s3.bucket import find_credential_problems

        return _print_config_errors([*error.problems, *find_credential_problems()])
    # Imported modules are never garbage. Collecting while they load takes 20 % of a start, and scanning them slows
    # every later collection.
    gc.disable()
    try:
        start = _import_command(args)
    finally:
        gc.freeze()
        gc.enable()
    return start(config)


def _import_command(args: argparse.Namespace) -> Callable[[Config], int]:
    """Return the command. Only its own modules are imported, because the CronJob starts one every minute."""
    match args.command:
        case "serve":
            from assetuploader.cli.serve import serve

            return partial(serve, host=args.host, port=args.port, metrics_port=args.metrics_port)
        case "reconcile":
            from assetuploader.cli.reconcile import reconcile

            return partial(reconcile, dry_run=args.dry_run)
        case "doctor":
            from assetuploader.cli.doctor import DoctorOptions, doctor
            from assetuploader.doctor.checks import Program

            options = DoctorOptions(frozenset(map(Program, args.program or Program)), args.origin, args.json)
            return partial(doctor, options=options)
        case "status":
            from assetuploader.cli.inspect import status

            return partial(status, asset_id=args.id, is_json=args.json)
        case _:
            from assetuploader.cli.inspect import ListOptions, ls

            phases = frozenset(phase for phase in LISTABLE_PHASES if getattr(args, phase.value))
            return partial(ls, options=ListOptions(phases or frozenset(AssetPhase), args.json))


def _print_config_errors(problems: Sequence[str]) -> int:
    for problem in problems:
        print(f"assetuploader: {problem}", file=sys.stderr)  # noqa: T201 -- the logs are not configured yet
    return ExitCode.CONFIG


def _build_parser() -> argparse.ArgumentParser:
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

    serve_parser = commands.add_parser("serve", parents=[bucket], help="serve the HTTP API")
    serve_parser.add_argument("--host", default="::", help="the address to listen on (default: all, of IPv6 and IPv4)")
    serve_parser.add_argument("--port", type=_port, default=8080, help="the API's port (default: 8080)")
    serve_parser.add_argument("--metrics-port", type=_port, default=9090, help="the metrics' port (default: 9090)")

    reconcile_parser = commands.add_parser(
        "reconcile", parents=[bucket], help="finalize what is due, once, as the CronJob does"
    )
    reconcile_parser.add_argument("--dry-run", action="store_true", help="report what a run would do, without writing")

    doctor_parser = commands.add_parser(
        "doctor", parents=[bucket], help="check the bucket, the credentials and the store"
    )
    doctor_parser.add_argument(
        "--program",
        action="append",
        choices=["service", "reconciler"],
        help="whose permissions to check; may be given twice (default: both)",
    )
    doctor_parser.add_argument(
        "--origin", help="the origin of browser uploads, as in https://app.example.com: check CORS, too"
    )
    doctor_parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a line for each check"
    )

    status_parser = commands.add_parser(
        "status", parents=[bucket], help="show the state of one asset, and what happens next"
    )
    status_parser.add_argument("id", metavar="ID", type=_asset_id, help="the asset's id")
    status_parser.add_argument("--json", action="store_true", help="print one JSON object")

    ls_parser = commands.add_parser("ls", parents=[bucket], help="list the assets that have bytes in temp/")
    for phase, description in LISTABLE_PHASES.items():
        ls_parser.add_argument(f"--{phase.value}", action="store_true", help=description)
    ls_parser.add_argument("--json", action="store_true", help="print one JSON object per line")

    selftest_parser = commands.add_parser(
        "selftest", help="create, upload, mark and download one asset with a running service"
    )
    selftest_parser.add_argument(
        "url", type=_url, metavar="URL", help="the URL of the service, as in http://127.0.0.1:8080"
    )
    selftest_parser.add_argument(
        "--connect-to",
        type=_address,
        metavar="HOST:PORT",
        help="connect to S3 at this address, whatever host its URLs name",
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
    try:
        parts = urlsplit(text)
    except ValueError:  # an address in brackets that is none
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL as in http://127.0.0.1:8080")
    return text


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), _port(port)
