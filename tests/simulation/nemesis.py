"""What goes wrong, and when; all of it ends with ``stop``."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from simulation.dice import Dice
from simulation.disk import DiskFaults, MachineDisk
from simulation.links import Condition
from simulation.node import Life, Node
from simulation.world import World

#: Each run has at least this many faults.
FAULTS_MIN = 20
FAULTS_MAX = 40
#: A fault hits within this many callbacks of its moment, so that it hits at any await.
_STEPS_SPREAD = 300
#: A fault that is aimed at what is not synced hits within this time: syncs come later, or at that moment.
_AIMED_WITHIN_S = 0.15


class Nemesis:
    """Breaks things at random, within what the promises allow: copies are destroyed on one server only.

    Attributes:
        counts: faults so far, by kind.
        damaged: (server, path) of every file in which a bit was flipped.
        struck: faults that have begun.
    """

    def __init__(self, world: World, dice: Dice) -> None:
        self.counts: Counter[str] = Counter()
        self.damaged: set[tuple[str, str]] = set()
        self.struck = 0
        self._world = world
        self._dice = dice
        self._loop = world.loop
        self._stopped = False
        self.victim = dice.choice(world.servers)
        kinds: dict[str, Callable[[], None]] = {
            "kill": self._kill,
            "kill master": self._kill_master,
            "power": self._power_off,
            "power everywhere": self._power_off_everything,
            "kill client": self._kill_client,
            "cut": self._cut,
            "cut one way": self._cut_one_way,
            "isolate": self._isolate,
            "slow wire": self._slow_wire,
            "lossy wire": self._lossy_wire,
            "disk errors": self._disk_errors,
            "fsync errors": self._fsync_errors,
            "disk full": self._disk_full,
            "metadata fsync errors": self._metadata_fsync_errors,
            "slow disk": self._slow_disk,
            "flip": self._flip,
            "clock": self._clock,
            "pause": self._pause,
        }
        # Each run has its own mixture: some kinds often, some never.
        weights = {kind: dice.choice((0.0, 0.5, 1.0, 1.0, 3.0)) for kind in kinds}
        weights["kill"] += 0.5
        self._kinds = kinds
        self._weights = weights

    def start(self, duration_s: float) -> None:
        """Spread the faults over the time."""
        for _ in range(self._dice.randint(FAULTS_MIN, FAULTS_MAX)):
            self._loop.later(self._dice.random() * duration_s, self._strike)

    def strike_server(self, name: str, dice: Dice) -> None:
        """End a server soon, or take the power from it, or from everything."""
        kinds: dict[str, Callable[[], None]] = {
            "kill": lambda: self._end(self._world.network.nodes[name], power=False),
            "power": lambda: self._end(self._world.network.nodes[name], power=True),
            "power everywhere": self._power_off_everything,
        }
        kind = dice.choice(tuple(kinds))
        self.counts[kind] += 1

        def now() -> None:
            if not self._stopped:
                self.struck += 1
                self._world.trace.note(self._loop.time(), f"fault: {kind}, aimed")
                kinds[kind]()

        self._loop.later(dice.random() * _AIMED_WITHIN_S, now)

    def stop(self) -> None:
        """Repair everything that can be repaired; bits stay flipped."""
        self._stopped = True
        self._world.network.heal()
        for disk in self._world.disks.values():
            disk.faults = DiskFaults()
        self._world.metadata.files.sync_error_share = 0.0
        for node in self._world.nodes:
            self._loop.resume(node)

    def impair(self, node: Node) -> str:
        """Do one lasting thing to one server; return what. ``repair`` ends it."""
        others = [other.name for other in self._world.nodes if other is not node]
        there, back = [(node.name, other) for other in others], [(other, node.name) for other in others]
        network, cut = self._world.network, Condition(is_cut=True)
        kinds: dict[str, Callable[[], object]] = {
            "dead": lambda: node.stop(power=False),
            "without power": lambda: node.stop(power=True),
            "standing still": lambda: self._loop.pause(node),
            "with a hung disk": lambda: self._harm(self._world.disks[node.name], DiskFaults(delay_s=(60, 90)), 1e9),
            "cut off from hearing": lambda: network.change(back, cut),
            "cut off from being heard": lambda: network.change(there, cut),
            "cut off": lambda: network.change(there + back, cut),
            "slow": lambda: network.change(there + back, Condition(delay_s=(0.5, 1.5))),
        }
        kind = self._dice.choice(tuple(kinds))
        self.struck += 1
        self._world.trace.note(self._loop.time(), f"{node.name} is {kind}")
        kinds[kind]()
        return kind

    def repair(self, node: Node) -> None:
        """End what ``impair`` did."""
        self.stop()
        node.start()

    def _strike(self) -> None:
        if self._stopped:
            return
        kind = self._dice.choices(tuple(self._weights), tuple(self._weights.values()))[0]
        self.counts[kind] += 1

        def now() -> None:
            if not self._stopped:
                self.struck += 1
                self._world.trace.note(self._loop.time(), f"fault: {kind}")
                self._kinds[kind]()

        self._loop.after_steps(self._dice.randrange(_STEPS_SPREAD), now)

    def _later(self, low_s: float, high_s: float, undo: Callable[[], object]) -> None:
        def act() -> None:
            if not self._stopped:
                undo()

        self._loop.later(self._dice.uniform(low_s, high_s), act)

    # --- Machines --------------------------------------------------------------------------------------------

    def _end(self, node: Node, *, power: bool, high_s: float = 12.0) -> None:
        node.stop(power=power)
        self._later(0.1, high_s, node.start)

    def _kill(self) -> None:
        self._end(self._dice.choice(self._world.servers), power=False)

    def _kill_master(self) -> None:
        self._end(self._world.master, power=self._dice.happens(0.5), high_s=6.0)

    def _power_off(self) -> None:
        self._end(self._dice.choice(self._world.servers), power=True)

    def _power_off_everything(self) -> None:
        for node in (self._world.master, *self._world.servers):
            self._end(node, power=True, high_s=4.0)

    def _kill_client(self) -> None:
        self._end(self._dice.choice(self._world.callers), power=self._dice.happens(0.5), high_s=3.0)

    def _pause(self) -> None:
        node = self._dice.choice([self._world.master, *self._world.servers])
        if node.life is Life.RUNNING:
            self._loop.pause(node)
            self._later(0.5, 20.0, lambda: self._loop.resume(node))

    def _clock(self) -> None:
        node = self._dice.choice(self._world.nodes)
        node.clock.wall_offset_ns += self._dice.choice((-1, 1)) * int(self._dice.choice((1e9, 3.6e12, 9e13, 3e16)))

    # --- Wires -----------------------------------------------------------------------------------------------

    def _change(self, pairs: list[tuple[str, str]], condition: Condition, high_s: float) -> None:
        self._world.network.change(pairs, condition)
        self._later(0.5, high_s, lambda: self._world.network.change(pairs, Condition()))

    def _pair(self) -> tuple[str, str]:
        first, second = self._dice.sample(self._world.nodes, 2)
        return first.name, second.name

    def _cut(self) -> None:
        first, second = self._pair()
        self._change([(first, second), (second, first)], Condition(is_cut=True), 15.0)

    def _cut_one_way(self) -> None:
        self._change([self._pair()], Condition(is_cut=True), 15.0)

    def _isolate(self) -> None:
        node = self._dice.choice(self._world.nodes)
        others = [other.name for other in self._world.nodes if other is not node]
        there = [(node.name, other) for other in others]
        back = [(other, node.name) for other in others]
        self._change(self._dice.choice((there, back, there + back)), Condition(is_cut=True), 12.0)

    def _slow_wire(self) -> None:
        first, second = self._pair()
        low_s = self._dice.choice((0.02, 0.3, 2.0))
        self._change([(first, second), (second, first)], Condition(delay_s=(low_s, 3 * low_s)), 20.0)

    def _lossy_wire(self) -> None:
        node = self._dice.choice(self._world.nodes)
        pairs = [(node.name, other.name) for other in self._world.nodes if other is not node]
        pairs += [(target, source) for source, target in pairs]
        condition = Condition(
            delay_s=(0.0002, self._dice.choice((0.002, 0.2))),
            loss=self._dice.choice((0.0, 0.05, 0.3)),
            duplication=self._dice.choice((0.05, 0.3)),
        )
        self._change(pairs, condition, 20.0)

    # --- Disks -----------------------------------------------------------------------------------------------

    def _disk(self) -> MachineDisk:
        return self._world.disks[self._dice.choice(self._world.servers).name]

    def _harm(self, disk: MachineDisk, faults: DiskFaults, high_s: float) -> None:
        disk.faults = faults
        self._later(0.2, high_s, lambda: setattr(disk, "faults", DiskFaults()))

    def _disk_errors(self) -> None:
        disk = self._disk()
        operations = ("write", "read", "sync", "rename", "create", "open", "remove", "sync_directory", "list")
        chosen = self._dice.sample(operations, self._dice.randint(1, 3))
        shares = dict.fromkeys(chosen, self._dice.choice((0.1, 0.5, 1.0)))
        self._harm(disk, replace(disk.faults, error_shares=shares), 5.0)

    def _fsync_errors(self) -> None:
        disk = self._disk()
        shares = {self._dice.choice(("sync", "sync_directory")): 1.0}
        self._harm(disk, replace(disk.faults, error_shares=shares), 2.0)

    def _disk_full(self) -> None:
        self._harm(disk := self._disk(), replace(disk.faults, is_full=True), 15.0)

    def _slow_disk(self) -> None:
        low_s = self._dice.choice((0.05, 0.5, 3.0, 20.0))
        self._harm(disk := self._disk(), replace(disk.faults, delay_s=(low_s, 2 * low_s)), 15.0)

    def _metadata_fsync_errors(self) -> None:
        files = self._world.metadata.files
        files.sync_error_share = self._dice.choice((0.2, 1.0))
        self._later(0.1, 2.0, lambda: setattr(files, "sync_error_share", 0.0))

    def _flip(self) -> None:
        disk = self._world.disks[self.victim.name]
        paths = [path for path in sorted(disk.durable_names) if path.startswith("groups/") and path.count("/") == 3]
        paths = [path for path in paths if disk.names.get(path) is disk.durable_names[path]]
        if paths:
            path = self._dice.choice(paths)
            disk.flip_bit(path)
            self.damaged.add((disk.name, path))
