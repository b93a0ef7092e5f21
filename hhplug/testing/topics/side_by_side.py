"""Tests that sessions, threads and forked processes side by side don't disturb each other."""

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from hhplug.errors import BackendUnavailable
from hhplug.plugins import choice
from hhplug.problem import DTYPES, Problem
from hhplug.running.memory_recorder import MemoryRecorder
from hhplug.running.simulate import simulate
from hhplug.testing.kit import Kit, Run, assert_equal, assert_same
from hhplug.testing.problems import Population
from hhplug.testing.rules import NOT_DECLARED

BLOCK = 4  # steps
EACH = 9  # neurons of each of many sessions
FORK_SECONDS = 60  # s that a forked process may take; a hanging one would wait for ever
RIGHT, WRONG, REFUSED = 0, 1, 2  # exit codes of the forked process


def _steps(kit: Kit) -> int:
    return kit.steps(3 * BLOCK, 2 * BLOCK)


def _different(kit: Kit) -> list[Problem]:
    """Problems that differ in everything; the second is in another precision if there is one.

    The third has as many neurons as the first, so that a pool would give both the same buffers.
    """
    steps = _steps(kit)
    other = [dtype for dtype in DTYPES if dtype != kit.dtype]
    dtypes = [dtype for dtype in other if dtype in kit.spec.capabilities.dtypes]
    one = Population(257, steps).arguments(record=("V",))
    changed: dict[str, Any] = {"dt": 0.01, "T": 0.01 * steps, "record_every": 3}
    changed |= {"spike_threshold": -40.0, "record": ("n", "V"), "record_neurons": [7, 0]}
    two = Population(65, steps, "array", seed=65).arguments(**changed)
    two["dtype"] = dtypes[0] if dtypes else kit.dtype
    three = Population(257, steps, seed=3).arguments(record=("V",), stimulus=None)
    return [kit.problem(**one), Problem(**two), kit.problem(**three)]


def _raise_in_the_middle(kit: Kit, problem: Problem) -> None:
    with kit.session(problem, BLOCK) as session:
        session.advance(BLOCK)
        raise ZeroDivisionError


