"""``python -m dstore`` is the ``dstore`` command."""

import sys

from dstore.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
