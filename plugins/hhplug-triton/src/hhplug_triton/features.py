"""The running sums of features, with the bits of hhplug/features/sums.py, as in features.cuh.

A program keeps those that change with every sample in registers, as a tuple: V_from, V_part,
V_part_squares, V_min, V_max, onset, peak, trough, steep. The others, which change at a spike, at a
crossing of the threshold or when a stretch of samples ends, stay in memory. The sample of step
k + 1 is taken at the end of step k. The loop is in `kernels`.

FEATURES has a bit for each group. in_dtype, (rows, N), are the sums that are computed in the run's
dtype, and sums, (rows, N), those in float64. first and last are those of
`hhplug.device.features.Sampled`.
"""

import triton
import triton.language as tl

from hhplug.features.definitions import STRETCH as STRETCH_OF_CORE
from hhplug_triton.crossings import crossing
from hhplug_triton.memory import read, write

MEAN, RANGE, SPIKES, SHAPE = (tl.constexpr(1 << bit) for bit in range(4))
STRETCH = tl.constexpr(STRETCH_OF_CORE)


@triton.jit
def in_dtype_before(groups: tl.constexpr, FEATURES: tl.constexpr):
    """The rows of in_dtype before those of the groups from this one on."""
    rows = 0
    if MEAN & FEATURES and groups > MEAN:
        rows += 3
    if RANGE & FEATURES and groups > RANGE:
        rows += 2
    return rows


@triton.jit
def sums_before(groups: tl.constexpr, FEATURES: tl.constexpr):
    """The rows of sums before those of the groups from this one on."""
    rows = 0
    if MEAN & FEATURES and groups > MEAN:
        rows += 2
    if SPIKES & FEATURES and groups > SPIKES:
        rows += 5
    return rows


@triton.jit
def here(i, FAST: tl.constexpr):
    """i, from which addresses are computed where they are needed, so that they keep no registers.

    The compiler would compute them before the loop.
    """
    if FAST:
        return tl.inline_asm_elementwise(
            "mov.b32 $0, $1;", "=r,r", [i.to(tl.int32)], tl.int32, is_pure=False, pack=1
        ).to(tl.int64)
    else:  # noqa: RET505 (Triton would compile both)
        return i


@triton.jit
def begin_sums(V, sums, i, N, inside, FEATURES: tl.constexpr, FAST: tl.constexpr):
    """The sums at the window's first sample."""
    zero = V - V
    none = tl.full(V.shape, float("nan"), V.dtype)
    far = tl.full(V.shape, float("inf"), V.dtype)
    nothing = tl.zeros(V.shape, tl.float64)
    undefined = tl.full(V.shape, float("nan"), tl.float64)
    if MEAN & FEATURES:
        write(sums + i, nothing, inside, FAST)
        write(sums + N + i, nothing, inside, FAST)
    if SPIKES & FEATURES:
        at = sums + sums_before(SPIKES, FEATURES) * N + i
        write(at, nothing, inside, FAST)
        for row in tl.static_range(1, 4):  # first, last, interval
            write(at + row * N, undefined, inside, FAST)
        write(at + 4 * N, nothing, inside, FAST)
    if SHAPE & FEATURES:
        at = sums + sums_before(SHAPE, FEATURES) * N + i
        for row in tl.static_range(7):
            # spike_onset, up, trough_onset
            start = undefined if row == 0 or row == 1 or row == 5 else nothing
            write(at + row * N, start, inside, FAST)
    return V, zero, zero, V, V, none, -far, far, zero > 0.0


