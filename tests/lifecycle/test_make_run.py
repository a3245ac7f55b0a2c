"""`make run`, at a terminal: the whole product by one command, and Ctrl-C."""

import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import urllib3

from dev.seaweedfs import HOST, free_port
from tests.support.product import await_until

ROOT = Path(__file__).parents[2]
CTRL_C = b"\x03"


@dataclass(slots=True)
class Terminal:
    """A terminal in which a command runs."""

    process: "subprocess.Popen[bytes]"
    keyboard: int
    shown: str = ""

    def await_text(self, text: str) -> None:
        """Wait until this has been shown."""
        await_until(
            f"{text!r} is shown, after {self.shown[-500:]!r}",
            lambda: text in self.shown or self.process.poll() is not None,
            60,
        )
        assert text in self.shown, self.shown

    def processes(self) -> list[psutil.Process]:
        """Return the command's process and all that it started."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]


@contextmanager
def _terminal(*command: str, **settings: str) -> Iterator[Terminal]:
    keyboard, screen = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ASSETUPLOADER_"))}
    with subprocess.Popen(  # noqa: S603 -- our own command
        ["setsid", "--ctty", "--wait", *command],  # noqa: S607 -- of util-linux: Ctrl-C reaches the terminal's session
        cwd=ROOT,
        env={**environment, **settings},
        stdin=screen,
        stdout=screen,
        stderr=screen,
    ) as process:
        os.close(screen)
        terminal = Terminal(process, keyboard)
        reader = threading.Thread(target=_read, args=(terminal,))
        reader.start()
        try:
            yield terminal
        finally:
            if process.poll() is None:  # the test has failed
                for left_over in terminal.processes():
                    left_over.kill()
            reader.join()
            os.close(keyboard)


def _read(terminal: Terminal) -> None:
    while True:
        try:
            read = os.read(terminal.keyboard, 65_536)
        except OSError:  # Linux reports that the other end of the terminal is closed
            return
        terminal.shown += read.decode(errors="replace").replace("\r\n", "\n")


def test_make_run_is_the_whole_product_and_ctrl_c_leaves_nothing_behind() -> None:
    """It takes our settings, the commands that it prints work as they are, and Ctrl-C ends every process."""
    ports = {name: str(free_port()) for name in ("PORT", "METRICS_PORT", "S3_PORT")}
    command = ["make", "run", *(f"{name}={port}" for name, port in ports.items())]
    with _terminal(*command, ASSETUPLOADER_UPLOAD_URL_TTL_SECONDS="1234") as terminal:
        terminal.await_text(": complete in")
        created = urllib3.request("POST", f"http://{HOST}:{ports['PORT']}/asset").json()
        commands = terminal.shown[terminal.shown.index("  # 1. create") : terminal.shown.index("API: http")]
        pasted = subprocess.run(  # noqa: S603 -- what we printed
            ["bash", "-euo", "pipefail", "-c", commands],  # noqa: S607 -- as a person would
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        processes = terminal.processes()
        arguments = {
            argument
            for process in processes
            if process.status() != psutil.STATUS_ZOMBIE
            for argument in process.cmdline()
        }
        os.write(terminal.keyboard, CTRL_C)
        gone, alive = psutil.wait_procs(processes, 20)

    assert (pasted.returncode, pasted.stdout.splitlines()[-1:], pasted.stderr) == (0, ["the same bytes"], "")
    assert {"serve", "mini"} <= arguments
    assert "X-Amz-Expires=1234" in created["upload_url"]
    assert (len(gone), alive) == (len(processes), [])
    assert "make run: stopping" in terminal.shown
    assert "Traceback" not in terminal.shown
    for port in ports.values():
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((HOST, int(port)))


@pytest.mark.parametrize("name", ["port", "metrics-port", "s3-port"])
def test_a_taken_port_is_named_with_the_way_out(name: str) -> None:
    """Before anything is started, the message names the port and how to choose another."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        flags = {flag: str(free_port()) for flag in ("port", "metrics-port", "s3-port")} | {name: str(port)}
        done = subprocess.run(  # noqa: S603 -- our own
            [
                sys.executable,
                "-m",
                "dev.run",
                *(part for flag, value in flags.items() for part in (f"--{flag}", value)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    variable = name.upper().replace("-", "_")
    assert done.returncode == 1
    assert re.search(rf"make run: cannot use port {port} \(.*Address already in use\): ", done.stderr)
    assert done.stderr.strip().endswith(f"choose another, as in make run {variable}={port + 1}")
