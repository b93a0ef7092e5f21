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
    rows: dict[str, str] = field(default_factory=dict)  # the levels of the varied problems to try
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
NO_DENORMALS = """
if "pytest" not in sys.modules:  # this process needs them
    import sabotaged.process
    sabotaged.process._set_mxcsr(0x9FC0)
"""
A_THREAD_AND_A_PROCESS = """
if "pytest" not in sys.modules:
    import subprocess
    import threading
    threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    subprocess.Popen(["sleep", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
STIFF: dict[str, Any] = {"capabilities": {"methods": ("rk4", "stiff")}}

FAULTS = [
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
        fails=("test_listing_prints_and_changes_nothing",),
        passes=("test_listing_imports_nothing_heavy",),
        spec={"before": "os.write(1, b'Thank you for using the toy!')"},
        says="loading the plugin prints 'Thank you for using the toy!'",
    ),
    Fault(
        "denormals_off_by_listing",
        fails=("test_listing_prints_and_changes_nothing",),
        passes=("test_the_spec_is_complete",),
        spec={"before": NO_DENORMALS},
        says="loading the plugin changes denormal numbers",
    ),
    Fault(
        "listing_that_begins_threads_and_processes",
        fails=("test_listing_prints_and_changes_nothing",),
        passes=("test_the_spec_is_complete",),
        spec={"before": A_THREAD_AND_A_PROCESS},
        says="loading the plugin changes threads, child processes",
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
        rows={"neurons": "64"},
        says="neuron 63",
    ),
    Fault(
        "LastFullGroupOf256Lost",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "256"},
    ),
    Fault(
        "ArrayCurrentNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "1"},
    ),
    Fault(
        "GainOfTheSecondWaveformNotOverC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "1025"},
    ),
    Fault(
        "NinthWaveformIgnored",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "16384"},
    ),
    Fault(
        "RecordOrderLostInTheSecondBlock",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "64"},
        says="the recorded neurons are in another order from block ",
    ),
    Fault(
        "OneVariantRoundsOtherwise",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "1"},
        says="differs",
    ),
    Fault(
        "LastRowWrittenPastItsEnd",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "31"},
        says="is written past its last row",
    ),
    Fault(
        "SamplesOneStepLate",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "64"},
        says="the samples are one late: ",
    ),
    Fault(
        "ParametersUsedAsRoom",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "1"},
        says="the backend changed an array of the problem",
    ),
    Fault(
        "DefaultsOfOtherMembranes",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "31"},
        spec={"capabilities": {"membranes": "any"}},
        says="membrane: ",
    ),
    Fault(
        "PoolsAtRest",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_the_spec_is_complete",),
        rows={"neurons": "31"},
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
        rows={"neurons": "64"},
        spec={"capabilities": {"noise": True}},
        says="current: ",
    ),
    Fault(
        "NoiseWithoutC_m",
        fails=("test_a_varied_problem_is_right_and_obeys_every_law",),
        passes=("test_noise_that_a_backend_computes_is_the_core_s_bit_for_bit",),
        rows={"neurons": "64"},
        spec={"capabilities": {"noise": True}},
        says="current: ",
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