@triton.jit
def load_sums(V, in_dtype, i, N, inside, FEATURES: tl.constexpr, FAST: tl.constexpr):
    """The sums before a block, and the last sample before it, which only the shape has."""
    start, part, squares, low, high, previous, onset, peak, trough = V, V, V, V, V, V, V, V, V
    steep = V > V
    if MEAN & FEATURES:
        start = read(in_dtype + i, inside, FAST)
        part = read(in_dtype + N + i, inside, FAST)
        squares = read(in_dtype + 2 * N + i, inside, FAST)
    if RANGE & FEATURES:
        at = in_dtype + in_dtype_before(RANGE, FEATURES) * N + i
        low = read(at, inside, FAST)
        high = read(at + N, inside, FAST)
    if SHAPE & FEATURES:
        at = in_dtype + in_dtype_before(SHAPE, FEATURES) * N + i
        previous = read(at, inside, FAST)
        steep = read(at + N, inside, FAST) != 0.0
        onset = read(at + 2 * N, inside, FAST)
        peak = read(at + 3 * N, inside, FAST)
        trough = read(at + 4 * N, inside, FAST)
    return (start, part, squares, low, high, onset, peak, trough, steep), previous


@triton.jit
def store_sums(own, V, in_dtype, i, N, inside, FEATURES: tl.constexpr, FAST: tl.constexpr):
    """Keep the sums. V: the last sample that was taken."""
    start, part, squares, low, high, onset, peak, trough, steep = own
    if MEAN & FEATURES:
        write(in_dtype + i, start, inside, FAST)
        write(in_dtype + N + i, part, inside, FAST)
        write(in_dtype + 2 * N + i, squares, inside, FAST)
    if RANGE & FEATURES:
        at = in_dtype + in_dtype_before(RANGE, FEATURES) * N + i
        write(at, low, inside, FAST)
        write(at + N, high, inside, FAST)
    if SHAPE & FEATURES:
        at = in_dtype + in_dtype_before(SHAPE, FEATURES) * N + i
        write(at, V, inside, FAST)
        write(at + N, steep.to(V.dtype), inside, FAST)
        write(at + 2 * N, onset, inside, FAST)
        write(at + 3 * N, peak, inside, FAST)
        write(at + 4 * N, trough, inside, FAST)


@triton.jit
def sum_sample(own, before, V, onset_rise, FEATURES: tl.constexpr):
    """Take a sample V, which follows the sample `before`."""
    start, part, squares, low, high, onset, peak, trough, steep = own
    if MEAN & FEATURES:
        d = V - start
        part += d
        squares += d * d
    if RANGE & FEATURES:
        low = tl.minimum(low, V)
        high = tl.maximum(high, V)
    if SHAPE & FEATURES:
        rises = V - before >= onset_rise
        onset = tl.where(rises & (steep == 0), before, onset)
        steep = rises
        peak = tl.maximum(peak, V)
        trough = tl.minimum(trough, V)
    return start, part, squares, low, high, onset, peak, trough, steep


@triton.jit
def end_stretch(own, V, samples, sums, i, N, inside, FEATURES: tl.constexpr, FAST: tl.constexpr):
    """A stretch of so many samples ends with V."""
    start, part, squares, low, high, onset, peak, trough, steep = own
    if MEAN & FEATURES:
        offset = start.to(tl.float64) - (-65.0)
        double_part = part.to(tl.float64)
        shift = samples.to(tl.float64) * offset
        total = read(sums + i, inside, FAST) + (double_part + shift)
        write(sums + i, total, inside, FAST)
        more = squares.to(tl.float64) + offset * (double_part + double_part + shift)
        write(sums + N + i, read(sums + N + i, inside, FAST) + more, inside, FAST)
        start = V
        part = V - V
        squares = V - V
    return start, part, squares, low, high, onset, peak, trough, steep


