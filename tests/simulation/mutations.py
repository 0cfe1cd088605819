"""Defects that are put into the code on purpose, to see that the simulation finds them.

Each replaces a few words in the source of one function. When that source changes, the replacement fails loudly, and the
mutation must be written anew.
"""

import importlib
import inspect
import textwrap
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mutation:
    """One defect.

    Attributes:
        place: module, and name of a function or ``Class.method`` in it.
        sound, broken: the words that are replaced, and by what.
        invariants: of which the violation of one is to be reported.
    """

    place: tuple[str, str]
    sound: str
    broken: str
    invariants: tuple[int, ...]

    def apply(self) -> None:
        """Put the defect into this process, for good."""
        module = importlib.import_module(self.place[0])
        *holders, name = self.place[1].split(".")
        holder: Any = module
        for each in holders:
            holder = getattr(holder, each)
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(holder, name))))
        assert source.count(self.sound) == 1, f"{'.'.join(self.place)} no longer says {self.sound!r} once"
        scope: dict[str, Any] = {}
        exec(compile(source.replace(self.sound, self.broken), module.__file__ or "", "exec"), vars(module), scope)
        setattr(holder, name, scope[name])


MUTATIONS = {
    "no fsync of chunk files": Mutation(
        ("dstore.chunkserver.newchunk", "NewChunk.sync"),
        "await self._file.sync()",
        "pass",
        (1,),
    ),
    "no fsync of directories": Mutation(
        ("dstore.chunkserver.newchunk", "NewChunk.store_name"),
        "await store.directory_syncs.sync(paths.chunk_directory(chunk_id))",
        "pass",
        (1,),
    ),
    "what is replicated is never synced": Mutation(
        ("dstore.chunkserver.unsynced", "UnsyncedChunks.wake"),
        "self._work = asyncio.create_task(self._run(), context=Context())",
        "pass",
        (1,),
    ),
    "what is replicated gets its name before it is synced": Mutation(
        ("dstore.chunkserver.unsynced", "UnsyncedChunks._settle"),
        "await chunk.sync()",
        "pass",
        (1, 10, 13),
    ),
    "what was not synced is forgotten at the start": Mutation(
        ("dstore.chunkserver.adopting", "_adopt"),
        "await copy.store_name()",
        "pass",
        (1,),
    ),
    "nobody is told what may be lost": Mutation(
        ("dstore.chunkserver.doubts", "GroupDoubts.report"),
        "return tuple(GroupDoubt(*each) for each in islice(self._doubts.items(), _REPORTED_MAX))",
        "return ()",
        (1, 13),
    ),
    "acknowledged before the tail answered": Mutation(
        ("dstore.chunkserver.relay", "RelayWriter.finish"),
        "await asyncio.wait((own, self._pump), return_when=asyncio.FIRST_EXCEPTION)",
        "await own\n"
        "        from dstore.core.chunks import Durability, ReplicaAck\n"
        "        early = tuple(ReplicaAck(each.server_id, Durability.SYNCED) for each in self._chain)\n"
        "        return WriteResult((*own.result().replicas, *early))",
        (1,),
    ),
    "mutations repeated under the same request id take effect again": Mutation(
        ("dstore.master.requests", "_load"),
        "if not rows:",
        'tx.execute("DELETE FROM requests WHERE request_id = ?", (request.request_id,))\n    if True:',
        (3, 4),
    ),
    "no grace before chunks are discarded": Mutation(
        ("dstore.master.deletions", "read_due"),
        'counters.read(tx, "running_s") - grace_s',
        'counters.read(tx, "running_s")',
        (9,),
    ),
    "epochs are not compared": Mutation(
        ("dstore.chunkserver.epochs", "GroupEpochs.check"),
        "if epoch < known:",
        "if False:",
        (7,),
    ),
    "metadata that is old is not noticed": Mutation(
        ("dstore.master.safe_mode", "evidence"),
        "standing = heartbeat.standing",
        'return ""',
        (9,),
    ),
}
