"""Every feature of one trace, computed plainly from its definition."""

import numpy as np

ONSET = 10.0  # mV/ms


def crossings(V, threshold):
    """Upward and downward crossings between samples: (k, fraction of the step k to k + 1)."""
    found = {True: [], False: []}
    for k in range(len(V) - 1):
        if (V[k] >= threshold) != (V[k + 1] >= threshold):
            found[bool(V[k + 1] >= threshold)].append((k, (threshold - V[k]) / (V[k + 1] - V[k])))
    return found[True], found[False]


def complete_spikes(V, dt, threshold):
    """Onset, peak, trough (mV) and time above the threshold (ms) of each complete spike."""
    up, down = crossings(V, threshold)
    spikes = []
    for number, (k, fraction) in enumerate(up):
        ends = [(j, f) for j, f in down if j > k]
        before = max([j for j, _ in down if j < k], default=-1) + 1
        rising = [V[j + 1] - V[j] >= ONSET * dt for j in range(before, k + 1)]
        onsets = [j for j, steep in enumerate(rising) if steep and not (j and rising[j - 1])]
        if not ends or not onsets:
            continue
        j, f = ends[0]
        until = up[number + 1][0] + 1 if number + 1 < len(up) else len(V)
        onset = V[before + onsets[-1]]
        peak, trough = V[k + 1 : j + 1].max(), V[j + 1 : until].min()
        spikes.append((onset, peak, trough, (j + f - k - fraction) * dt))
    return np.array(spikes).reshape(-1, 4)


def features(V, dt, spikes, window, threshold=0.0):
    """All features. V: every sample, mV. spikes: times, ms. window: steps first ≤ k < end."""
    first, end = window
    times = np.array([t for t in spikes if first <= np.floor(t / dt + 1e-9) < end])
    V = np.asarray(V, float)[first:end]
    intervals, shape = np.diff(times), complete_spikes(V, dt, threshold)
    onset, peak, trough, width = shape.T
    nothing = np.nan
    return {
        "spike_count": len(times),
        "latency": times[0] - first * dt if len(times) else nothing,
        "isi_mean": intervals.mean() if len(intervals) else nothing,
        "isi_cv": intervals.std(ddof=1) / intervals.mean() if len(intervals) > 1 else nothing,
        "V_mean": V.mean(),
        "V_std": V.std(),
        "V_min": V.min(),
        "V_max": V.max(),
        "ap_amplitude": (peak - onset).mean() if len(shape) else nothing,
        "ap_width": width.mean() if len(shape) else nothing,
        "ahp_depth": (onset - trough).mean() if len(shape) else nothing,
    }
