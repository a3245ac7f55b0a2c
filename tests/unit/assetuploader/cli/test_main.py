"""The command line, in this process."""

import pytest

from assetuploader.cli.main import run


def _refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    with pytest.raises(SystemExit) as ended:
        run(arguments, {})
    return ended.value.code, capsys.readouterr().err.splitlines()[-2]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
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
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last lines name the invalid argument, and where to read more."""
    assert _refused(arguments, capsys) == (64, complaint)


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """The help of the command shows examples."""
    with pytest.raises(SystemExit) as ended:
        run(["--help"], {})

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "assetuploader serve --region eu-west-1 --bucket my-assets" in shown
    assert [command for command in ("serve", "reconcile", "selftest") if command not in shown] == []


@pytest.mark.parametrize("command", ["serve", "reconcile"])
def test_flags_win_over_variables_and_are_checked_like_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A flag replaces its variable: its mistakes are reported with the others'."""
    environment = {"AWS_REGION": "eu-west-1", "AWS_BUCKET": "good-bucket", "ASSETUPLOADER_GRACE_SECONDS": "soon"}
    code = run([command, "--bucket", "Bad_Bucket"], environment)

    lines = capsys.readouterr().err.splitlines()
    assert code == 78
    assert lines[0].endswith("not 'Bad_Bucket'")
    assert lines[1].endswith("not 'soon'")
