from benchmarks.profiles import shares


def test_shares_are_those_of_the_innermost_functions() -> None:
    assert shares(["main;seal (seal.py:7) 6", "main;other;seal (seal.py:9) 2", "main;send (call.py) 2"]) == [
        (0.8, "seal (seal.py)"),
        (0.2, "send (call.py)"),
    ]


def test_a_function_without_a_name_counts_for_its_caller() -> None:
    assert shares(["main;copy (call.py);0x7f00 (libc.so.6);0x7f01 (libc.so.6) 3", "0x7f02 (libc.so.6) 1"]) == [
        (0.75, "below copy (call.py)"),
        (0.25, "0x7f02 (libc.so.6)"),
    ]


def test_threads_that_wait_do_not_count() -> None:
    stacks = ["poll;epoll_wait (libc.so.6) 50", "pthread_cond_timedwait;0x7f00 (libc.so.6) 50", "work (a.py) 1"]
    assert shares(stacks) == [(1.0, "work (a.py)")]


def test_nothing_sampled_has_no_shares() -> None:
    assert shares([]) == []
