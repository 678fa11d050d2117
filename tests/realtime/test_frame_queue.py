import threading

import pytest

from jaxstyle.realtime.frame_queue import FrameQueue


def in_thread(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_order_is_kept_and_nothing_lost():
    queue = FrameQueue(2)

    def give():
        for i in range(1000):
            assert queue.put(i) == 0
        queue.end()

    in_thread(give)
    assert list(queue) == list(range(1000))
    assert queue.over


def test_the_latest_item_takes_the_place_of_older_ones():
    queue = FrameQueue(latest_only=True)
    assert [queue.put(i) for i in range(5)] == [0, 1, 1, 1, 1]
    assert queue.take() == 4
    assert queue.take(timeout=0) is None


def test_a_full_one_waits_for_the_taker():
    queue = FrameQueue(1)
    queue.put("first")
    thread = in_thread(lambda: queue.put("second"))
    thread.join(0.05)
    assert thread.is_alive()
    assert queue.take() == "first"
    thread.join(5)
    assert queue.take() == "second"


@pytest.mark.parametrize("latest_only", [False, True])
def test_a_giver_is_not_held_up_by_a_taker_who_has_left(latest_only):
    queue = FrameQueue(1, latest_only=latest_only)
    queue.put(1)
    thread = in_thread(lambda: queue.put(2))
    queue.abandon()
    thread.join(5)
    assert not thread.is_alive()
    assert queue.put(3) == 0
    assert queue.take() is None


def test_a_waiting_taker_hears_of_the_end():
    queue = FrameQueue()
    taken = []
    thread = in_thread(lambda: taken.append(queue.take()))
    queue.end()
    thread.join(5)
    assert taken == [None]
