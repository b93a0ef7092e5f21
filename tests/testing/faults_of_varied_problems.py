"""Faults that only some problems show, and faults of noise."""

from planted_fault import Fault

OF_VARIED_PROBLEMS = [
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
]
