"""Faults in what the kit once fixed and never varied, or never asked for."""

from faults import Fault

VARIED = ("test_a_varied_problem_is_right_and_obeys_every_law",)
SPEC = ("test_the_spec_is_complete",)

OF_CORNERS = [
    Fault(
        "DtOfHundredths",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "32"},
    ),
    Fault(
        "VariantsByWhatIsRecorded",
        fails=VARIED,
        passes=SPEC,
        rows={"record": "all"},
    ),
    Fault(
        "GateRecordedAloneIsTheNext",
        fails=VARIED,
        passes=SPEC,
        rows={"record": "one"},
    ),
    Fault(
        "RoomFor32Recorded",
        fails=VARIED,
        passes=SPEC,
        rows={"record_neurons": "reordered"},
        says="record_neurons: reordered",
    ),
    Fault(
        "RoomFor16Waveforms",
        fails=VARIED,
        passes=SPEC,
        rows={"current": "many waveforms"},
        says="current: many waveforms",
    ),
    Fault(
        "LargestC_mForAUniformCurrent",
        fails=VARIED,
        passes=SPEC,
        rows={"current": "held"},
    ),
    Fault(
        "IntegersWithASign",
        fails=VARIED,
        passes=SPEC,
        horizon="long",
        rows={"current": "integer array", "spikes": "counts", "record": "all"},
        says="current: integer array",
    ),
    Fault(
        "RecordEveryOf16Bits",
        fails=VARIED,
        passes=SPEC,
        rows={"record_every": "70000"},
        says="record_every: 70000",
    ),
    Fault(
        "StopsWhenAllAreNaN",
        fails=VARIED,
        passes=SPEC,
        horizon="long",
        rows={"neurons": "1"},
    ),
    Fault(
        "GroupOf32NaNsLeftOut",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "128"},
        says="alone differ from the",
    ),
    Fault(
        "SomePerNeuronRoundsOtherwise",
        fails=VARIED,
        passes=("test_uniform_and_per_neuron_parameters_are_the_same",),
        rows={"neurons": "33"},
        says="parameters that are given for each neuron change the final state",
    ),
    Fault(
        "LastGroupOf96Lost",
        fails=VARIED,
        passes=SPEC,
        rows={"neurons": "67200"},
        says="neuron 67104",
    ),
    Fault(
        "VoltageClampedAtMinus150",
        fails=("test_voltages_far_beyond_those_of_a_spike_are_computed_too",),
        passes=("test_the_rates_are_within_bounds",),
        says="V is off by",
    ),
    Fault(
        "ArrayKeptFromRunToRun",
        fails=("test_an_array_that_its_user_has_changed_is_read_again",),
        passes=("test_every_form_of_current_gives_the_trace_of_the_reference",),
        says="after the user's array has changed, a run differs: V",
    ),
    Fault(
        "BlockBoundToItsThread",
        fails=("test_threads_may_take_turns_with_a_session",),
        passes=("test_threads_at_once_are_all_right",),
        says="a session that two threads take turns with differs: V",
    ),
    Fault(
        "OpenedInTheMainThreadAlone",
        fails=("test_a_backend_that_is_opened_twice_is_right_twice",),
        passes=SPEC,
        raises="hhplug.errors.BackendUnavailable",
        says="signal only works in main thread",
    ),
    Fault(
        "FunctionOfJsonReplaced",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=SPEC,
        says="the first run of a process changes Python's functions",
    ),
    Fault(
        "CacheThatMustBeWritable",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=SPEC,
        says="a new process fails, which can write to temporary files alone",
    ),
    Fault(
        "VariantOfTheProcess",
        fails=("test_a_new_process_stays_as_it_was_and_ends",),
        passes=SPEC,
        says="a run in another process differs: final state",
    ),
    Fault(
        "OneCountANeuronAndBlock",
        fails=("test_many_spikes_of_a_neuron_in_one_block_are_counted_without_times",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
        says="spike count without times",
    ),
    Fault(
        "CountsOf8Bits",
        fails=("test_many_spikes_of_a_neuron_in_one_block_are_counted_without_times",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
        horizon="long",
        says="spike count without times",
    ),
    Fault(
        "FiniteAtTheEndUnlooked",
        fails=("test_a_neuron_that_isnt_finite_after_the_last_step_is_told",),
        passes=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        says="first invalid steps",
    ),
    Fault(
        "ReleasedMemoryInUse",
        fails=("test_a_later_run_does_not_change_a_result",),
        passes=("test_repeating_a_run_gives_the_same_result",),
        says="after memory was released, a run differs: V",
    ),
]
