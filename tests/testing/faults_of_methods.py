"""Faults of methods of integration, and of the finding of invalid neurons."""

from faults import STIFF, Fault

OF_METHODS = [
    Fault(
        "NonfiniteStartReplaced",
        fails=("test_a_run_may_begin_with_a_neuron_that_is_not_finite",),
        passes=("test_a_neuron_that_blows_up_affects_no_other_neuron_and_no_later_run",),
        says="a neuron that began as NaN is finite",
    ),
    Fault(
        "VoltageClampedAt150",
        fails=("test_voltages_far_beyond_those_of_a_spike_are_computed_too",),
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
]
