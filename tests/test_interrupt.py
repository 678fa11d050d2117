import os
import signal

import pytest

from jaxstyle.interrupt import Stopped, StopRequest


@pytest.fixture(autouse=True)
def handlers_stay_as_they_were():
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    yield
    after = {s: signal.getsignal(s) for s in before}
    for s, handler in before.items():
        signal.signal(s, handler)
    assert after == before


@pytest.mark.parametrize(
    ("signum", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["ctrl-c", "kill", "terminal closed"],
)
def test_a_first_signal_is_a_request(signum, status):
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signum)
        assert stop.requested
        stopped = stop.stopped()
    assert isinstance(stopped, SystemExit)
    assert stopped.code == status


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.requested
    assert signal.signal(signal.SIGHUP, before) is signal.SIG_IGN


def test_a_second_ctrl_c_interrupts():
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_after_a_polite_kill_interrupts():
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_polite_kill_may_come_twice(again):
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), again)
        assert stop.signum == signal.SIGTERM


def test_outside_signals_do_what_they_did():
    with StopRequest():
        pass
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_stopped_ends_the_program_unless_caught():
    with pytest.raises(SystemExit) as exit_info:
        raise Stopped(signal.SIGTERM)
    assert exit_info.value.code == 143
