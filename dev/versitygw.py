"""A second real S3 server on loopback: versitygw, built with Go, with its data in a temporary folder.

Its conditional PutObject and CompleteMultipartUpload are atomic against each other, and those of SeaweedFS are not.
Its CopyObject ignores If-Match, so it does not conform, and the programs refuse to start on it.
`python -m dev.versitygw` builds it.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev.seaweedfs import ACCESS_KEY, HOST, REGION, SECRET_KEY, DevServerError, LocalS3, running_server

VERSION: Final = "v1.8.0"
BUILD_SECONDS: Final = 600.0
"""The longest time to download and build it. Usually it takes a minute or two."""

_PACKAGE: Final = f"github.com/versity/versitygw/cmd/versitygw@{VERSION}"
_CACHE: Final = Path(__file__).parents[1] / ".cache" / "versitygw"
_PROGRAM: Final = _CACHE / f"versitygw-{VERSION}"


class VersitygwNotInstallableError(DevServerError):
    """Go is not installed, or cannot download versitygw. Tests that need it are skipped."""


@contextmanager
def running_versitygw(port: int, bucket: str) -> Iterator[LocalS3]:
    """Run versitygw with a bucket on this port of loopback; stop it and delete its data at the end.

    Raises:
        VersitygwNotInstallableError: It is not built yet, and cannot be downloaded.
        DevServerError: It cannot be built, or did not start.
    """
    program = install()
    parent = _folder_with_extended_attributes()
    prefix = "assetuploader-versitygw-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        data.mkdir()
        command = [str(program), "--port", f"{HOST}:{port}", "--region", REGION, "--keep-alive", "posix", str(data)]
        # Nothing else of this environment: some of versitygw's variables have names as general as LOGFILE.
        environment = {"ROOT_ACCESS_KEY_ID": ACCESS_KEY, "ROOT_SECRET_ACCESS_KEY": SECRET_KEY}
        log_path = Path(folder, "versitygw.log")
        with running_server("versitygw", command, environment, log_path, f"http://{HOST}:{port}", bucket) as server:
            yield server


def install() -> Path:
    """Build versitygw unless that is done; return the program.

    Raises:
        VersitygwNotInstallableError: Go is not installed, or cannot download it.
        DevServerError: It cannot be built.
    """
    if _PROGRAM.exists():
        return _PROGRAM
    _CACHE.mkdir(parents=True, exist_ok=True)
    with Path(_CACHE, "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest's workers ask for it at the same time
        if not _PROGRAM.exists():
            _build()
    return _PROGRAM


def _build() -> None:
    go = shutil.which("go")
    if go is None:
        raise VersitygwNotInstallableError("versitygw is not built, and go, which builds it, is not on the PATH")
    # -n downloads everything that the build needs, and builds nothing.
    if error := _go_error(go, "install", "-n", _PACKAGE):
        changed = "SECURITY ERROR" in error  # another content than Go's checksum database knows
        raise (DevServerError if changed else VersitygwNotInstallableError)(f"go cannot download {_PACKAGE}: {error}")
    if error := _go_error(go, "install", _PACKAGE):
        raise DevServerError(f"go cannot build {_PACKAGE}: {error}")
    (_CACHE / "versitygw").rename(_PROGRAM)  # at once: no other process sees a part of it


def _go_error(go: str, *arguments: str) -> str | None:
    """Run go; return what it says if it fails."""
    command, environment = [go, *arguments], os.environ | {"GOBIN": str(_CACHE)}
    try:
        done = subprocess.run(  # noqa: S603 -- from the PATH
            command, env=environment, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS / 2
        )
    except subprocess.TimeoutExpired as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.splitlines() if not line.startswith("go: downloading ")]
    return "\n".join(lines) or f"exit code {done.returncode}"


def _folder_with_extended_attributes() -> Path:
    """Return a folder whose file system has extended attributes, in which versitygw keeps metadata and tags.

    Raises:
        DevServerError: There is none.
    """
    folders = (Path(tempfile.gettempdir()), _CACHE)
    for folder in folders:
        if _has_extended_attributes(folder):
            return folder
    raise DevServerError(
        f"versitygw needs a file system with extended attributes, and {' and '.join(map(str, folders))} are on none:"
        " let TMPDIR name a folder that is"
    )


def _has_extended_attributes(folder: Path) -> bool:
    if sys.platform != "linux":
        return True  # Python cannot ask there. versitygw asks too, and says so in its log.
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, "user.assetuploader", b"")
        except OSError:
            return False
    return True


def main() -> int:
    """Build versitygw before the tests that need it; return the exit code."""
    try:
        install()
    except VersitygwNotInstallableError as error:
        print(f"tests on versitygw are skipped: {error}", file=sys.stderr)  # noqa: T201
    except DevServerError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
