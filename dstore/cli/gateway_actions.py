"""``dstore gateway run`` and ``dstore gateway token``: what they do."""

import os
from pathlib import Path

from dstore.cli.extras import check_gateway_extra
from dstore.cli.log_settings import log_format_of, log_level_of
from dstore.cli.output import Output
from dstore.core.sizes import parse_size


def run_gateway(
    *,
    listen: str,
    directory: Path | None,
    endpoint: str | None,
    profile: str | None,
    key_file: Path | None,
    tokens: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    max_size: str | None,
    allowed_hosts: list[str],
    log_level: str | None,
    log_format: str | None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DstoreError: the gateway cannot start.
    """
    check_gateway_extra()
    from dstore.gateway.config import GatewayConfig
    from dstore.gateway.process import run

    run(
        GatewayConfig(
            listen=listen,
            directory=directory,
            endpoint=endpoint,
            profile=profile,
            key_file=key_file,
            tokens_file=tokens,
            certificate_file=tls_certificate,
            certificate_key_file=tls_key,
            upload_size_bytes_max=None if max_size is None else parse_size(max_size),
            allowed_hosts=tuple(allowed_hosts),
            log_level=log_level_of(log_level, os.environ),
            log_format=log_format_of(log_format, os.environ),
        )
    )


def make_token(name: str, rights: list[str], *, as_json: bool) -> None:
    """Show a new token and the lines that make it good.

    Raises:
        InvalidRequest: reason ``TOKEN_FILE_INVALID``, when the name is none.
    """
    from dstore.gateway.identities import make_token as new_token
    from dstore.gateway.identities import token_table
    from dstore.system.environment import SystemRandom

    token = new_token(SystemRandom())
    table = token_table(name, token, rights)
    Output(as_json=as_json).result(
        {"name": name, "token": token, "rights": rights, "table": table},
        f"token of {name}, shown only now:\n\n  {token}\n\nlines for the file of `dstore gateway run --tokens`, which "
        f"only its owner may read (chmod 600):\n\n{table}",
    )
