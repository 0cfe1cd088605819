"""Store files, list them, read them back, and bring one back that was removed.

Needs a cluster: `dstore up` starts one on this machine and writes the profile that `dstore.connect()` uses.
"""

import dstore


def main() -> None:
    """Walk once through what most programs need."""
    with dstore.connect() as store:
        store.make_directory("/first-steps", exist_ok=True)

        # A file appears as a whole, once every copy of it is on stable storage.
        store.put("/first-steps/greeting.txt", b"Hello, cluster!\n")
        print(store.get("/first-steps/greeting.txt").decode(), end="")

        # Files of any size are written and read piece by piece; memory stays flat.
        with store.open("/first-steps/numbers.csv", "wb") as file:
            for number in range(10_000):
                file.write(f"{number},{number * number}\n".encode())
        with store.open("/first-steps/numbers.csv", "rb") as file:
            file.seek(-15, 2)
            print("last line:", file.readlines()[-1].decode(), end="")

        for info in store.list("/first-steps"):
            print(f"{info.path}  {info.size_bytes} bytes")

        # Errors are those that local files raise.
        try:
            store.put("/first-steps/greeting.txt", b"never stored", if_absent=True)
        except FileExistsError as error:
            print("refused:", error)

        # What was removed or replaced can be restored for a day, unless the cluster was made to forget sooner.
        store.remove("/first-steps/greeting.txt")
        store.restore("/first-steps/greeting.txt")
        print("restored:", store.exists("/first-steps/greeting.txt"))


if __name__ == "__main__":
    main()
