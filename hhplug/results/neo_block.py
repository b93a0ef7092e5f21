"""A result as a Block of Neo. Importing this module imports Neo and quantities."""

from typing import TYPE_CHECKING, Any

import neo
import numpy as np
import quantities as pq

from hhplug.quantities import PURE

if TYPE_CHECKING:
    from hhplug.results.result import Result


def block_of(result: "Result") -> neo.Block:
    """The Block of `Result.to_neo`."""
    problem = result.problem
    begin, end = (step * problem.dt * pq.ms for step in (problem.start_step, problem.end_step))
    block = neo.Block(name=f"hhplug, {result.membrane.name}", **result.origin())
    segment = neo.Segment(name="run")
    block.segments.append(segment)
    for name, samples in result.on_host().samples.items():
        unit = result.membrane.reading.unit(name)
        signal: Any = neo.AnalogSignal(
            np.asarray(samples),
            units="dimensionless" if unit == PURE else unit,
            sampling_period=problem.record_every * problem.dt * pq.ms,
            t_start=result.time[0] * pq.ms if len(result.time) else begin,
            name=name,
        )
        signal.array_annotate(neuron=result.neurons, valid=result.valid[result.neurons])
        segment.analogsignals.append(signal)
    if result.outcome.spikes is not None:
        spikes, valid = result.spikes, result.valid
        ends = np.searchsorted(spikes.neuron, np.arange(problem.n_neurons + 1))
        trains = [
            neo.SpikeTrain(
                spikes.time[ends[neuron] : ends[neuron + 1]] * pq.ms,
                t_start=begin,
                t_stop=end,
                neuron=neuron,
                valid=bool(valid[neuron]),
            )
            for neuron in range(problem.n_neurons)
        ]
        segment.spiketrains.extend(trains)  # append would look through all those before each
    return block
