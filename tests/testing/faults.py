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
    spec: dict[str, Any] = field(default_factory=dict)
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


DEVICES: dict[str, Any] = {"capabilities": {"device_index": True}}
STIFF: dict[str, Any] = {"capabilities": {"methods": ("rk4", "stiff")}}

FAULTS = [
    Fault(
        "UnguardedSingularity",
        fails=(
            "test_runs_from_the_singular_voltages_are_accurate",
            "test_the_rates_are_within_bounds",
        ),
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
        fails=("test_spike_times_and_counts_over_200_ms_are_those_of_the_reference",),
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
        passes=("test_repeating_a_run_gives_the_same_result",),
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
        fails=("test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "NaNThatSpreads",
        fails=("test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "NaNThatIsHidden",
        fails=("test_a_neuron_that_blows_up_gives_a_warning",),
        passes=("test_a_long_run_stays_finite",),
    ),
    Fault(
        "ClockOfTheBlock",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_two_consecutive_runs_equal_one_long_run",),
    ),
    Fault(
        "Float32Clock",
        fails=("test_time_is_the_step_times_dt_however_late",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "RowsOfABlockReversed",
        fails=("test_every_form_of_current_gives_the_trace_of_the_reference",),
        passes=("test_time_is_the_step_times_dt_however_late",),
    ),
    Fault(
        "RowsOfTheNextNeuron",
        fails=("test_every_form_of_current_gives_the_trace_of_the_reference",),
        passes=("test_two_consecutive_runs_equal_one_long_run",),
    ),
    Fault(
        "RowsUsedAsRoom",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "RowsCountedFromTimeZero",
        fails=("test_two_consecutive_runs_equal_one_long_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "LiveState",
        fails=("test_later_blocks_do_not_change_what_was_read",),
        passes=("test_two_consecutive_runs_equal_one_long_run",),
    ),
    Fault(
        "Float32State",
        fails=("test_the_first_sample_is_the_initial_state_and_no_sample_is_the_final_state",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "StateOneStepTooFar",
        fails=("test_two_consecutive_runs_equal_one_long_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "StateMovedToRestAndBack",
        fails=("test_two_consecutive_runs_equal_one_long_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "SamplesCountedFromTheBlock",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
    ),
    Fault(
        "OneBufferForTwoBlocks",
        fails=("test_blocks_of_any_length_give_the_same_run",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
    ),
    Fault(
        "RecordedNeuronsSorted",
        fails=("test_recording_selects_samples_and_does_not_change_the_run",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "RecordingRoundsOtherwise",
        fails=("test_recording_selects_samples_and_does_not_change_the_run",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "AtomicSums",
        fails=("test_repeating_a_run_gives_the_same_result",),
        passes=("test_a_trace_of_5_ms_is_within_bounds",),
    ),
    Fault(
        "DeviceSamplesOfEveryStep",
        fails=("test_device_arrays_equal_the_arrays_of_a_run_on_the_host",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"device_arrays": True}},
    ),
    Fault(
        "ReusedSpikeArrays",
        fails=("test_later_blocks_do_not_change_what_was_read",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikeLostInABlocksLastStep",
        fails=("test_a_spike_on_a_block_boundary_is_found_once",),
        passes=("test_the_trajectory_is_the_same_if_spikes_are_off",),
    ),
    Fault(
        "SpikeOfABlocksLastStepTwice",
        fails=("test_a_spike_on_a_block_boundary_is_found_once",),
        passes=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
    ),
    Fault(
        "OneSpikePerNeuronAndBlock",
        fails=("test_spikes_in_quick_succession_and_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikesOneStepLate",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
    ),
    Fault(
        "SpikesOnAStraightLine",
        fails=("test_spikes_are_the_upward_crossings_of_the_stored_voltage",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
        says="a spike time, in steps, is off by",
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
        fails=("test_the_trajectory_is_the_same_if_spikes_are_off",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "ParametersOfTheLatestSession",
        fails=("test_two_concurrent_sessions_do_not_affect_each_other",),
        passes=("test_repeating_a_run_gives_the_same_result",),
    ),
    Fault(
        "GridCountedInInt32",
        fails=("test_a_session_for_the_longest_blocks_has_more_neuron_steps_than_32_bits_count",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
        says="neurons × steps must not be counted in 32 bits: spike count",
    ),
    Fault(
        "SessionThatClosesOnce",
        fails=("test_a_session_may_be_closed_twice_and_unfinished",),
        passes=("test_repeating_a_run_gives_the_same_result",),
        raises="RuntimeError: this session is closed",
    ),
    Fault(
        "NamelessDevice",
        fails=("test_the_factory_returns_a_backend_that_names_its_device",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "no_summary",
        fails=("test_the_spec_is_complete",),
        passes=("test_listing_imports_nothing_heavy",),
        spec={"summary": " "},
    ),
    Fault(
        "no_install_hint",
        fails=("test_the_spec_is_complete",),
        passes=("test_repeating_a_run_gives_the_same_result",),
        spec={"requires": ("numpy",)},
    ),
    Fault(
        "heavy_listing",
        fails=("test_listing_imports_nothing_heavy",),
        passes=("test_the_spec_is_complete",),
        spec={"before": "import sabotaged.faultless"},
    ),
    Fault(
        "slow_listing",
        fails=("test_listing_is_quick",),
        passes=("test_the_spec_is_complete",),
        spec={"before": "time.sleep(0.21)"},
        says=" s in a warm process, and may take 0.2 s, since every listing waits for it",
    ),
    Fault(
        "talkative_listing",
        fails=("test_listing_prints_nothing",),
        passes=("test_listing_imports_nothing_heavy",),
        spec={"before": "os.write(1, b'Thank you for using the toy!')"},
        says="loading the plugin prints 'Thank you for using the toy!'",
    ),
    Fault(
        "probe_that_crashes",
        fails=("test_the_probe_answers_with_and_without_visible_devices",),
        passes=("test_the_spec_is_complete",),
        spec={"probe": "sabotaged.spec:probe_that_crashes"},
    ),
    Fault(
        "probe_that_offers_no_fix",
        fails=("test_the_probe_answers_with_and_without_visible_devices",),
        passes=("test_the_spec_is_complete",),
        spec={"probe": "sabotaged.spec:probe_that_offers_no_fix"},
    ),
    Fault(
        "EveryDeviceTaken",
        fails=("test_a_device_that_does_not_exist_is_refused",),
        passes=("test_the_spec_is_complete",),
        spec=DEVICES,
    ),
    Fault(
        "AnotherCodeForAMissingDevice",
        fails=("test_a_missing_device_is_refused_by_the_code_that_ends_the_list_of_all",),
        passes=("test_a_device_that_does_not_exist_is_refused",),
        spec=DEVICES,
        says="device='all' takes it for a failure",
    ),
    Fault(
        "NoiseNumberedOnEachDevice",
        fails=("test_noise_on_two_devices_is_that_on_one_also_where_the_run_goes_on",),
        passes=("test_neurons_recorded_in_any_order_are_the_same_on_two_devices",),
        spec=DEVICES,
        says="a run on devices [0, 0] differs from that on device 0: V",
    ),
    Fault(
        "RowsApartLost",
        fails=("test_noise_on_two_devices_is_that_on_one_also_where_the_run_goes_on",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec=DEVICES,
    ),
    Fault(
        "StateApartLost",
        fails=(
            "test_neurons_recorded_in_any_order_are_the_same_on_two_devices",
            "test_noise_on_two_devices_is_that_on_one_also_where_the_run_goes_on",
        ),
        passes=("test_a_missing_device_is_refused_by_the_code_that_ends_the_list_of_all",),
        spec=DEVICES,
        says="a run on devices [0, 0] differs from that on device 0: final state",
    ),
    Fault(
        "SpikesBeyondTheRoomLost",
        fails=("test_spikes_in_quick_succession_and_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
    ),
    Fault(
        "SpikesBeyondALargeRoomLost",
        fails=("test_spikes_in_quick_succession_and_in_the_last_step_are_found",),
        passes=("test_a_spike_on_a_block_boundary_is_found_once",),
        horizon="long",
    ),
    Fault(
        "SpikesGivenWithCounts",
        fails=("test_spike_times_are_given_only_if_they_were_requested",),
        passes=("test_counts_do_not_depend_on_whether_times_are_kept",),
    ),
    Fault(
        "CountsThoughOff",
        fails=("test_spike_times_are_given_only_if_they_were_requested",),
        passes=("test_the_trajectory_is_the_same_if_spikes_are_off",),
    ),
    Fault(
        "IndexOf18Bits",
        fails=("test_millions_of_neurons_are_computed_like_a_few",),
        passes=("test_a_neuron_is_the_same_in_a_population_of_any_size",),
        horizon="long",
    ),
    Fault(
        "ByteOrderIgnored",
        fails=("test_every_form_of_current_gives_the_trace_of_the_reference",),
        passes=("test_blocks_of_any_length_give_the_same_run",),
    ),
    Fault(
        "StridesIgnored",
        fails=("test_every_form_of_current_gives_the_trace_of_the_reference",),
        passes=("test_time_is_the_step_times_dt_however_late",),
    ),
    Fault(
        "TwoSetsOfSpikeArrays",
        fails=("test_later_blocks_do_not_change_what_was_read",),
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
        passes=("test_the_spec_is_complete",),
        says="of the final state is off by",
    ),
    Fault(
        "LastFullGroupOf256Lost",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "ArrayCurrentNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "GainOfTheSecondWaveformNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "NinthWaveformIgnored",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
    ),
    Fault(
        "RecordOrderLostInTheSecondBlock",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        says="the recorded neurons are in another order from block ",
    ),
    Fault(
        "OneVariantRoundsOtherwise",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        says="differs",
    ),
    Fault(
        "LastRowWrittenPastItsEnd",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        says="is written past its last row",
    ),
    Fault(
        "SamplesOneStepLate",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        says="the samples are one late: ",
    ),
    Fault(
        "ParametersUsedAsRoom",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        says="the backend changed an array of the problem",
    ),
    Fault(
        "DefaultsOfOtherMembranes",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"membranes": "any"}},
        says="membrane: ",
    ),
    Fault(
        "PoolsAtRest",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"membranes": "any"}},
        says="membrane: calcium",
    ),
    Fault(
        "SamplesOfTheNextStep",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "samples"}},
    ),
    Fault(
        "SamplesShiftedBy65",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "samples"}},
    ),
    Fault(
        "NeuronsBackward",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "samples"}},
    ),
    Fault(
        "FeaturesOnlyWhereNothingIsRecorded",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "samples"}},
    ),
    Fault(
        "SumsBegunAnewInEveryBlock",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
    ),
    Fault(
        "CarriedSumsForgotten",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
        says="a run that was resumed",
    ),
    Fault(
        "WindowThatEndsWithTheRun",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
    ),
    Fault(
        "SumsThatAreZeroWhereUndefined",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
        says="a run in one block",
    ),
    Fault(
        "SumsOfSquaresRoundedOtherwise",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
        says="V_std of a run",
    ),
    Fault(
        "SumsLeftOut",
        fails=("test_features_that_a_backend_computes_are_the_core_s_bit_for_bit",),
        passes=("test_recording_selects_samples_and_does_not_change_the_run",),
        spec={"capabilities": {"features": "sums"}},
        raises="hhplug.errors.ContractViolation",
    ),
    Fault(
        "NoiseByPosition",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "HighWordOfTheNumberLost",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "HighWordOfTheSeedLost",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "FoursOfTheBlock",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "ProcessLostAtABlocksEnd",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "TauOfNeuron0",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "ProcessNotHandedOn",
        fails=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        passes=("test_the_spec_is_complete",),
        raises="hhplug.errors.ContractViolation: ",
        spec={"capabilities": {"noise": True}},
    ),
    Fault(
        "SigmaOfNeuron0",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        spec={"capabilities": {"noise": True}},
        says="current: ",
    ),
    Fault(
        "NoiseWithoutC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        spec={"capabilities": {"noise": True}},
        says="current: ",
    ),
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
        fails=("test_a_session_may_go_on_in_another_thread",),
        passes=("test_threads_at_once_are_all_right",),
        says="a session that another thread goes on with differs: V",
    ),
    Fault(
        "OnlyTheLatestBackendWorks",
        fails=("test_a_backend_that_is_opened_twice_is_right_twice",),
        passes=("test_the_spec_is_complete",),
        says="with a second backend open a run differs: V",
    ),
    Fault(
        "NonfiniteStartReplaced",
        fails=("test_a_run_may_begin_with_a_neuron_that_is_not_finite",),
        passes=("test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run",),
        says="a neuron that began as NaN is finite",
    ),
    Fault(
        "VoltageClampedAt150",
        fails=("test_voltages_far_above_those_of_a_spike_are_computed_too",),
        passes=("test_the_rates_are_within_bounds",),
        says="V is off by",
    ),
    Fault(
        "StiffIsRk4",
        fails=(
            "test_the_stiff_method_is_that_of_the_reference",
            "test_a_varied_problem_is_right_and_obeys_every_law",
        ),
        passes=("test_a_long_run_stays_finite",),
        spec=STIFF,
    ),
    Fault(
        "WrongExtrapolation",
        fails=(
            "test_the_stiff_method_is_of_fourth_order",
            "test_the_stiff_method_is_that_of_the_reference",
        ),
        passes=("test_the_order_of_convergence_is_four",),
        spec=STIFF,
    ),
    Fault(
        "CubicOfTheNextStepsCurrent",
        fails=("test_the_stiff_method_is_that_of_the_reference",),
        passes=("test_the_stiff_method_is_of_fourth_order",),
        spec=STIFF,
        says="a spike is ",
    ),
    Fault(
        "StateBetweenBlocksInFloat32",
        fails=("test_a_stiff_run_does_not_depend_on_how_it_is_cut",),
        passes=("test_a_long_run_stays_finite",),
        spec=STIFF,
    ),
    Fault(
        "LimitOfRk4",
        fails=("test_of_the_stiff_method_only_states_that_are_not_finite_are_invalid",),
        passes=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        spec=STIFF,
    ),
    Fault(
        "InvalidNeverTold",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_the_spec_is_complete",),
        says="which neurons are valid",
    ),
    Fault(
        "InvalidOneStepLate",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_the_spec_is_complete",),
        says="is told to be invalid from step 8 on",
    ),
    Fault(
        "InvalidOnlyIfNotFinite",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_the_spec_is_complete",),
        says="which neurons are valid",
    ),
    Fault(
        "LimitWithoutC_m",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_the_spec_is_complete",),
        says="which neurons are valid",
    ),
    Fault(
        "LimitOfAnotherDt",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_the_spec_is_complete",),
        says="which neurons are valid",
    ),
    Fault(
        "InvalidOnlyWhereSpikesAreTimed",
        fails=("test_invalid_neurons_are_told_with_their_first_invalid_step",),
        passes=("test_invalid_neurons_do_not_depend_on_how_a_run_is_cut",),
        says="which neurons are valid",
    ),
    Fault(
        "InvalidStepsCountedFromTheBlock",
        fails=("test_invalid_neurons_do_not_depend_on_how_a_run_is_cut",),
        passes=("test_the_spec_is_complete",),
        says="first invalid steps",
    ),
    Fault(
        "InvalidFromTheBlocksBegin",
        fails=("test_invalid_neurons_do_not_depend_on_how_a_run_is_cut",),
        passes=("test_the_spec_is_complete",),
        says="first invalid steps",
    ),
    Fault(
        "TimeConstantOffByAThousandth",
        fails=("test_the_rates_of_other_membranes_are_within_bounds",),
        passes=("test_the_rates_are_within_bounds",),
        horizon="long",
        spec={"capabilities": {"membranes": "any"}},
        says="is off by",
    ),
    Fault(
        "DeviceSamplesUsedByTheNextRun",
        fails=("test_device_arrays_equal_the_arrays_of_a_run_on_the_host",),
        passes=("test_the_spec_is_complete",),
        spec={"capabilities": {"device_arrays": True}},
    ),
]
