"""Faults that show in a choice of inputs that few tests make, or after many blocks or sessions."""

from faults import Fault

VARIED = ("test_a_varied_problem_is_right_and_obeys_every_law",)
SPEC = ("test_the_spec_is_complete",)

OF_VARIETY = [
    Fault(
        "LastGroupOf2048Lost",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "16384"},
    ),
    Fault(
        "SomePerNeuronParametersOfNeuron0",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "31"},
        says="parameters: some per neuron, some zero",
    ),
    Fault(
        "DividedByAConductance",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "31"},
        says="parameters: some per neuron, some zero",
    ),
    Fault(
        "StepsOfUint32",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "16384"},
        says="start_step: 4294989998",
    ),
    Fault(
        "WholeStepsOfAMs",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "16384"},
        says="start_step: 4294989998",
    ),
    Fault(
        "InvalidBelow64Alone",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "128"},
        says="is told to be invalid from step ",
    ),
    Fault(
        "MembranesByName",
        fails=VARIED,
        passes=SPEC,
        spec={"capabilities": {"membranes": "any"}},
        raises="ValueError: zip() argument 2 is ",  # the other has more states or fewer
    ),
    Fault(
        "OrderedSpikesTimedFromTheRun",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "255"},
        spec={"capabilities": {"ordered_spikes": True}},
        says="with spikes that come at the run's end, it differs: spike times",
    ),
    Fault(
        "StateOfTheLatestSession",
        fails=("test_a_later_run_does_not_change_a_result",),
        passes=("test_repeating_a_run_gives_the_same_result",),
        says="as it was before another run",
    ),
    Fault(
        "BlocksCountedIn8Bits",
        fails=("test_hundreds_of_blocks_give_the_run_of_one",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
        horizon="long",
    ),
    Fault(
        "RoomForEightSessions",
        fails=("test_dozens_of_sessions_may_be_open_at_once",),
        passes=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        says="of 10 sessions the one of neurons 0 to 8: ",
    ),
    Fault(
        "SpikeAtTheThresholdItselfLost",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "FeaturesOf64Lanes",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "samples"}},
    ),
    Fault(
        "TemporaryFileOfEachRun",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=SPEC,
        says="a process leaves temporary files behind: block-",
    ),
    Fault(
        "FunctionForTheEndOfEachRun",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=SPEC,
        says="functions for the process's end are left behind by",
    ),
]
