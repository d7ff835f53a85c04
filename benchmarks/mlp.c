/* The loss of MLP(2, [width, width, 1]) and its gradient, as one writes it by hand: sample after sample, layer after
   layer, sums in the order in which the weights lie in memory. A sample on the right side of the margin has no gradient,
   so its backward pass is skipped.

   With the macro WIDTH the compiler knows the width and may unroll; which is not always faster, so without it the
   caller sets `width`. With TANH the hidden layers are tanh instead of ReLU. */

#include <math.h>
#include <string.h>

#ifdef TANH
#define ACTIVATION(z) tanh(z)
#define SLOPE(a) (1 - (a) * (a))
#else
#define ACTIVATION(z) ((z) > 0 ? (z) : 0)
#define SLOPE(a) ((a) > 0 ? 1.0 : 0.0)
#endif

#ifdef WIDTH
enum { width = WIDTH, MOST = WIDTH };
#else
int width;
enum { MOST = 64 };
#endif

#define STRENGTH 1e-4 /* of the L2 penalty */

/* Returns the mean loss of n samples, with the penalty; its gradient goes to g. The parameters p: weights and biases of
   the first layer, of the second, of the third; weight w[i * outputs + o] leads from input i to output o. */
double loss(const double *restrict p, const double *restrict x0, const double *restrict x1, const double *restrict y,
            long n, double *restrict g)
{
    const int W = width, count = W * W + 5 * W + 1;
    const double *w1 = p, *b1 = w1 + 2 * W, *w2 = b1 + W, *b2 = w2 + W * W, *w3 = b2 + W, *b3 = w3 + W;
    double *gw1 = g, *gb1 = gw1 + 2 * W, *gw2 = gb1 + W, *gb2 = gw2 + W * W, *gw3 = gb2 + W, *gb3 = gw3 + W;
    double total = 0, penalty = 0;

    memset(g, 0, count * sizeof *g);
    for (long s = 0; s < n; s++) {
        double a1[MOST], a2[MOST], d1[MOST], d2[MOST];

        for (int o = 0; o < W; o++)
            a1[o] = ACTIVATION(b1[o] + w1[o] * x0[s] + w1[W + o] * x1[s]);
        for (int o = 0; o < W; o++)
            a2[o] = b2[o];
        for (int i = 0; i < W; i++)
            for (int o = 0; o < W; o++)
                a2[o] += w2[i * W + o] * a1[i];
        double score = *b3;
        for (int o = 0; o < W; o++) {
            a2[o] = ACTIVATION(a2[o]);
            score += w3[o] * a2[o];
        }

        double margin = 1 - y[s] * score;
        if (margin <= 0)
            continue;
        total += margin;

        double d = -y[s];
        *gb3 += d;
        for (int o = 0; o < W; o++) {
            gw3[o] += d * a2[o];
            d2[o] = d * w3[o] * SLOPE(a2[o]);
            gb2[o] += d2[o];
        }
        for (int i = 0; i < W; i++) {
            double sum = 0;
            for (int o = 0; o < W; o++) {
                gw2[i * W + o] += a1[i] * d2[o];
                sum += w2[i * W + o] * d2[o];
            }
            d1[i] = sum * SLOPE(a1[i]);
        }
        for (int o = 0; o < W; o++) {
            gw1[o] += x0[s] * d1[o];
            gw1[W + o] += x1[s] * d1[o];
            gb1[o] += d1[o];
        }
    }
    for (int k = 0; k < count; k++) {
        penalty += p[k] * p[k];
        g[k] = g[k] / n + 2 * STRENGTH * p[k];
    }
    return total / n + STRENGTH * penalty;
}

/* Changes p by that many full-batch steps of gradient descent. Returns the loss before the last. */
double train(double *restrict p, const double *x0, const double *x1, const double *y, long n, long steps, double rate)
{
    const int count = width * width + 5 * width + 1;
    double last = 0, g[MOST * MOST + 5 * MOST + 1];
    for (long step = 0; step < steps; step++) {
        last = loss(p, x0, x1, y, n, g);
        for (int k = 0; k < count; k++)
            p[k] -= rate * g[k];
    }
    return last;
}
