"""``dstore gateway run`` and ``dstore gateway token``: what they do."""

import importlib.util
from pathlib import Path

from dstore.cli.output import Output
from dstore.core.errors import InvalidRequest
from dstore.core.sizes import parse_size

_GATEWAY_MODULES = ("h11", "python_multipart", "starlette", "uvicorn", "uvloop")


def run_gateway(
    *,
    listen: str,
    endpoint: str | None,
    profile: str | None,
    key_file: Path | None,
    tokens: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    max_size: str | None,
    allowed_hosts: list[str],
    log_level: str,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DstoreError: the gateway cannot start.
    """
    _check_gateway_extra()
    from dstore.gateway.config import GatewayConfig
    from dstore.gateway.process import run

    run(
        GatewayConfig(
            listen=listen,
            endpoint=endpoint,
            profile=profile,
            key_file=key_file,
            tokens_file=tokens,
            certificate_file=tls_certificate,
            certificate_key_file=tls_key,
            upload_size_bytes_max=None if max_size is None else parse_size(max_size),
            allowed_hosts=tuple(allowed_hosts),
            log_level=log_level,
        )
    )


def make_token(name: str, *, read_only: bool, as_json: bool) -> None:
    """Show a new token and the lines that make it good.

    Raises:
        InvalidRequest: reason ``TOKEN_FILE_INVALID``, when the name is none.
    """
    from dstore.gateway.identities import make_token as new_token
    from dstore.gateway.identities import token_table
    from dstore.system.environment import SystemRandom

    token = new_token(SystemRandom())
    rights = ["read"] if read_only else ["read", "write"]
    table = token_table(name, token, rights)
    Output(as_json=as_json).result(
        {"name": name, "token": token, "rights": rights, "table": table},
        f"token of {name}, shown only now:\n\n  {token}\n\nlines for the file of `dstore gateway run --tokens`, which "
        f"only its owner may read (chmod 600):\n\n{table}",
    )


def _check_gateway_extra() -> None:
    missing = [name for name in _GATEWAY_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise InvalidRequest(
            f"This installation of dstore has no gateway ({', '.join(missing)} missing). Install it with "
            "`pip install 'dstore[gateway]'`.",
            reason="GATEWAY_EXTRA_MISSING",
            metadata={"missing": ",".join(missing)},
        )
