"""The spikes of a run put in order: each is written to the place that is known for it."""

import triton
import triton.language as tl

TILE = 1024  # spikes of a program


@triton.jit(do_not_specialize=["n_spikes", "first_step", "dt_bits", "first_neuron"])
def place_spikes(
    n_spikes: tl.int64,
    neuron, step, fraction, ordinal,  # (n_spikes,): those of one launch
    counts,  # (N,) int32: the spikes of each neuron
    ends,  # (N,) int64: the place after each neuron's last spike
    first_step: tl.int64,  # of the launch, counted from time zero
    dt_bits: tl.int64,  # dt in float64, ms; a number that is passed as such would be a float32
    first_neuron: tl.int64,  # is added to the index of each neuron
    neurons,  # int64, of all spikes of the run
    times,  # float64, likewise, ms
    TILE: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = s < n_spikes
    i = tl.load(neuron + s, mask=inside, other=0)
    first = tl.load(ends + i, mask=inside) - tl.load(counts + i, mask=inside)
    place = first + tl.load(ordinal + s, mask=inside)
    k = (first_step + tl.load(step + s, mask=inside)).to(tl.float64)
    time = k + tl.load(fraction + s, mask=inside).to(tl.float64)
    tl.store(neurons + place, first_neuron + i, mask=inside)
    tl.store(times + place, time * dt_bits.to(tl.float64, bitcast=True), mask=inside)
