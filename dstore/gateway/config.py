"""What a gateway is started with."""

from dataclasses import dataclass
from pathlib import Path

from dstore.core.errors import InvalidRequest
from dstore.gateway.hosts import is_loopback


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The configuration of one gateway.

    Attributes:
        listen: host and port; port 0 takes a free one.
        directory: held by this gateway alone while it runs; it keeps nothing else there. None holds none.
        endpoint, profile, key_file: which cluster, and with which key; None leaves it to the profile.
        tokens_file: who may do what; None lets everybody do everything.
        certificate_file, certificate_key_file: for TLS; None serves plain HTTP.
        upload_size_bytes_max: of one request; None for any size.
        allowed_hosts: further names by which the gateway may be called when it has no tokens.
    """

    listen: str
    directory: Path | None = None
    endpoint: str | None = None
    profile: str | None = None
    key_file: Path | None = None
    tokens_file: Path | None = None
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None
    upload_size_bytes_max: int | None = None
    allowed_hosts: tuple[str, ...] = ()
    log_level: str = "info"
    log_format: str = "auto"

    @property
    def host(self) -> str:
        """The host to listen on, without the brackets of an IPv6 address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port to listen on."""
        return int(self.listen.rpartition(":")[2])

    def check(self) -> None:
        """Return when it can be used.

        Raises:
            InvalidRequest: reason ``CONFIG_INVALID``.
        """
        host, _, port = self.listen.rpartition(":")
        if not host or not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise _invalid(f"--listen is {self.listen!r}, not HOST:PORT; write for example 127.0.0.1:8070")
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise _invalid("TLS needs both --tls-certificate and --tls-key; give both or none")
        if self.upload_size_bytes_max is not None and self.upload_size_bytes_max < 1:
            raise _invalid("--max-size is less than a byte; leave it out for any size")

    def warnings(self) -> tuple[str, ...]:
        """Return what people must hear before they rely on this configuration."""
        found = []
        if not is_loopback(self.host):
            if self.tokens_file is None:
                found.append(
                    f"EVERYBODY who reaches {self.listen} can read, replace and remove every file, decrypted: there "
                    "are no tokens. Give --tokens, or listen on 127.0.0.1."
                )
            if self.certificate_file is None:
                found.append(
                    f"Plaintext and tokens travel readable to {self.listen}: there is no TLS. Give --tls-certificate "
                    "and --tls-key, or put a proxy with TLS in front and listen on 127.0.0.1."
                )
        return tuple(found)


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"The gateway cannot start: {why}.", reason="CONFIG_INVALID")