@triton.jit
def sum_spikes(spiking, fraction, k, sums, i, N, step, first, last, FEATURES: tl.constexpr):
    """Take spikes in step k of the block."""
    k = tl.zeros_like(i) + k  # so that the interpreter, too, compares to booleans
    mine = spiking & (first <= k) & (k <= last)
    at = sums + sums_before(SPIKES, FEATURES) * N + i
    time = (step + k).to(tl.float64) + fraction.to(tl.float64)
    earlier = tl.load(at, mask=mine, other=0.0)
    interval = time - tl.load(at + 2 * N, mask=mine, other=0.0)
    tl.store(at, earlier + 1.0, mask=mine)
    tl.store(at + 2 * N, time, mask=mine)
    tl.store(at + N, time, mask=mine & (earlier == 0.0))
    tl.store(at + 3 * N, interval, mask=mine & (earlier == 1.0))
    later = mine & (earlier > 1.0)
    longer = interval - tl.load(at + 3 * N, mask=later, other=0.0)
    squares = tl.load(at + 4 * N, mask=later, other=0.0) + longer * longer
    tl.store(at + 4 * N, squares, mask=later)


@triton.jit
def sum_crossings(
    own, crossing, before, V, threshold, k, sums, i, N, step, first, last,
    FEATURES: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """Take crossings of the threshold between the samples `before` and V, which is that of step k.

    crossing: the neurons that cross it, up or down.
    """
    start, part, squares, low, high, onset, peak, trough, steep = own
    k = tl.zeros_like(i) + k
    crossing = crossing & (first < k) & (k <= last)
    at = sums + sums_before(SHAPE, FEATURES) * N + i
    rise = (V - before).to(tl.float64)
    time = (step + k - 1).to(tl.float64) + (threshold - before).to(tl.float64) / rise
    undefined = tl.full(V.shape, float("nan"), tl.float64)
    up = crossing & (threshold <= V)
    depth = read(at + 5 * N, up, FAST) - trough.to(tl.float64)
    followed = up & (depth == depth)  # else no complete spike came before
    total = read(at + 6 * N, followed, FAST) + depth
    write(at + 6 * N, total, followed, FAST)
    write(at + 5 * N, undefined, up, FAST)
    write(at, onset.to(tl.float64), up, FAST)
    write(at + N, time, up, FAST)

    down = crossing & (threshold > V)
    spike_onset = read(at, down, FAST)
    complete = down & (spike_onset == spike_onset)
    spikes = read(at + 2 * N, complete, FAST) + 1.0
    write(at + 2 * N, spikes, complete, FAST)
    height = peak.to(tl.float64) - spike_onset
    write(at + 3 * N, read(at + 3 * N, complete, FAST) + height, complete, FAST)
    width = time - read(at + N, complete, FAST)
    write(at + 4 * N, read(at + 4 * N, complete, FAST) + width, complete, FAST)
    write(at + 5 * N, spike_onset, complete, FAST)
    write(at, undefined, down, FAST)

    peak = tl.where(up, V, peak)
    onset = tl.where(down, float("nan"), onset)
    trough = tl.where(down, V, trough)
    return start, part, squares, low, high, onset, peak, trough, steep


@triton.jit
def end_of_stretch(step, k):
    """The step of the block, after k, at which a stretch ends next."""
    phase = (step & (STRETCH - 1)).to(tl.int32)
    return ((k + phase + 1) | (STRETCH - 1)) - phase


@triton.jit
def next_event(step, k, first, last):
    """The step after k at which the window begins or ends or a stretch ends."""
    event = end_of_stretch(step, k)
    event = tl.where((first > k) & (first < event), first, event)
    return tl.where((last > k) & (last < event), last, event)


@triton.jit
def take_event(
    own, V, k, event, sums, in_dtype, i, N, inside, first_step, first, last,
    FEATURES: tl.constexpr, FAST: tl.constexpr,
):  # fmt: skip
    """What is done before step k if that is the event: the window's start or end, or a stretch's.

    V: the sample of step k, which has been taken. Returns the sums and the next event.
    """
    if k == event:
        i = here(i, FAST)
        if k == first:
            own = begin_sums(V, sums, i, N, inside, FEATURES, FAST)
        if (first <= k) & (k <= last) & (k == end_of_stretch(first_step, k - 1)):
            samples = tl.minimum(k - first + 1, STRETCH)
            own = end_stretch(own, V, samples, sums, i, N, inside, FEATURES, FAST)
        if k == last:
            store_sums(own, V, in_dtype, i, N, inside, FEATURES, FAST)
        event = next_event(first_step, k, first, last)
    return own, event


@triton.jit
def note_crossings(
    spikes, own, V, V_next, threshold, slope, end_slope, i, k,
    total, neuron, step, fraction, room, sums, N, first_step, first, last,
    NOTE: tl.constexpr, FEATURES: tl.constexpr,
):  # fmt: skip
    """Count spikes, keep them where these are wanted, and take spikes and crossings into the sums.

    NOTE: NVIDIA's instructions for all of it, of `hhplug_triton.instructions`; "" for plain Triton.
    """
    start, part, squares, low, high, onset, peak, trough, steep = own
    if NOTE != "":
        spikes, onset, peak, trough = noted(
            NOTE, spikes, onset, peak, trough, V, V_next, threshold, slope, end_slope,
            i.to(tl.int32), k, sums if total is None else total,
            sums if neuron is None else neuron, sums if step is None else step,
            sums if fraction is None else fraction, room, sums, N, first_step, first, last,
        )  # fmt: skip
        own = start, part, squares, low, high, onset, peak, trough, steep
    else:
        up = (V < threshold) & (V_next >= threshold)
        crossed = (V < threshold) != (V_next < threshold)
        if tl.max(crossed.to(tl.int32)) > 0:
            if SHAPE & FEATURES:
                own = sum_crossings(
                    own, crossed, V, V_next, threshold, k + 1,
                    sums, i, N, first_step, first, last, FEATURES, False,
                )  # fmt: skip
            spikes += up.to(tl.int32)
            # Where V doesn't cross, the quotients may be anything.
            part_of_step = crossing(threshold - V, V_next - V, slope, end_slope)
            if SPIKES & FEATURES:
                sum_spikes(
                    up, part_of_step, k, sums, i, N, first_step, first, last, FEATURES
                )  # fmt: skip
            if neuron is not None:
                at = tl.atomic_add(total + tl.zeros_like(i), 1, mask=up, sem="relaxed")
                fits = up & (at < room)
                tl.store(neuron + at, i.to(tl.int32), mask=fits)
                tl.store(step + at, k, mask=fits)
                tl.store(fraction + at, part_of_step, mask=fits)
    return spikes, own


@triton.jit
def noted(
    NOTE, spikes, onset, peak, trough, V, V_next, threshold, slope, end_slope, i, k,
    total, neuron, step, fraction, room, sums, N, first_step, first, last,
):  # fmt: skip
    """spikes, onset, peak and trough after the instructions NOTE."""
    if V.dtype == tl.float32:
        return tl.inline_asm_elementwise(
            NOTE, "=&r,=&f,=&f,=&f,0,1,2,3,f,f,f,f,f,r,r,l,l,l,l,r,l,l,l,r,r",
            [spikes, onset, peak, trough, V, V_next, threshold, slope, end_slope, i, k,
             total, neuron, step, fraction, room, sums, N, first_step, first, last],
            (tl.int32, tl.float32, tl.float32, tl.float32), is_pure=False, pack=1,
        )  # fmt: skip
    else:  # noqa: RET505 (Triton would compile both)
        return tl.inline_asm_elementwise(
            NOTE, "=&r,=&d,=&d,=&d,0,1,2,3,d,d,d,d,d,r,r,l,l,l,l,r,l,l,l,r,r",
            [spikes, onset, peak, trough, V, V_next, threshold, slope, end_slope, i, k,
             total, neuron, step, fraction, room, sums, N, first_step, first, last],
            (tl.int32, tl.float64, tl.float64, tl.float64), is_pure=False, pack=1,
        )  # fmt: skip
