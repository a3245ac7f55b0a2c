"""The command line, in this process."""

import re

import pytest

from assetuploader.cli.main import run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "assetuploader: the following arguments are required: COMMAND"),
        (["--nonsense"], "assetuploader: the following arguments are required: COMMAND"),
        (["reconcile", "--nonsense"], "assetuploader: unrecognized arguments: --nonsense"),
        (["reconcile", "--dry-run=x"], "assetuploader reconcile: argument --dry-run: ignored explicit argument 'x'"),
        (["serve", "--port", "0"], "assetuploader serve: argument --port: '0' is not a port, 1 to 65535"),
        (["serve", "--port", "65536"], "assetuploader serve: argument --port: '65536' is not a port, 1 to 65535"),
        (["serve", "--port", "٨٠"], "assetuploader serve: argument --port: '٨٠' is not a port, 1 to 65535"),
        (
            ["serve", "--metrics-port", "x"],
            "assetuploader serve: argument --metrics-port: 'x' is not a port, 1 to 65535",
        ),
        (["selftest"], "assetuploader selftest: the following arguments are required: URL"),
        (
            ["selftest", "127.0.0.1:8080"],
            "assetuploader selftest: argument URL: '127.0.0.1:8080' is not a URL as in http://127.0.0.1:8080",
        ),
        (
            ["selftest", "http://["],
            "assetuploader selftest: argument URL: 'http://[' is not a URL as in http://127.0.0.1:8080",
        ),
        (
            ["selftest", "http://x", "--connect-to", "y"],
            "assetuploader selftest: argument --connect-to: 'y' is not HOST:PORT",
        ),
    ],
)
def test_an_invalid_argument_exits_with_64(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last two lines name the invalid argument, and the command that shows the help."""
    with pytest.raises(SystemExit) as caught:
        run(arguments, {})

    assert caught.value.code == 64
    program, _, _ = message.partition(":")
    assert capsys.readouterr().err.splitlines()[-2:] == [message, f"Try {program} --help"]


def test_help_shows_every_command_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists the commands, each in a line of its own, and shows examples."""
    with pytest.raises(SystemExit) as caught:
        run(["--help"], {})

    output = capsys.readouterr().out
    assert caught.value.code == 0
    assert "assetuploader serve --region eu-west-1 --bucket my-assets" in output
    assert re.findall(r"^ {4}(\w+)", output, re.MULTILINE) == [
        "serve",
        "reconcile",
        "doctor",
        "status",
        "ls",
        "selftest",
    ]


@pytest.mark.parametrize("command", ["serve", "reconcile"])
def test_flags_win_over_variables_and_are_checked_like_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag replaces its variable, and a wrong flag is reported together with wrong variables."""
    environment = {"AWS_REGION": "eu-west-1", "AWS_BUCKET": "good-bucket", "ASSETUPLOADER_GRACE_SECONDS": "soon"}
    code = run([command, "--bucket", "Bad_Bucket"], environment)

    lines = capsys.readouterr().err.splitlines()
    assert code == 78
    assert lines[0].endswith("not 'Bad_Bucket'")
    assert lines[1].endswith("not 'soon'")
