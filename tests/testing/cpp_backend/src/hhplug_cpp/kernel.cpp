// Classic RK4 for some steps of a population, one step of all neurons after the other. A state is
// V m h n, each of n numbers. Parameters and currents are read where they are: n numbers have the
// stride 1, and one number for all neurons has the stride 0.
#include <cmath>
#include <cstdint>

template <typename T> struct Work {  // mirrored by Work in backend.py
    int64_t n, first, count, record_every, n_recorded, current_stride;
    double dt, threshold;
    T *state;
    const T *parameters[7];  // C_m g_Na g_K g_L E_Na E_K E_L
    int64_t strides[7];
    const T *current;  // count rows
    const int64_t *recorded;
    T *samples[4];  // of V m h n; null: not recorded
    int64_t *spike_count, *spike_neuron, *spike_step;  // null: not wanted
    double *spike_fraction;
    int64_t *first_invalid;  // -1: valid
};

template <typename T> struct State { T V, m, h, n; };

template <typename T> static T linear(T x) {  // x / (1 - exp(-x)), which is 1 at 0
    return x == 0 ? T(1) : -x / std::expm1(-x);
}

template <typename T> static T open_conductance(const State<T> &s, const T *p) {
    return p[1] * s.m * s.m * s.m * s.h + p[2] * s.n * s.n * s.n * s.n + p[3];
}

template <typename T> static State<T> derivative(const State<T> &s, T I_ext, const T *p) {
    const auto [V, m, h, n] = s;
    const T I_Na = p[1] * m * m * m * h * (V - p[4]), I_K = p[2] * n * n * n * n * (V - p[5]);
    const T alpha_m = linear((V + 40) / 10), beta_m = 4 * std::exp(-(V + 65) / 18);
    const T alpha_h = T(0.07) * std::exp(-(V + 65) / 20);
    const T beta_h = 1 / (1 + std::exp(-(V + 35) / 10));
    const T alpha_n = T(0.1) * linear((V + 55) / 10), beta_n = T(0.125) * std::exp(-(V + 65) / 80);
    return {(I_ext - I_Na - I_K - p[3] * (V - p[6])) / p[0], alpha_m * (1 - m) - beta_m * m,
            alpha_h * (1 - h) - beta_h * h, alpha_n * (1 - n) - beta_n * n};
}

template <typename T> static State<T> moved(const State<T> &s, T dt, const State<T> &k) {
    return {s.V + dt * k.V, s.m + dt * k.m, s.h + dt * k.h, s.n + dt * k.n};
}

// The state after a step, and dV/dt at its begin and end.
template <typename T>
static State<T> rk4_step(const State<T> &s, T I_ext, T dt, const T *p, double slopes[2]) {
    const auto a = derivative(s, I_ext, p);
    const auto b = derivative(moved(s, dt / 2, a), I_ext, p);
    const auto c = derivative(moved(s, dt / 2, b), I_ext, p);
    const auto d = derivative(moved(s, dt, c), I_ext, p);
    slopes[0] = a.V, slopes[1] = d.V;
    return moved(s, dt / 6, {a.V + 2 * b.V + 2 * c.V + d.V, a.m + 2 * b.m + 2 * c.m + d.m,
                             a.h + 2 * b.h + 2 * c.h + d.h, a.n + 2 * b.n + 2 * c.n + d.n});
}

// Where in a step the cubic with these slopes (mV per step) has risen by `rise`, by halving.
static double crossing(double rise, double change, const double slopes[2], double dt) {
    const double a = slopes[0] * dt, end = slopes[1] * dt;
    const double b = 3 * change - 2 * a - end, c = a + end - 2 * change;
    double low = 0, high = 1;
    for (int halving = 0; halving < 60; ++halving) {
        const double s = (low + high) / 2;
        (s * (a + s * (b + s * c)) < rise ? low : high) = s;
    }
    return high;
}

template <typename T> static int64_t run(const Work<T> &work) {  // returns the number of spikes
    const int64_t n = work.n;
    const T threshold = work.threshold;
    int64_t row = 0, spikes = 0;
    for (int64_t k = work.first; k < work.first + work.count; ++k) {
        if (k % work.record_every == 0) {
            for (int variable = 0; variable < 4; ++variable)
                for (int64_t c = 0; work.samples[variable] && c < work.n_recorded; ++c)
                    work.samples[variable][row * work.n_recorded + c] =
                        work.state[variable * n + work.recorded[c]];
            ++row;
        }
        const T *I_ext = work.current + (k - work.first) * (work.current_stride ? n : 1);
        for (int64_t i = 0; i < n; ++i) {
            T p[7], *s = work.state + i;
            for (int j = 0; j < 7; ++j) p[j] = work.parameters[j][i * work.strides[j]];
            const State<T> before = {s[0], s[n], s[2 * n], s[3 * n]};
            // The comparison is false for NaN, and a product with 0 is NaN unless V is finite.
            const double open = double(open_conductance(before, p)) + 0 * double(before.V);
            if (!(open * work.dt <= 2.785 * p[0]) && work.first_invalid[i] < 0)
                work.first_invalid[i] = k;
            double slopes[2];
            const T dt = work.dt, I = I_ext[i * work.current_stride];
            const auto after = rk4_step(before, I, dt, p, slopes);
            s[0] = after.V, s[n] = after.m, s[2 * n] = after.h, s[3 * n] = after.n;
            if (!work.spike_count || !(before.V < threshold && threshold <= after.V)) continue;
            ++work.spike_count[i];
            if (!work.spike_neuron) continue;
            work.spike_neuron[spikes] = i, work.spike_step[spikes] = k;
            const double V = before.V;
            work.spike_fraction[spikes++] = crossing(threshold - V, after.V - V, slopes, work.dt);
        }
    }
    return spikes;
}

extern "C" int64_t run_float32(const Work<float> *work) { return run(*work); }
extern "C" int64_t run_float64(const Work<double> *work) { return run(*work); }
