"""Faults that a backend may have, and the tests of the suite that detect each."""

from dataclasses import dataclass, field
from typing import Any

from hhplug.testing import BackendSuite


@dataclass(frozen=True)
class Fault:
    """A class of `sabotaged`, or a wrong BackendSpec of the faultless backend."""

    name: str
    fails: tuple[str, ...]  # tests that must detect it
    passes: tuple[str, ...]  # tests of other topics, which must pass
    horizon: str = "short"
    raises: str = ""  # the error of the run, if it raises one
    record: dict[str, Any] = field(default_factory=dict)
    says: str = ""  # a part of each test's first message

    def __str__(self) -> str:
        return self.name

    @property
    def factory(self) -> str:
        """Its path: `sabotaged` has a module for each topic, here that of the test."""
        if self.name.islower():
            return "sabotaged.faultless:Faultless"
        topic = getattr(BackendSuite, self.fails[0]).__module__.rpartition(".")[2]
        return f"sabotaged.{topic}:{self.name}"


FAULTS = [
    Fault(
        "UnguardedSingularity",
        fails=("test_the_singular_voltages_are_harmless", "test_the_rates_are_within_bounds"),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "RateOffByOnePercent",
        fails=("test_the_rates_are_within_bounds",),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "Float32PosingAsFloat64",
        fails=("test_float64_is_float64_throughout", "test_the_rates_are_within_bounds"),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "OneRateInFloat32",
        fails=("test_float64_is_float64_throughout", "test_the_rates_are_within_bounds"),
        passes=("test_the_order_of_convergence_is_four",),
    ),
    Fault(
        "SecondOrder",
        fails=("test_the_order_of_convergence_is_four",),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "CapacitanceOffByAMillionth",
        fails=("test_a_trace_of_5_ms_is_within_bounds",),
        passes=("test_the_rates_are_within_bounds",),
    ),
    Fault(
        "CurrentOffAfter10ms",
        fails=("test_a_trace_of_50_ms_is_within_bounds",),
        passes=("test_a_trace_of_5_ms_is_within_bounds",),
        horizon="long",
    ),
    Fault(
        "CurrentOffAfter60ms",
        fails=("test_spike_times_and_the_fi_curve_over_200_ms_are_the_references",),
        passes=("test_a_trace_of_5_ms_is_within_bounds",),
        horizon="long",
    ),
    Fault(
        "DriftingGate",
        fails=("test_a_long_run_stays_finite",),
        passes=("test_the_order_of_convergence_is_four",),
    ),
    Fault(
        "StaleLastNeuron",
        fails=(
            "test_a_neuron_is_the_same_in_a_population_of_any_size",
            "test_a_permutation_of_neurons_permutes_the_result",
        ),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "RestOfAVectorRoundsOtherwise",
        fails=(
            "test_a_neuron_is_the_same_in_a_population_of_any_size",
            "test_a_permutation_of_neurons_permutes_the_result",
        ),
        passes=("test_a_trace_of_5_ms_is_within_bounds",),
    ),
    Fault(
        "ParametersOfNeuron0",
        fails=("test_every_parameter_may_be_per_neuron",),
        passes=("test_uniform_and_per_neuron_parameters_are_the_same",),
    ),
    Fault(
        "UniformParametersRoundOtherwise",
        fails=("test_uniform_and_per_neuron_parameters_are_the_same",),
        passes=("test_every_parameter_may_be_per_neuron",),
        horizon="long",  # near rest, rounding hides the difference
    ),
    Fault(
        "NaNThatStays",
        fails=("test_a_neuron_that_blows_up_stays_alone_and_leaves_nothing_behind",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "NaNThatSpreads",
        fails=("test_a_neuron_that_blows_up_stays_alone_and_leaves_nothing_behind",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "NaNThatIsHidden",
        fails=("test_a_neuron_that_blows_up_is_warned_of",),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "ClockOfTheBlock",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_two_runs_laid_end_to_end_are_one_run",),
    ),
    Fault(
        "Float32Clock",
        fails=("test_time_is_the_step_times_dt_however_late",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "RowsOfABlockReversed",
        fails=("test_a_form_of_current_gives_the_references_trace",),
        passes=("test_time_is_the_step_times_dt_however_late",),
    ),
    Fault(
        "RowsOfTheNextNeuron",
        fails=("test_a_form_of_current_gives_the_references_trace",),
        passes=("test_two_runs_laid_end_to_end_are_one_run",),
    ),
    Fault(
        "RowsUsedAsRoom",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "RowsCountedFromTimeZero",
        fails=("test_two_runs_laid_end_to_end_are_one_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "LiveState",
        fails=("test_what_was_read_stays_as_it_was",),
        passes=("test_two_runs_laid_end_to_end_are_one_run",),
    ),
    Fault(
        "Float32State",
        fails=("test_the_first_sample_is_the_initial_state_and_the_final_state_is_none",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "StateOneStepTooFar",
        fails=("test_two_runs_laid_end_to_end_are_one_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "StateMovedToRestAndBack",
        fails=("test_two_runs_laid_end_to_end_are_one_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "SamplesCountedFromTheBlock",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_what_is_recorded_selects_and_does_not_change",),
    ),
    Fault(
        "OneBufferForTwoBlocks",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_what_is_recorded_selects_and_does_not_change",),
    ),
    Fault(
        "RecordedNeuronsSorted",
        fails=("test_what_is_recorded_selects_and_does_not_change",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "RecordingRoundsOtherwise",
        fails=("test_what_is_recorded_selects_and_does_not_change",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "AtomicSums",
        fails=("test_the_same_run_again_is_the_same",),
        passes=("test_a_trace_of_5_ms_is_within_bounds",),
    ),
    Fault(
        "DeviceSamplesOfEveryStep",
        fails=("test_device_arrays_hold_what_the_host_would_have",),
        passes=("test_what_is_recorded_selects_and_does_not_change",),
        record={"capabilities": {"device_arrays": True}},
    ),
    Fault(
        "ReusedSpikeArrays",
        fails=("test_what_was_read_stays_as_it_was",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikeLostInABlocksLastStep",
        fails=("test_a_spike_on_a_block_boundary_is_found_once",),
        passes=("test_without_spikes_the_trajectory_is_the_same",),
    ),
    Fault(
        "SpikeOfABlocksLastStepTwice",
        fails=("test_a_spike_on_a_block_boundary_is_found_once",),
        passes=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
    ),
    Fault(
        "OneSpikePerNeuronAndBlock",
        fails=("test_two_spikes_in_a_short_time_and_one_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikesOneStepLate",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
    ),
    Fault(
        "ThresholdIgnored",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "CountsDoubledWithoutTimes",
        fails=("test_counts_do_not_depend_on_whether_times_are_kept",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikesRoundOtherwise",
        fails=("test_without_spikes_the_trajectory_is_the_same",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "ParametersOfTheLatestSession",
        fails=("test_two_sessions_at_once_do_not_disturb_each_other",),
        passes=("test_the_same_run_again_is_the_same",),
    ),
    Fault(
        "SessionThatClosesOnce",
        fails=("test_a_session_may_be_closed_twice_and_unfinished",),
        passes=("test_the_same_run_again_is_the_same",),
        raises="RuntimeError: this session is closed",
    ),
    Fault(
        "NamelessDevice",
        fails=("test_the_factory_makes_a_backend_that_names_its_device",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "no_summary",
        fails=("test_the_record_is_complete",),
        passes=("test_listing_imports_nothing_heavy",),
        record={"summary": " "},
    ),
    Fault(
        "no_install_hint",
        fails=("test_the_record_is_complete",),
        passes=("test_the_same_run_again_is_the_same",),
        record={"requires": ("numpy",)},
    ),
    Fault(
        "heavy_listing",
        fails=("test_listing_imports_nothing_heavy",),
        passes=("test_the_record_is_complete",),
        record={"before": "import sabotaged.faultless"},
    ),
    Fault(
        "probe_that_crashes",
        fails=("test_the_probe_answers_also_where_no_device_shows",),
        passes=("test_the_record_is_complete",),
        record={"probe": "sabotaged.record:probe_that_crashes"},
    ),
    Fault(
        "probe_that_offers_no_fix",
        fails=("test_the_probe_answers_also_where_no_device_shows",),
        passes=("test_the_record_is_complete",),
        record={"probe": "sabotaged.record:probe_that_offers_no_fix"},
    ),
    Fault(
        "every_device_taken",
        fails=("test_a_device_that_is_not_there_is_refused",),
        passes=("test_the_record_is_complete",),
        record={"capabilities": {"device_index": True}},
    ),
    Fault(
        "SpikesBeyondTheRoomLost",
        fails=("test_two_spikes_in_a_short_time_and_one_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikesBeyondALargeRoomLost",
        fails=("test_two_spikes_in_a_short_time_and_one_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
        horizon="long",
    ),
    Fault(
        "SpikesGivenWithCounts",
        fails=("test_spikes_that_nobody_asked_for_are_not_given",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
    ),
    Fault(
        "CountsThoughOff",
        fails=("test_spikes_that_nobody_asked_for_are_not_given",),
        passes=("test_without_spikes_the_trajectory_is_the_same",),
    ),
    Fault(
        "IndexOf22Bits",
        fails=("test_millions_of_neurons_are_computed_as_a_few_are",),
        passes=("test_a_neuron_is_the_same_in_a_population_of_any_size",),
        horizon="long",
    ),
    Fault(
        "ByteOrderIgnored",
        fails=("test_a_form_of_current_gives_the_references_trace",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "StridesIgnored",
        fails=("test_a_form_of_current_gives_the_references_trace",),
        passes=("test_time_is_the_step_times_dt_however_late",),
    ),
    Fault(
        "TwoSetsOfSpikeArrays",
        fails=("test_what_was_read_stays_as_it_was",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikeFromTheThresholdItself",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "StepCountOf32Bits",
        fails=("test_time_is_the_step_times_dt_however_late",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "LastFullGroupOf64Lost",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="of the final state is off by",
    ),
    Fault(
        "LastFullGroupOf256Lost",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "ArrayCurrentNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "GainOfTheSecondWaveformNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "NinthWaveformIgnored",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "RecordOrderLostInTheSecondBlock",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="the recorded neurons are in another order from block ",
    ),
    Fault(
        "OneVariantRoundsOtherwise",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="differs",
    ),
    Fault(
        "LastRowWrittenPastItsEnd",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="is written past its last row",
    ),
    Fault(
        "SamplesOneStepLate",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="the samples are one late: ",
    ),
    Fault(
        "ParametersUsedAsRoom",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_record_is_complete",),
        says="the backend changed an array of the problem",
    ),
    Fault(
        "DtOfTheLatestSession",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "ThresholdOfTheLatestSession",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "ClosingASessionEndsAllOthers",
        fails=("test_sessions_that_differ_in_everything_do_not_disturb_each_other",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "ScratchSharedByThreads",
        fails=("test_two_threads_at_once_are_both_right",),
        passes=("test_the_record_is_complete",),
    ),
    Fault(
        "WrongInAFork",
        fails=("test_a_forked_process_computes_or_is_refused",),
        passes=("test_the_record_is_complete",),
        record={"capabilities": {"fork": True}},
        says="a forked process computes something else",
    ),
    Fault(
        "OutputPrinted",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_record_is_complete",),
        says="a run prints to standard output",
    ),
    Fault(
        "RandomNumbersDrawn",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_record_is_complete",),
        says="a run changes NumPy's random state",
    ),
    Fault(
        "EnvironmentChanged",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_record_is_complete",),
        says="a run changes the environment",
    ),
    Fault(
        "WarningsSilenced",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_record_is_complete",),
        says="a run changes the warning filters",
    ),
    Fault(
        "DenormalsSwitchedOff",
        fails=("test_the_process_stays_as_it_was",),
        passes=("test_the_record_is_complete",),
        says="a run changes denormal numbers",
    ),
    Fault(
        "EveryProblemKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_record_is_complete",),
        says="problems are left behind by",
    ),
    Fault(
        "EveryFileKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_record_is_complete",),
        says="open files are left behind by",
    ),
    Fault(
        "EveryChildKept",
        fails=("test_nothing_is_left_behind_by_many_runs",),
        passes=("test_the_record_is_complete",),
        says="child processes are left behind by",
    ),
]
