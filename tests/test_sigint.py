"""The handling of SIGINT during a run: handlers, second signals, errors, threads."""

import signal
import threading
from unittest.mock import patch

import pytest
from interrupted_runs import STEPS, at, ctrl_c, interrupted, run

from hhplug import HHPlugError, Interrupted
from hhplug.running.interruption import Interruption

pytestmark = pytest.mark.usefixtures("sigint_handler")


def test_an_interruption_is_a_KeyboardInterrupt_and_not_an_Exception():
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, (Exception, HHPlugError))


def test_a_second_interruption_stops_the_run_at_once():
    with pytest.raises(KeyboardInterrupt) as stop:
        run(progress=at(0.5, lambda: ctrl_c(2)))
    assert type(stop.value) is KeyboardInterrupt


def test_the_second_interruption_restores_the_handler_by_itself(sigint_handler):
    interruption = Interruption()
    interruption.hold()
    ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        ctrl_c()
    assert signal.getsignal(signal.SIGINT) is sigint_handler


def test_an_error_after_an_interruption_does_not_hide_it():
    def fails():
        ctrl_c()
        raise ZeroDivisionError

    with pytest.raises(KeyboardInterrupt) as stop:
        run(progress=at(0.5, fails))
    assert type(stop.value) is KeyboardInterrupt
    assert isinstance(stop.value.__cause__, ZeroDivisionError)


def test_an_error_without_an_interruption_is_raised_unchanged(sigint_handler):
    def fails():
        assert signal.getsignal(signal.SIGINT) is not sigint_handler
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(progress=at(0.5, fails))


def test_an_interruption_stops_the_preparation_at_once():
    reached = []

    def prepare(*_):
        ctrl_c()
        reached.append("the next line")

    with (
        patch("hhplug.reference.ReferenceBackend.prepare", prepare),
        pytest.raises(KeyboardInterrupt) as stop,
    ):
        run()
    assert type(stop.value) is KeyboardInterrupt
    assert reached == []


def test_an_interruption_before_the_first_block_has_no_result():
    hold = Interruption.hold

    def hold_and_interrupt(interruption):
        hold(interruption)
        ctrl_c()

    with (
        patch.object(Interruption, "hold", hold_and_interrupt),
        pytest.raises(KeyboardInterrupt) as stop,
    ):
        run()
    assert type(stop.value) is KeyboardInterrupt


@pytest.mark.parametrize("other", [signal.SIG_IGN, "own"])
def test_a_signal_handler_of_the_user_is_kept(sigint_handler, other):
    heard = []
    theirs = (lambda *_: heard.append("theirs")) if other == "own" else other
    signal.signal(signal.SIGINT, theirs)
    try:
        result = run(progress=at(0.5))
        assert signal.getsignal(signal.SIGINT) is theirs
    finally:
        signal.signal(signal.SIGINT, sigint_handler)
    assert result.problem.n_steps == STEPS
    assert heard == (["theirs"] if other == "own" else [])


def test_a_run_in_another_thread_installs_no_signal_handler(sigint_handler):
    handlers = []
    thread = threading.Thread(
        target=lambda: run(progress=lambda _: handlers.append(signal.getsignal(signal.SIGINT)))
    )
    thread.start()
    thread.join()
    assert set(handlers) == {sigint_handler}


def test_a_run_within_another_leaves_the_interruption_to_the_outer_one():
    inner = []

    def nested():
        inner.append(run(last=100, progress=at(0.5)))

    outer = interrupted(progress=at(0.5, nested)).result
    assert inner[0].problem.n_steps == 100
    assert outer.problem.n_steps == 176
