"""What a run can continue from."""

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from numpy.typing import ArrayLike

from hhplug.errors import InvalidInput
from hhplug.membranes.membrane import Membrane
from hhplug.state import State
from hhplug.validity import Invalid

if TYPE_CHECKING:
    from hhplug.problem import Problem


@runtime_checkable
class Resumable(Protocol):
    """An object from which a run can continue, for example a `Result`."""

    @property
    def problem(self) -> "Problem": ...
    @property
    def final(self) -> State: ...
    @property
    def invalid(self) -> Invalid: ...
    @property
    def next_step(self) -> int: ...  # the step that begins with the final state


def check_resume(
    resume: Resumable,
    initial_state: ArrayLike | None,
    start_step: int | None,
    membrane: Membrane,
) -> None:
    """Raise InvalidInput unless a run of this membrane can continue `resume`.

    initial_state, start_step: must be None, because `resume` has both.
    """
    if not isinstance(resume, Resumable):
        raise InvalidInput(
            f"resume must be a Result, got {type(resume).__name__}; "
            "hhplug.load_result(path) reads a saved one"
        )
    theirs = resume.problem.membrane
    if theirs.states != membrane.states:
        raise InvalidInput(
            f"resume has the states {', '.join(theirs.states)} of the membrane {theirs.name}, and "
            f"the membrane {membrane.name} has {', '.join(membrane.states)}; "
            "use membrane=result.membrane"
        )
    for name, value in {"initial_state": initial_state, "start_step": start_step}.items():
        if value is not None:
            raise InvalidInput(
                f"{name} must be left out beside resume, which carries the state and the time; "
                "for another time use initial_state=result.final_state and start_step instead"
            )


def same_features(
    before: "Problem",
    features: tuple[str, ...],
    window_steps: tuple[int, int] | None,
    dt: float,
    spike_threshold: float,
) -> bool:
    """Whether a run is asked for the features of the run before, so that it goes on with them.

    window_steps: None for a run without a window. dt: ms. spike_threshold: mV.
    """
    return (
        set(features) == set(before.features)
        and window_steps == (before.window and before.window_steps)
        and dt == before.dt
        and spike_threshold == before.spike_threshold
    )
