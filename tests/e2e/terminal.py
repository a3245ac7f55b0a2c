"""A terminal into which commands are pasted, as operators do."""

import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.e2e.cluster import CommandError
from tests.support.printed_commands import ROOT

_END: Final = "--- end of the pasted commands ---"
# Each command that fails is recorded with its exit code. The commands after it run, as they would in a terminal.
_SETUP: Final = r"""
set -E -o pipefail
failures=
record() { failures+="$1 $2"$'\n'; }
trap 'record $? "$BASH_COMMAND"' ERR
"""
_REPORT: Final = f"""printf '\\n%s\\n' '{_END}' "$failures" '{_END}'; failures=\n"""


@dataclass(frozen=True, slots=True)
class PasteResult:
    """The output of pasted commands, and those that failed."""

    output: str
    failures: list[str] = field(default_factory=list)
    """Exit code and command of each failure."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """One bash process in the project's folder. Variables and functions stay, as in a terminal."""

    process: subprocess.Popen[str]
    environment: Mapping[str, str]
    second_terminals: ExitStack
    """The port-forwards, which run until the terminal is closed."""

    def paste(self, text: str, seconds: float = 240) -> PasteResult:
        """Paste the text; return when its last command has ended. A port-forward runs in a second terminal."""
        lines = text.splitlines(keepends=True)
        for line in lines:
            if " port-forward " in line:
                self.second_terminals.enter_context(_forwarding(line, self.environment))
        return self._run("".join(line for line in lines if " port-forward " not in line), seconds)

    def _run(self, text: str, seconds: float) -> PasteResult:
        assert self.process.stdin
        assert self.process.stdout
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(f"{text}\n{_REPORT}")
            self.process.stdin.flush()
            output, failures = self._read_until_end(), self._read_until_end()
        finally:
            watchdog.cancel()
        if self.process.poll() is not None:
            raise CommandError(f"did not end within {seconds:g} s: {text}\n{output}{failures}")
        return PasteResult(output, [line for line in failures.splitlines() if line])

    def _read_until_end(self) -> str:
        assert self.process.stdout
        lines = []
        for line in self.process.stdout:
            if line == f"{_END}\n":
                break
            lines.append(line)
        return "".join(lines)


@contextmanager
def _forwarding(command: str, environment: Mapping[str, str]) -> Iterator[None]:
    with subprocess.Popen(  # noqa: S603
        shlex.split(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            if not line.startswith("Forwarding from"):
                raise CommandError(f"{command}: {line}{process.stdout.read()}")
            yield
        finally:
            process.terminate()


@contextmanager
def open_terminal(environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Open a terminal with these variables."""
    with (
        ExitStack() as second_terminals,
        subprocess.Popen(
            ["bash", "--norc"],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment,
        ) as process,
    ):
        terminal = Terminal(process, environment, second_terminals)
        try:
            terminal.paste(_SETUP)
            yield terminal
        finally:
            process.kill()


def write_helm(folder: Path, helm: str, values: Mapping[str, str]) -> None:
    """Write a program `helm` into the folder that adds these values to each install and upgrade."""
    flags = shlex.join(["--set-string", ",".join(f"{name}={value}" for name, value in values.items())])
    program = folder / "helm"
    program.write_text(
        f'#!/bin/sh\ncase "$1" in install | upgrade) set -- "$@" {flags} ;; esac\nexec {shlex.quote(helm)} "$@"\n'
    )
    program.chmod(0o755)
