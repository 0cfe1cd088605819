"""What an acknowledged write promises, where its copies are, and how a program replaces only what it has seen."""

import dstore

PATH = "/ledger.bin"


def main() -> None:
    """Write in both grades of durability, look at the copies, and lose a race on purpose."""
    with dstore.connect() as store:
        # "synced", unless the profile says otherwise: every copy is on stable storage when put returns.
        first = store.put(PATH, bytes(100_000), durability="synced")

        # "replicated": every copy is in the memory of its server, and synced within a second or so. Faster on slow
        # disks; only the power loss of all servers at once, within that second, loses it.
        second = store.put(PATH, bytes(200_000), durability="replicated")
        print(f"replaced: {second.version > first.version}")

        for index, chunk in enumerate(store.describe(PATH).chunks):
            names = sorted(replica.name for replica in chunk.group.members)
            print(f"chunk {index}: {len(names)} copies, on {', '.join(names)}")

        # Replace only the version that was read: of two programs that do so, one is told that it was second.
        store.put(PATH, b"mine" * 10_000, if_version=second.version)
        try:
            store.put(PATH, b"yours" * 10_000, if_version=second.version)
        except dstore.Conflict as error:
            print(f"conflict: {error.reason}")

        status = store.status()
        print(f"health: {status.health.value}, {status.servers_up} of {status.servers_total} chunkservers are up")
        store.remove(PATH)


if __name__ == "__main__":
    main()
