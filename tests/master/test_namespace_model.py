"""The namespace with its past, step by step beside a model of dictionaries."""

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from master_harness import MasterHarness

from dstore.core.errors import DstoreError
from dstore.core.files import FileInfo, RemoveResult, SmallFile
from dstore.core.ids import FileId

NAMES = ["a", "b", "c"]
names = st.sampled_from(NAMES)
paths = st.one_of(names.map("/{}".format), st.tuples(names, names).map(lambda pair: f"/{pair[0]}/{pair[1]}"))


@dataclass
class Node:
    """A file or directory of the model; ``children`` is None for a file."""

    file_id: int
    version: int
    children: dict[str, "Node"] | None = None


@dataclass
class Gone:
    """What ended at a place, as it was; restorable unless its node is somewhere else now."""

    parent_id: int
    name: str
    node: Node
    version: int


@dataclass
class Model:
    root: Node = field(default_factory=lambda: Node(1, 1, {}))
    gone: list[Gone] = field(default_factory=list)

    def find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for name in path.split("/")[1:]:
            node = node.children.get(name) if node is not None and node.children is not None else None
        return node

    def parent(self, path: str) -> tuple[Node | None, str]:
        head, _, name = path.rpartition("/")
        parent = self.find(head) if head else self.root
        return (parent if parent is not None and parent.children is not None else None), name

    def nodes(self) -> dict[int, Node]:
        found, pending = {}, [self.root]
        while pending:
            node = pending.pop()
            found[node.file_id] = node
            pending += (node.children or {}).values()
        return found

    def paths(self) -> dict[int, str]:
        found, pending = {}, [("", self.root)]
        while pending:
            path, node = pending.pop()
            found[node.file_id] = path
            pending += [(f"{path}/{name}", child) for name, child in (node.children or {}).items()]
        return found

    def path_of(self, wanted: Node) -> str:
        pending = [("", self.root)]
        for path, node in pending:
            if node is wanted:
                return path
            pending += [(f"{path}/{name}", child) for name, child in (node.children or {}).items()]
        raise AssertionError("it is in the tree")

    def end(self, parent: Node, name: str) -> None:
        assert parent.children is not None
        node = parent.children.pop(name)
        self.forget(node)
        for child in list(node.children or {}):
            self.end(node, child)
        self.gone.append(Gone(parent.file_id, name, node, node.version))

    def forget(self, node: Node) -> None:
        """What got another place is not found at the old one any more."""
        self.gone = [gone for gone in self.gone if gone.node.file_id != node.file_id]

    def restorable(self, path: str) -> Gone | None:
        parent, name = self.parent(path)
        if parent is None:
            return None
        fitting = [gone for gone in self.gone if (gone.parent_id, gone.name) == (parent.file_id, name)]
        return fitting[-1] if fitting else None


class NamespaceMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.cluster = MasterHarness(Path(self.directory.name))
        self.runner.run(self.cluster.open())
        self.runner.run(self.cluster.join(1, 2, 3))
        self.model = Model()
        self.sealed: list[SmallFile] = []
        #: By directory and name, the largest version that was ever visible there.
        self.highest: dict[tuple[int, str], int] = {}

    def teardown(self) -> None:
        self.runner.run(self.cluster.check_counters())
        self.runner.run(self.cluster.store.close())
        self.runner.close()
        self.directory.cleanup()

    def attempt(self, call: Coroutine[Any, Any, FileInfo | None]) -> FileInfo | str | None:
        """Return the answer of the master, or the reason of its refusal."""
        try:
            return self.runner.run(call)
        except DstoreError as error:
            assert error.reason not in ("INTERNAL", "VERSION_CHANGED")
            return error.reason

    @rule(path=paths, chunk_count=st.integers(0, 2))
    def write(self, path: str, chunk_count: int) -> None:
        parent, name = self.model.parent(path)
        there = self.model.find(path)
        info = self.attempt(self.cluster.write(path, chunk_count=chunk_count))
        if parent is None or (there is not None and there.children is not None):
            assert info in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY", "IS_A_DIRECTORY")
            return
        assert isinstance(info, FileInfo)
        assert parent.children is not None
        if there is not None:
            self.model.end(parent, name)
        parent.children[name] = Node(info.file_id, info.version)

    @rule(wanted=st.lists(paths, min_size=1, max_size=5), spare=st.integers(0, 3))
    def put_files(self, wanted: list[str], spare: int) -> None:
        parents = [self.model.parent(path)[0] for path in wanted]
        files = [
            replace(file, parent_id=FileId(parent.file_id if parent is not None else 1))
            for file, parent in zip(self.runner.run(self.cluster.seal(*wanted)), parents, strict=True)
        ]
        # What is reserved and sealed now may be sent much later.
        self.sealed += files[len(files) - spare :] if spare else []
        self.send(files[: len(files) - spare] if spare else files, is_fresh=True)

    @precondition(lambda self: self.sealed)
    @rule(count=st.integers(1, 4))
    def put_what_was_sealed_before(self, count: int) -> None:
        files, self.sealed = self.sealed[:count], self.sealed[count:]
        self.send(files, is_fresh=False)

    def send(self, files: list[SmallFile], *, is_fresh: bool) -> None:
        items = tuple((file, self.cluster.request_id()) for file in files)
        answers = self.runner.run(self.cluster.namespace.put_files(items))
        assert list(map(repr, self.runner.run(self.cluster.namespace.put_files(items)))) == list(map(repr, answers))
        for file, answer in zip(files, answers, strict=True):
            parent, name = self.model.parent(file.path)
            there = self.model.find(file.path)
            if isinstance(answer, DstoreError):
                if parent is None:
                    expected = ["FILE_NOT_FOUND", "NOT_A_DIRECTORY"]
                elif parent.file_id != file.parent_id:
                    expected = ["PARENT_CHANGED"]
                elif there is not None and there.children is not None:
                    expected = ["IS_A_DIRECTORY"]
                else:
                    expected = [] if is_fresh else ["VERSION_SUPERSEDED"]
                assert answer.reason in expected
                continue
            assert parent is not None and parent.children is not None
            assert (answer.file_id, answer.version) == (file.file_id, file.version)
            if there is not None:
                assert there.children is None and there.version < file.version
                self.model.end(parent, name)
            parent.children[name] = Node(file.file_id, file.version)

    @rule(wanted=st.lists(paths, min_size=1, max_size=5), recursive=st.booleans())
    def remove_files(self, wanted: list[str], recursive: bool) -> None:
        items = tuple((path, recursive, self.cluster.request_id()) for path in wanted)
        answers = self.runner.run(self.cluster.namespace.remove_files(items))
        assert list(map(repr, self.runner.run(self.cluster.namespace.remove_files(items)))) == list(map(repr, answers))
        for path, answer in zip(wanted, answers, strict=True):
            parent, name = self.model.parent(path)
            node = self.model.find(path)
            if node is None or parent is None:
                assert isinstance(answer, DstoreError)
                assert answer.reason in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY")
            elif node.children and not recursive:
                assert isinstance(answer, DstoreError) and answer.reason == "DIRECTORY_NOT_EMPTY"
            else:
                assert isinstance(answer, RemoveResult)
                self.model.end(parent, name)

    @rule(name=names)
    def make_directory(self, name: str) -> None:
        there = self.model.find(f"/{name}")
        info = self.attempt(self.cluster.make_directory(f"/{name}"))
        if there is not None:
            assert (info == "FILE_EXISTS") == (there.children is None)
            return
        assert isinstance(info, FileInfo)
        assert self.model.root.children is not None
        self.model.root.children[name] = Node(info.file_id, info.version, {})

    @rule(path=paths)
    def remove(self, path: str) -> None:
        parent, name = self.model.parent(path)
        answer = self.attempt(self.cluster.remove(path, recursive=True))
        if self.model.find(path) is None or parent is None:
            assert answer in ("FILE_NOT_FOUND", "NOT_A_DIRECTORY")
            return
        assert answer is None
        self.model.end(parent, name)

    @rule(source=paths, new=paths)
    def rename(self, source: str, new: str) -> None:
        info = self.attempt(self.cluster.rename(source, new))
        if not isinstance(info, FileInfo):
            return
        source_parent, source_name = self.model.parent(source)
        target_parent, target_name = self.model.parent(new)
        node = self.model.find(source)
        assert node is not None
        assert source_parent is not None and source_parent.children is not None
        assert target_parent is not None and target_parent.children is not None
        del source_parent.children[source_name]
        if target_name in target_parent.children:
            self.model.end(target_parent, target_name)
        self.model.forget(node)
        target_parent.children[target_name] = node
        assert info.file_id == node.file_id
        assert info.version > node.version
        node.version = info.version

    @rule(path=paths, elsewhere=st.one_of(st.none(), paths))
    def restore_anything(self, path: str, elsewhere: str | None) -> None:
        self.restore(path, elsewhere)

    def restore(self, path: str, elsewhere: str | None) -> None:
        expected = self.model.restorable(path)
        place, name = self.model.parent(elsewhere or path)
        info = self.attempt(self.cluster.restore(path, elsewhere or ""))
        if place is None or self.model.find(elsewhere or path) is not None:
            assert isinstance(info, str)
            return
        if expected is None:
            # A file may come out of a removed directory, when it has somewhere to go.
            if not isinstance(info, FileInfo):
                return
            expected = next(gone for gone in self.model.gone if gone.node.file_id == info.file_id)
            assert elsewhere is not None
            assert expected.parent_id not in self.model.nodes()
        assert isinstance(info, FileInfo), f"{path} should have come back, and did not: {info}"
        assert info.file_id == expected.node.file_id
        assert info.version > expected.version
        assert place.children is not None
        self.model.forget(expected.node)
        place.children[name] = expected.node
        expected.node.version = info.version

    @precondition(lambda self: self.model.gone)
    @rule(pick=st.integers(0, 7), elsewhere=st.one_of(st.none(), st.none(), paths))
    def restore_what_is_gone(self, pick: int, elsewhere: str | None) -> None:
        gone = self.model.gone[-1 - pick % len(self.model.gone)]
        # A directory that was restored elsewhere may be in another one.
        parent = self.model.paths().get(gone.parent_id)
        if parent is not None:
            self.restore(f"{parent}/{gone.name}", elsewhere)

    @precondition(lambda self: len(self.model.gone) > 4)
    @rule(limit=st.integers(1, 4))
    def collect(self, limit: int) -> None:
        while not self.runner.run(self.cluster.collect(limit, retention_s=0)).is_done:
            pass
        self.model.gone = []

    @rule()
    def restart(self) -> None:
        self.runner.run(self.cluster.restart())
        self.runner.run(self.cluster.beat())

    @invariant()
    def looks_alike(self) -> None:
        pending = [("", self.model.root)]
        while pending:
            path, node = pending.pop()
            if node.children is None:
                info = self.runner.run(self.cluster.namespace.open_file(path)).info
                assert (info.file_id, info.version) == (node.file_id, node.version)
                continue
            assert self.runner.run(self.cluster.names(path or "/")) == sorted(node.children)
            pending += [(f"{path}/{name}", child) for name, child in node.children.items()]

    @invariant()
    def versions_at_one_name_only_grow(self) -> None:
        for node in self.model.nodes().values():
            for name, child in (node.children or {}).items():
                place = (node.file_id, name)
                assert child.version >= self.highest.get(place, 0)
                self.highest[place] = child.version

    @invariant()
    def lists_all_that_is_gone(self) -> None:
        directories = [("/", self.model.root)] + [
            (f"/{name}", node) for name, node in (self.model.root.children or {}).items() if node.children is not None
        ]
        for path, node in directories:
            listed = self.runner.run(self.cluster.removed(path, recursive=False))
            gone = [gone for gone in self.model.gone if gone.parent_id == node.file_id]
            assert sorted((entry.file_id, entry.version) for entry in listed) == sorted(
                (each.node.file_id, each.version) for each in gone
            )


TestNamespaceModel = NamespaceMachine.TestCase
TestNamespaceModel.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
