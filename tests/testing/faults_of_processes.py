"""Faults of sessions side by side, and of what a backend does to its process."""

from faults import Fault

OF_PROCESSES = [
    Fault(
        "DtOfTheLatestSession",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "ThresholdOfTheLatestSession",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "ClosingASessionEndsAllOthers",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "ScratchSharedByThreads",
        fails=("test_threads_at_once_are_all_right",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "WrongInAFork",
        fails=("test_a_forked_process_computes_or_is_refused",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"fork": True}},
        says="a forked process computes something else",
    ),
    Fault(
        "OutputPrinted",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_spec_is_complete",),
        says="a run prints to standard output",
    ),
    Fault(
        "RandomNumbersDrawn",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_spec_is_complete",),
        says="a run changes NumPy's random state",
    ),
    Fault(
        "EnvironmentChanged",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_spec_is_complete",),
        says="a run changes the environment",
    ),
    Fault(
        "WarningsSilenced",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_spec_is_complete",),
        says="a run changes the warning filters",
    ),
    Fault(
        "DenormalsSwitchedOff",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_spec_is_complete",),
        says="a run changes denormal numbers",
    ),
    Fault(
        "EveryProblemKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_spec_is_complete",),
        says="problems are left behind by",
    ),
    Fault(
        "EveryFileKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_spec_is_complete",),
        says="open files are left behind by",
    ),
    Fault(
        "EveryChildKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_spec_is_complete",),
        says="child processes are left behind by",
    ),
    Fault(
        "AtMost32SpikesANeuronAndBlock",
        fails=("test_the_longest_block_has_a_thousand_spikes_of_each_neuron",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
        horizon="long",
        says="spike count",
    ),
    Fault(
        "NaNGatesBehindAClampedV",
        fails=("test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run",),
        passes=("test_repeating_a_run_gives_the_same_result",),
        says="all four variables of the neuron",
    ),
    Fault(
        "DenormalsSwitchedOffByEachRun",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=("test_the_spec_is_complete",),
        says="the first run of a process changes denormal numbers",
    ),
    Fault(
        "GarbageCollectionSwitchedOff",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=("test_the_spec_is_complete",),
        says="the first run of a process changes garbage collection",
    ),
    Fault(
        "FileBesideThePackage",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=("test_the_spec_is_complete",),
        says="the first run of a process changes files beside the package",
    ),
    Fault(
        "OutputOfCAtTheEnd",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=("test_the_spec_is_complete",),
        says="a run prints to standard output",
    ),
    Fault(
        "ProcessThatNeverEnds",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=("test_the_spec_is_complete",),
        says="a process that has run the backend doesn't end within ",
    ),
    Fault(
        "BuffersOfOneSizeShared",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_two_concurrent_sessions_do_not_affect_each_other",),
        says="a session beside others differs: V",
    ),
    Fault(
        "SessionBoundToItsThread",
        fails=("test_threads_may_take_turns_with_a_session",),
        passes=("test_threads_at_once_are_all_right",),
        says="a session that two threads take turns with differs: V",
    ),
    Fault(
        "OnlyTheLatestBackendWorks",
        fails=("test_a_backend_that_is_opened_twice_is_right_twice",),
        passes=("test_the_spec_is_complete",),
        says="with a second backend open a run differs: V",
    ),
]
