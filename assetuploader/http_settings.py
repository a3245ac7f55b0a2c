"""The settings that every HTTP client of this project shares: which CAs to trust, and which proxy to use.

They come from the variables that boto3, curl and most programs read: AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, HTTP_PROXY,
HTTPS_PROXY, ALL_PROXY and NO_PROXY, the last four in either case.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from assetuploader.errors import StoreMisconfiguredError

CONNECT_TIMEOUT_SECONDS: Final = 2.0
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The CAs to trust, and the proxies to use."""

    ca_bundle: str | None = None
    """A file or folder of CA certificates that replaces the system's; None: the system's and those of botocore."""
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str = ""
    """Hosts that are reached directly: names, domains, IP addresses and networks, each with an optional port."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], profile_ca_bundle: str | None = None) -> Self:
        """Return the settings in these variables. `profile_ca_bundle` is the `ca_bundle` of the AWS profile."""

        def read(name: str) -> str | None:
            return environment.get(name.lower()) or environment.get(name) or None

        # A CGI client controls HTTP_PROXY in upper case with a Proxy header (httpoxy), so it is ignored under CGI.
        is_cgi = "REQUEST_METHOD" in environment
        return cls(
            environment.get("AWS_CA_BUNDLE") or profile_ca_bundle or environment.get("REQUESTS_CA_BUNDLE") or None,
            (environment.get("http_proxy") if is_cgi else read("HTTP_PROXY")) or read("ALL_PROXY"),
            read("HTTPS_PROXY") or read("ALL_PROXY"),
            read("NO_PROXY") or "",
        )

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy for this URL, None when it is reached directly."""
        parts = urlsplit(url)
        proxy = self.https_proxy if parts.scheme == "https" else self.http_proxy
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        if proxy is None or any(_covers(entry.strip(), host, port) for entry in self.no_proxy.split(",")):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"

    def describe_untrusted(self, host: str, reason: str) -> str:
        """Return the text for a certificate of this host that is not trusted for this reason."""
        if self.ca_bundle is None:
            return f"the certificate of {host} is not trusted ({reason}): set AWS_CA_BUNDLE to a file with its CA"
        return f"the certificate of {host} is not trusted ({reason}): put its CA into {self.ca_bundle} (AWS_CA_BUNDLE)"

    def create_ssl_context(self) -> ssl.SSLContext:
        """Return a new TLS context that verifies certificate and host name.

        VERIFY_X509_STRICT, which Python 3.13 turns on, is off: the CAs of many companies and clusters lack the
        extensions that it demands (https://github.com/kubernetes-client/python/issues/2394).

        Raises:
            StoreMisconfiguredError: The CA bundle cannot be read.
        """
        try:
            context = ssl.create_default_context()
            if self.ca_bundle is None:
                context.load_verify_locations(_botocore_ca_bundle())
            else:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                is_folder = Path(self.ca_bundle).is_dir()
                context.load_verify_locations(
                    capath=self.ca_bundle if is_folder else None, cafile=None if is_folder else self.ca_bundle
                )
        except OSError as error:  # ssl.SSLError is one
            bundle = self.ca_bundle or "of botocore"
            raise StoreMisconfiguredError(
                f"the CA bundle {bundle} cannot be read ({error.strerror or error}): "
                "correct AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE, or ca_bundle in the AWS profile"
            ) from error
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def _botocore_ca_bundle() -> str:
    from botocore.httpsession import get_cert_path  # noqa: PLC0415 -- importing it takes 0.2 s; only TLS needs it

    return str(get_cert_path(verify=True))


def _covers(entry: str, host: str, port: int) -> bool:
    """Return whether one entry of NO_PROXY covers this host and port."""
    if entry == "*":
        return True
    if entry.startswith("[") or entry.count(":") == 1:
        entry_host, colon, entry_port = entry.rpartition(":")
        if colon and entry_port.isdigit():  # not so for [::1], whose last part ends with a bracket
            if int(entry_port) != port:
                return False
            entry = entry_host
        entry = entry.strip("[]")
    if not entry:
        return False
    try:
        address = ip_address(host)
    except ValueError:
        name = entry.removeprefix("*").strip(".").lower()
        return host.lower() == name or host.lower().endswith(f".{name}")
    try:
        return address in ip_network(entry, strict=False)
    except ValueError:
        return False
