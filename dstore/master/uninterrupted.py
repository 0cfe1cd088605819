"""What is begun for a caller goes on when the caller goes away.

A call is cancelled when its caller hangs up. Between what is stored and what this master remembers of it, that would
leave the two apart: a server would be known by a run of its process that ended long ago, and never go out.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from dstore.system.finishing import to_its_end

P = ParamSpec("P")
T = TypeVar("T")


def uninterrupted(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Make a method run to its end once it was called."""

    @functools.wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await to_its_end(method(*args, **kwargs))

    return run
