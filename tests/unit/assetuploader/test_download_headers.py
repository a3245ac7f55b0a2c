"""The headers of a download, for anything that a client may have sent with its upload."""

import re
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assetuploader.download_headers import download_headers, safe_name

NAMES = {
    "attachment": None,
    "": None,
    "inline": None,
    'attachment; filename="report.pdf"': "report.pdf",
    "attachment; filename=report.pdf": "report.pdf",
    "inline; filename=page.html": "page.html",
    'attachment; FILENAME="a b.txt"': "a b.txt",
    r'attachment; filename="a\"b.txt"': "a_b.txt",
    "attachment; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt": "naïve €.txt",
    "attachment; filename=\"naive.txt\"; filename*=UTF-8''na%C3%AFve.txt": "naïve.txt",
    "attachment; filename*=iso-8859-1'en'%A3.txt": "£.txt",
    'attachment; filename="../../etc/passwd"': "passwd",
    'attachment; filename="C:\\\\Windows\\\\evil.exe"': "evil.exe",
    'attachment; filename=".htaccess"': "htaccess",
    'attachment; filename="a%2Fb%22.txt"': "a%2Fb%22.txt",
    "attachment; filename*=UTF-8''a%0D%0ASet-Cookie:x.txt": "aSet-Cookie_x.txt",
    "attachment; filename*=UTF-8''%E2%80%AEgpj.exe": "gpj.exe",
    "attachment; filename*=UTF-8''%2F..%2F": None,
    "attachment; filename*=UTF-8''%EF%BC%8Fetc.txt": "\uff0fetc.txt",
    "attachment; filename*=no-charset''a.txt": "a.txt",
    "attachment; filename*=idna''%ff": None,
    "attachment; filename*" + "9" * 5000 + "=a": None,
    f'attachment; filename="{"x" * 300}.tar"': "x" * 196 + ".tar",
    f"attachment; filename*=UTF-8''{'%E2%82%AC' * 100}.txt": "€" * 65 + ".txt",
    f'attachment; filename="x.{"y" * 300}"': "x." + "y" * 198,
    'attachment; filename="..."': None,
}


@pytest.mark.parametrize("uploaded", NAMES)
def test_a_file_keeps_its_name_as_far_as_it_is_safe(uploaded: str) -> None:
    """The name is the last part of the path, without control characters and what some file systems forbid."""
    assert (
        _parse_saved_name(download_headers({"content-disposition": uploaded}, 60)["content-disposition"])
        == NAMES[uploaded]
    )


def test_a_name_outside_ascii_has_a_fallback() -> None:
    """Clients without `filename*` use `filename` (RFC 6266). It has no percent sign, which some of them decode."""
    uploaded = "attachment; filename*=UTF-8''na%C3%AFve%20100%25%20%E2%82%AC.txt"
    assert download_headers({"content-disposition": uploaded}, 60)["content-disposition"] == (
        "attachment; filename=\"naive 100_ _.txt\"; filename*=UTF-8''na%C3%AFve%20100%25%20%E2%82%AC.txt"
    )


@pytest.mark.parametrize(
    ("uploaded", "replaced"),
    [
        (None, None),
        ("gzip", None),
        ("br", None),
        ("gzip, br", None),
        ("aws-chunked", "identity"),
        ("aws-chunked,gzip", "gzip"),
        ("GZIP", "gzip"),
        ("compress", "identity"),
        ("gzip, dcb", "identity"),
        ("x\x7f", "identity"),
        ("identity", "identity"),
    ],
)
def test_only_codings_that_browsers_decode_are_kept(uploaded: str | None, replaced: str | None) -> None:
    """The URL replaces all others; a coding that is kept is not in it."""
    stored = {} if uploaded is None else {"content-encoding": uploaded}
    assert download_headers(stored, 60).get("content-encoding") == replaced


def test_no_cache_keeps_a_download_longer_than_its_url_lives() -> None:
    """The client's cache headers are replaced, because only the URL protects the bytes."""
    stored = {"cache-control": "public, max-age=31536000", "expires": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert download_headers(stored, 7)["cache-control"] == "private, max-age=7"


@given(st.text(st.characters(max_codepoint=255)) | st.text().map(lambda text: f'attachment; filename="{text}"'))
def test_no_upload_breaks_the_headers_of_a_download(text: str) -> None:
    """Values are printable ASCII of bounded length, and always an attachment."""
    headers = download_headers(dict.fromkeys(("content-disposition", "content-encoding"), text), 60)
    for value in headers.values():
        assert value.isascii()
        assert value.isprintable()
        assert len(value) < 1000
    name = _parse_saved_name(headers["content-disposition"])
    assert re.match(r"attachment(;|$)", headers["content-disposition"])
    assert name is None or name == safe_name(name)


@given(st.text())
def test_a_safe_name_stays_as_it_is(name: str) -> None:
    """A name that is safe already is not changed."""
    safe = safe_name(name)
    assert safe_name(safe) == safe
    assert not re.search(r"[/\\\x00-\x1f<>:\"|?*]", safe)
    assert len(safe.encode()) <= 200


def _parse_saved_name(disposition: str) -> str | None:
    """Return the name under which a browser saves the file. It is not the parser of the code under test."""
    extended = re.search(r"filename\*=UTF-8''([^;]+)$", disposition)
    message = EmailMessage()
    message["Content-Disposition"] = f"attachment; filename*=UTF-8''{extended[1]}" if extended else disposition
    return message.get_filename()
