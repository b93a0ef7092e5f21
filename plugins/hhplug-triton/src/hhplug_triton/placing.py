"""The spikes of a run put in order: each is written to the place that is known for it."""

import triton
import triton.language as tl

TILE = 1024  # spikes of a program


@triton.jit(do_not_specialize=["n_spikes", "first_step", "first_neuron"])
def place_spikes(
    n_spikes: tl.int64,
    neuron, step, fraction, ordinal,  # (n_spikes,): those of one launch
    places,  # (N,) int64: the place of each neuron's first spike
    first_step: tl.int64,  # of the launch, counted from time zero
    first_neuron: tl.int64,  # is added to the index of each neuron
    neurons,  # int64, of all spikes of the run
    times,  # float64, likewise, in steps
    TILE: tl.constexpr,
):  # fmt: skip
    s = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = s < n_spikes
    i = tl.load(neuron + s, mask=inside, other=0)
    place = tl.load(places + i, mask=inside) + tl.load(ordinal + s, mask=inside)
    k = (first_step + tl.load(step + s, mask=inside)).to(tl.float64)
    tl.store(neurons + place, first_neuron + i, mask=inside)
    tl.store(times + place, k + tl.load(fraction + s, mask=inside).to(tl.float64), mask=inside)
