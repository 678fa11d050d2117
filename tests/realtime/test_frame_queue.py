import threading

import pytest

from jaxstyle.realtime.frame_queue import Handover


def in_thread(function):
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_order_is_kept_and_nothing_lost():
    handover = Handover(2)

    def give():
        for i in range(1000):
            assert handover.put(i) == 0
        handover.end()

    in_thread(give)
    assert list(handover) == list(range(1000))
    assert handover.over


def test_the_latest_item_takes_the_place_of_older_ones():
    handover = Handover(latest_only=True)
    assert [handover.put(i) for i in range(5)] == [0, 1, 1, 1, 1]
    assert handover.take() == 4
    assert handover.take(timeout=0) is None


def test_a_full_one_waits_for_the_taker():
    handover = Handover(1)
    handover.put("first")
    thread = in_thread(lambda: handover.put("second"))
    thread.join(0.05)
    assert thread.is_alive()
    assert handover.take() == "first"
    thread.join(5)
    assert handover.take() == "second"


@pytest.mark.parametrize("latest_only", [False, True])
def test_a_giver_is_not_held_up_by_a_taker_who_has_left(latest_only):
    handover = Handover(1, latest_only=latest_only)
    handover.put(1)
    thread = in_thread(lambda: handover.put(2))
    handover.abandon()
    thread.join(5)
    assert not thread.is_alive()
    assert handover.put(3) == 0
    assert handover.take() is None


def test_a_waiting_taker_hears_of_the_end():
    handover = Handover()
    taken = []
    thread = in_thread(lambda: taken.append(handover.take()))
    handover.end()
    thread.join(5)
    assert taken == [None]
