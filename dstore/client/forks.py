"""What a fork does to a client: sockets and threads of the parent are useless in the child, so calls would hang.

Every client checks the process before each call, and says what to do instead of hanging.
"""

import os

from dstore.core.errors import NotReady


class _Process:
    """What this process knows of its own past."""

    def __init__(self) -> None:
        self.is_watching = False
        self.is_child_of_user = False

    def watch(self) -> None:
        """Remember that connections exist from now on."""
        if not self.is_watching:
            self.is_watching = True
            os.register_at_fork(after_in_child=self._note_fork)

    def _note_fork(self) -> None:
        self.is_child_of_user = True


#: There is one process, so there is one of these; a fork is the one event that no argument can bring.
_PROCESS = _Process()


class ForkGuard:
    """Belongs to one client, in the process that made it. Asking costs no system call, as every call asks."""

    __slots__ = ()

    def __init__(self) -> None:
        """Start to watch.

        Raises:
            NotReady: reason ``FORKED``, when this process was forked from one that had a client: gRPC does not
                survive that, and a new connection would hang as an old one does.
        """
        if _PROCESS.is_child_of_user:
            raise forked("This process was forked from one that had used dstore")
        _PROCESS.watch()

    @property
    def is_forked(self) -> bool:
        """Whether this is a child of the process that made the client."""
        # A child of a process that had a client cannot make one, so every guard is of the parent.
        return _PROCESS.is_child_of_user

    def check(self) -> None:
        """Refuse to go on in a child.

        Raises:
            NotReady: reason ``FORKED``.
        """
        if self.is_forked:
            raise forked("This client was made before the process forked")


def forked(why: str) -> NotReady:
    """Return the error for the use of what belongs to a parent process; ``why`` says which."""
    return NotReady(
        f"{why}; its connections do not work in the child. Start workers with the spawn start method "
        "(multiprocessing.set_start_method('spawn')), or fork first and call dstore.connect() in each child.",
        reason="FORKED",
    )
