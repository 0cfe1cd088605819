"""``dstore key``: make key files, and show what may be known of them."""

import os
from pathlib import Path

from dstore.cli.exit_codes import ExitCode
from dstore.cli.key_files import choose_passphrase, create_key_file, fingerprint, show_key_file
from dstore.cli.local_directory import key_path, profile_name
from dstore.cli.output import Output
from dstore.cli.target import Target
from dstore.client.profile import resolve_profile
from dstore.core.errors import InvalidRequest
from dstore.core.text import printable


def init(target: Target, passphrase_file: Path | None) -> int:
    """Make a key file with one new key."""
    path = _path(target)
    key = create_key_file(path, choose_passphrase(os.environ, passphrase_file))
    Output(as_json=target.as_json).result(
        key,
        f"  key        created   {printable(key.path)}   (fingerprint {key.fingerprint})\n\n"
        "  Lose the key file and the data is gone: keep a copy in a safe place, away from this machine.",
    )
    return ExitCode.OK


def show(target: Target, passphrase_file: Path | None) -> int:
    """Show the fingerprints of a key file."""
    key = show_key_file(_path(target), choose_passphrase(os.environ, passphrase_file))
    lines = [f"  key file   {printable(key.path)}"]
    for number, key_id in enumerate(key.key_ids):
        word = "active" if number == 0 else "kept"
        lines.append(f"  {word:<9}  {fingerprint(bytes.fromhex(key_id))}   (id {key_id})")
    Output(as_json=target.as_json).result(key, "\n".join(lines))
    return ExitCode.OK


def _path(target: Target) -> Path:
    """Return the key file that is meant: the argument, the environment, the profile, or the profile's default place.

    A key can be made before there is any cluster, so a profile that does not exist yet is no error.
    """
    chosen = target.key_file or os.environ.get("DSTORE_KEY_FILE")
    if chosen:
        return Path(chosen).absolute()
    try:
        known = resolve_profile(os.environ, profile=target.profile)
    except InvalidRequest as error:
        if error.reason not in ("PROFILE_UNKNOWN", "NO_ENDPOINT"):
            raise
        return key_path(os.environ, profile_name(os.environ, target.profile))
    if known.key_file is not None:
        return known.key_file.absolute()
    return key_path(os.environ, profile_name(os.environ, target.profile or known.name or None))