class SideBySideTests:
    @pytest.mark.kit_level(2)
    def test_sessions_that_differ_in_everything_do_not_disturb_each_other(self, kit: Kit):
        problems, steps = _different(kit), _steps(kit)
        alone = [kit.run_in_blocks(problem, [BLOCK]) for problem in problems]
        recorders = [MemoryRecorder(problem) for problem in problems]
        kit.budget.steps += 3 * steps + 2 * BLOCK
        with ExitStack() as stack:
            sessions = [stack.enter_context(kit.session(problem, BLOCK)) for problem in problems]
            early = kit.session(problems[0], BLOCK)
            early.advance(BLOCK)
            for done in range(0, steps, BLOCK):
                blocks = [session.advance(BLOCK) for session in sessions]
                if done == 0:
                    early.close()  # with a block that is never read
                    with pytest.raises(ZeroDivisionError):
                        _raise_in_the_middle(kit, problems[1])
                for block, recorder, problem in zip(blocks, recorders, problems, strict=True):
                    recorded = recorder.block(problem.start_step + done, BLOCK)
                    block.read(recorded)
                    recorder.collect(recorded)
            states = [session.state() for session in sessions]
        for recorder, final, right in zip(recorders, states, alone, strict=True):
            ours = Run(*recorder.finish(steps, final), final)
            assert_same(ours, right, "a session beside others differs")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_dozens_of_sessions_may_be_open_at_once(self, kit: Kit):
        count, steps = kit.steps(40, 10), kit.steps(2 * BLOCK, BLOCK)
        population = Population(count * EACH, steps)
        whole = kit.run(**population.arguments())
        kit.budget.steps += count * steps
        with ExitStack() as stack:
            parts = [slice(i * EACH, (i + 1) * EACH) for i in range(count)]
            problems = [kit.problem(**population.arguments(part)) for part in parts]
            sessions = [stack.enter_context(kit.session(problem, BLOCK)) for problem in problems]
            recorders = [MemoryRecorder(problem) for problem in problems]
            for first in range(0, steps, BLOCK):
                blocks = [session.advance(BLOCK) for session in sessions]
                for block, recorder in zip(blocks, recorders, strict=True):
                    block.read(recorder.block(first, BLOCK))
            for part, session, recorder in zip(parts, sessions, recorders, strict=True):
                what = f"of {count} sessions the one of neurons {part.start} to {part.stop - 1}"
                variables = session.state().variables
                assert_equal(variables, whole.final_state[:, part], f"{what}: final state")
                assert_equal(recorder.samples["V"], whole.V[:, part], f"{what}: V")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_threads_at_once_are_all_right(self, kit: Kit):
        problems, repeats = _different(kit), 1 if kit.short else 8
        alone = [kit.run_in_blocks(problem, [BLOCK]) for problem in problems]

        def again(problem: Problem) -> list[Any]:
            return [kit.run_in_blocks(problem, [BLOCK]) for _ in range(repeats)]

        with ThreadPoolExecutor(len(problems)) as threads:
            for runs, right in zip(threads.map(again, problems), alone, strict=True):
                for run in runs:
                    assert_same(run, right, "a run beside another thread's differs")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_threads_may_take_turns_with_a_session(self, kit: Kit):
        problem, steps = _different(kit)[0], _steps(kit)
        alone = kit.run_in_blocks(problem, [BLOCK])
        kit.budget.steps += steps
        recorder = MemoryRecorder(problem)
        with ThreadPoolExecutor(1) as other, kit.session(problem, BLOCK) as session:
            for done in range(0, steps, BLOCK):
                recorded = recorder.block(problem.start_step + done, BLOCK)
                if done % (2 * BLOCK):
                    block = session.advance(BLOCK)
                    other.submit(block.read, recorded).result()
                else:
                    block = other.submit(session.advance, BLOCK).result()
                    block.read(recorded)
                recorder.collect(recorded)
            final = other.submit(session.state).result()
        moved = Run(*recorder.finish(steps, final), final)
        assert_same(moved, alone, "a session that two threads take turns with differs")

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    def test_a_backend_that_is_opened_twice_is_right_twice(self, kit: Kit):
        problem = kit.problem(**Population(65, BLOCK).arguments())
        kit.budget.steps += 3 * problem.n_steps
        before = simulate(problem, kit.chosen)
        with ThreadPoolExecutor(1) as other:
            second = other.submit(choice.choose, kit.name).result()
        for opened in (kit.chosen, second):
            assert_same(
                simulate(problem, opened), before, "with a second backend open a run differs"
            )

    @pytest.mark.one_precision
    @pytest.mark.kit_level(2)
    @pytest.mark.skipif(not hasattr(os, "fork"), reason=f"{NOT_DECLARED}fork")
    @pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
    def test_a_forked_process_computes_or_is_refused(self, kit: Kit):
        problem = kit.problem(**Population(33, 3).arguments(record=()))
        right = simulate(problem, kit.chosen).final_state
        kit.budget.steps += 2 * problem.n_steps
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os._exit(_in_a_fork(kit, problem, right))
        declared = kit.spec.capabilities.fork
        code = _exit_code(child)
        assert code is not None, f"a forked process hangs; it was killed after {FORK_SECONDS} s"
        assert code == (RIGHT if declared else REFUSED), (
            "a forked process computes something else" if declared else "it isn't refused [forked]"
        )


def _in_a_fork(kit: Kit, problem: Problem, right: Any) -> int:
    try:
        assert_equal(simulate(problem, kit.chosen).final_state, right, "final state")
        return RIGHT
    except BackendUnavailable as error:
        return REFUSED if error.code == "forked" else WRONG
    except BaseException:
        return WRONG


def _exit_code(child: int) -> int | None:
    """Exit code of a process, negative for a signal; None, and it is killed, if it takes long."""
    end = time.monotonic() + FORK_SECONDS
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None
