/* The machine that runs a program over a table of samples, for one instruction set. See kernel.c, which includes this
   once for each, after vector.h, and then forgets LANES and ISA.

   A register is a block of samples: `p->block` vectors, a multiple of PAD. An instruction works through a whole block,
   so that what it costs to find out what it is does not count. The last block of a table may be short: it is padded
   with its last sample to a multiple of PAD vectors. Padding is computed, but neither gathered nor stored. */

/* What is worked on at a time, in the 32 or 16 registers of a processor. */
#define TILE (LANES == 8 ? 16 : 8) /* vectors of a sum */
#define SUMS (LANES >= 4 ? 4 : 2)  /* sums of a layer: 4, or a divisor */
#define WIDE (LANES == 4 ? 2 : 4)  /* and vectors of each; a divisor of PAD */

/* The rows of trace.py */
INLINE vd ISA(v_greater)(vd a, vd b) { return select(TEST(a > b), splat(1), splat(0)); }
INLINE vd ISA(v_at_least)(vd a, vd b) { return select(TEST(a >= b), splat(1), splat(0)); }

/* x0 is where register r is, and X(0) its vector k */
#define REGISTER(j, r) const double *x##j = R + (r) * stride
#define X(j) load_aligned(x##j + k * LANES)

/* The end of a sum over `tile` vectors: what else is done with it while it is at hand. */
INLINE void ISA(finish)(vd *t, int how, const double *x0, double *out, const int tile) {
    if (how == RELU) for (int k = 0; k < tile; k++) t[k] = ISA(v_relu)(t[k]);
    if (how == TIMES) for (int k = 0; k < tile; k++) t[k] *= X(0);
    if (how == TIMES_STEP) for (int k = 0; k < tile; k++) t[k] *= ISA(v_step)(X(0));
    for (int k = 0; k < tile; k++) store_aligned(out + k * LANES, t[k]);
}

/* A product that is rounded before it goes on, and not fused with an addition: a * b - b * a is 0, as in Python. The
   sums of layers and the means do without, for speed. */
INLINE vd ISA(rounded)(vd x) {
    BARRIER(x);
    return x;
}

/* A sum of products over `tile` vectors from R on. The terms come in runs of a kind: [kind, count, operands ...]. */
INLINE const int32_t *ISA(sum_tile)(const int32_t *c, const double *U, double *R, long stride, const int tile) {
    vd t[TILE];
    const int32_t *q = c + 5;
    for (int k = 0; k < tile; k++) t[k] = splat(-0.0); /* which leaves the sign of a zero alone */
#define UNIFORM const vd u = splat(U[q[0]])
#define TERMS(KIND, SIZE, LOAD_ONCE, TERM) case KIND: \
        for (int i = 0; i < n; i++, q += SIZE) { \
            LOAD_ONCE; \
            for (int k = 0; k < tile; k++) t[k] = TERM; \
        } \
        break;
    for (int runs = c[4]; runs--;) {
        const int kind = q[0], n = q[1];
        q += 2;
        switch (kind) {
        TERMS(U_PLUS, 1, UNIFORM, t[k] + u)
        TERMS(U_MINUS, 1, UNIFORM, t[k] - u)
        TERMS(V_PLUS, 1, REGISTER(0, q[0]), t[k] + X(0))
        TERMS(V_MINUS, 1, REGISTER(0, q[0]), t[k] - X(0))
        TERMS(UV_PLUS, 2, UNIFORM; REGISTER(0, q[1]), t[k] + ISA(rounded)(u * X(0)))
        TERMS(UV_MINUS, 2, UNIFORM; REGISTER(0, q[1]), t[k] - ISA(rounded)(u * X(0)))
        TERMS(VV_PLUS, 2, REGISTER(0, q[0]); REGISTER(1, q[1]), t[k] + ISA(rounded)(X(0) * X(1)))
        TERMS(VV_MINUS, 2, REGISTER(0, q[0]); REGISTER(1, q[1]), t[k] - ISA(rounded)(X(0) * X(1)))
        TERMS(UVV_PLUS, 3, UNIFORM; REGISTER(0, q[1]); REGISTER(1, q[2]), t[k] + ISA(rounded)(u * (X(0) * X(1))))
        TERMS(UVV_MINUS, 3, UNIFORM; REGISTER(0, q[1]); REGISTER(1, q[2]), t[k] - ISA(rounded)(u * (X(0) * X(1))))
        }
    }
    ISA(finish)(t, c[2], R + c[3] * stride, R + c[1] * stride, tile);
    return q;
}

/* `m` of the sums of a layer, over WIDE vectors from R on: head has [out, start, other] for each, and w, for each
   input, `row` weights, of which the first are theirs. Every input is loaded once for all of them. */
INLINE void ISA(layer_tile)(const int32_t *head, const int32_t *inputs, int n, const int32_t *w, int row, int how,
                            const double *U, double *R, long stride, const int m) {
    vd t[4][WIDE];
    for (int j = 0; j < m; j++)
        for (int k = 0; k < WIDE; k++) t[j][k] = splat(U[head[3 * j + 1]]);
    for (int i = 0; i < n; i++, w += row) {
        REGISTER(0, inputs[i]);
        vd x[WIDE];
        for (int k = 0; k < WIDE; k++) x[k] = X(0);
        for (int j = 0; j < m; j++) {
            const vd u = splat(U[w[j]]);
            for (int k = 0; k < WIDE; k++) t[j][k] += u * x[k];
        }
    }
    for (int j = 0; j < m; j++, head += 3) ISA(finish)(t[j], how, R + head[2] * stride, R + head[0] * stride, WIDE);
}

/* Add the products of m registers with n others to the means that they belong to, `mean` with a row for each of the
   m. Of the vector after the `whole` ones only the lanes of `mask` count. */
INLINE void ISA(gather_tile)(const int32_t *a, const int32_t *b, const int32_t *mean, int row, const double *R,
                             long stride, double *means, int whole, int partial, vi mask, const int m, const int n) {
    const double *x[4], *y[4];
    vd t[4][4];
    for (int i = 0; i < m; i++) x[i] = R + a[i] * stride;
    for (int j = 0; j < n; j++) y[j] = R + b[j] * stride;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) t[i][j] = splat(0);
    for (long k = 0; k < whole; k++)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++) t[i][j] += load_aligned(x[i] + k * LANES) * load_aligned(y[j] + k * LANES);
    for (int i = 0; i < m; i++, mean += row)
        for (int j = 0; j < n; j++) {
            double *to = means + (long)mean[j] * LANES;
            if (partial) {
                vd last = load_aligned(x[i] + (long)whole * LANES) * load_aligned(y[j] + (long)whole * LANES);
                t[i][j] += select(mask, last, splat(0));
            }
            store_aligned(to, load_aligned(to) + t[i][j]);
        }
}

/* Copy vectors from or to a column, and fetch what the next block will need of it: `ahead` doubles further on. */
INLINE void ISA(copy)(double *to, const double *from, int vectors, long ahead, const int written) {
    for (int k = 0; k < vectors; k++) {
        if (k * LANES % 8 == 0) PREFETCH((written ? to : from) + ahead + k * LANES);
        store(to + k * LANES, load(from + k * LANES));
    }
}

/* The samples from `from` to `to` of a table, gathered into `means`: LANES partial sums for each. */
static void ISA(body)(const Program *p, const double *U, double *R, double *means, const Column *columns,
                      double *const *outs, long from, long to) {
    const long stride = (long)p->block * LANES;
    for (long at = from; at < to; at += stride) {
        const int samples = to - at < stride ? (int)(to - at) : (int)stride;
        const int whole = samples / LANES, partial = samples % LANES;
        const long vectors = (whole + (partial > 0) + PAD - 1) / PAD * PAD;
        const vi mask = first(partial);
        for (const int32_t *c = p->code[BODY], *end = c + p->size[BODY]; c < end;) {
            switch (c[0]) {
            case LOAD: {
                const Column *column = columns + c[2];
                const char *x = (const char *)column->data + at * column->stride;
                double *out = R + c[1] * stride;
                int i = 0;
                if (column->stride == sizeof(double)) {
                    i = whole * LANES;
                    ISA(copy)(out, (const double *)x, whole, stride, 0);
                }
                for (; i < samples; i++) memcpy(out + i, x + i * column->stride, sizeof(double));
                for (; i < vectors * LANES; i++) out[i] = out[samples - 1];
                c += 3;
                break;
            }
            case STORE: {
                const double *x = R + c[1] * stride;
                double *out = outs[c[2]] + at;
                ISA(copy)(out, x, whole, stride, 1);
                for (int i = whole * LANES; i < samples; i++) out[i] = x[i];
                c += 3;
                break;
            }
            case SPREAD: {
                double *out = R + c[1] * stride;
                const vd u = splat(U[c[2]]);
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, u);
                c += 3;
                break;
            }
            case SUM: { /* [SUM, out, how, other, runs, terms ...] */
                const int32_t *q = c;
                int k = 0;
                for (; k + TILE / 2 < vectors; k += TILE) q = ISA(sum_tile)(c, U, R + k * LANES, stride, TILE);
                for (; k < vectors; k += PAD) q = ISA(sum_tile)(c, U, R + k * LANES, stride, PAD);
                c = q;
                break;
            }
            case LAYER: { /* [LAYER, how, sums, inputs, (out, start, other) ..., inputs ..., weights ...] */
                const int how = c[1], m = c[2], n = c[3];
                const int32_t *inputs = c + 4 + 3 * (long)m, *weights = inputs + n;
                for (int k = 0; k < vectors; k += WIDE) {
                    const int32_t *head = c + 4, *w = weights;
                    double *from_k = R + k * LANES;
                    int j = m;
                    for (; j >= 4; j -= 4, w += 4 * n)
                        for (int i = 0; i < 4; i += SUMS, head += 3 * SUMS)
                            ISA(layer_tile)(head, inputs, n, w + i, 4, how, U, from_k, stride, SUMS);
                    for (; j; j--, head += 3, w += n)
                        ISA(layer_tile)(head, inputs, n, w, 1, how, U, from_k, stride, 1);
                }
                c = weights + (long)m * n;
                break;
            }
            case GATHER: { /* [GATHER, m, n, m registers, n others, m * n means] */
                const int m = c[1], n = c[2];
                const int32_t *a = c + 3, *b = a + m, *mean = b + n;
#define TILES(M, N) for (; j + N <= n; j += N) \
                    ISA(gather_tile)(a + i, b + j, mean + (long)i * n + j, n, R, stride, means, whole, partial, \
                                     mask, M, N);
                int i = 0, j;
                for (; i + 4 <= m; i += 4) { j = 0; TILES(4, 2) TILES(4, 1) }
                for (; i < m; i++) { j = 0; TILES(1, 4) TILES(1, 1) }
                c = mean + (long)m * n;
                break;
            }
#define ROW(row, size, REGISTERS, ...) case OP_##row: { \
                double *out = R + c[1] * stride; \
                REGISTERS; \
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, ISA(v_##row)(__VA_ARGS__)); \
                c += size; \
                break; \
            }
#define ROW1(row) ROW(row, 3, REGISTER(0, c[2]), X(0))
#define ROW2(row) ROW(row, 4, REGISTER(0, c[2]); REGISTER(1, c[3]), X(0), X(1))
            ROWS_OF_1(ROW1)
            ROWS_OF_2(ROW2)
            ROW(where, 5, REGISTER(0, c[2]); REGISTER(1, c[3]); REGISTER(2, c[4]), X(0), X(1), X(2))
#define PAIR(row, size, REGISTERS, ...) case PAIR_##row: { \
                double *out = R + c[1] * stride, *slope = R + c[2] * stride; \
                REGISTERS; \
                for (int k = 0; k < vectors; k++) { \
                    vd second, first = ISA(pair_##row)(__VA_ARGS__, &second); \
                    store_aligned(out + k * LANES, first); \
                    store_aligned(slope + k * LANES, second); \
                } \
                c += size; \
                break; \
            }
#define PAIR1(row) PAIR(row, 4, REGISTER(0, c[3]), X(0))
#define PAIR2(row) PAIR(row, 5, REGISTER(0, c[3]); REGISTER(1, c[4]), X(0), X(1))
            PAIRS_OF_1(PAIR1)
            PAIRS_OF_2(PAIR2)
            }
        }
    }
}

/* The total of each mean, of its LANES partial sums. */
static void ISA(totals)(const double *means, int n, double *to) {
    for (long i = 0; i < n; i++) to[i] = sum(load_aligned(means + i * LANES));
}

/* One of the two parts that are run once, on the uniform numbers U. */
static void ISA(once)(const int32_t *c, long size, double *restrict U) {
    for (const int32_t *end = c + size; c < end;) {
        switch (c[0]) {
        case SUM: { /* [SUM, out, count, terms, (sign, a, step, b, step) ...]: `count` sums of one shape */
            const int n = c[2], terms = c[3];
            const int32_t *q = c + 4;
            double *restrict out = U + c[1];
            int minus = 0;
            for (int t = 0; t < terms; t++) minus |= q[5 * t] < 0;
            for (int i = 0; i < n; i++) out[i] = -0.0;
            for (int t = 0; t < terms; t++, q += 5) {
                const double *a = U + q[1], *b = U + q[3], sign = q[0];
                if (minus)
                    for (int i = 0; i < n; i++) {
                        double product = sign * a[i * q[2]] * b[i * q[4]];
                        BARRIER(product);
                        out[i] += product;
                    }
                else if (q[2] == 1 && q[4] == 0) for (int i = 0; i < n; i++) out[i] += a[i] * (sign * b[0]);
                else if (q[2] == 1 && q[4] == 1) for (int i = 0; i < n; i++) out[i] += sign * a[i] * b[i];
                else for (int i = 0; i < n; i++) out[i] += sign * a[i * q[2]] * b[i * q[4]];
            }
            c = q;
            break;
        }
        case DOT: { /* [DOT, out, runs, (sign, a, b, count) ...]: a sum of products of neighbours */
            const int32_t *q = c + 3;
            double total = -0.0;
            for (int runs = c[2]; runs--; q += 4) {
                const double *a = U + q[1], *b = U + q[2], sign = q[0];
                const int n = q[3];
                vd t = splat(-0.0);
                int i = 0;
                for (; i + LANES <= n; i += LANES) t += load(a + i) * load(b + i);
                double run = sum(t);
                for (; i < n; i++) run += a[i] * b[i];
                total += sign * run;
            }
            U[c[1]] = total;
            c = q;
            break;
        }
#define ONCE(row, size, ...) case OP_##row: { \
            double lane[LANES]; \
            store(lane, ISA(v_##row)(__VA_ARGS__)); \
            U[c[1]] = lane[0]; \
            c += size; \
            break; \
        }
#define ONCE1(row) ONCE(row, 3, splat(U[c[2]]))
#define ONCE2(row) ONCE(row, 4, splat(U[c[2]]), splat(U[c[3]]))
        ROWS_OF_1(ONCE1)
        ROWS_OF_2(ONCE2)
        ONCE(where, 5, splat(U[c[2]]), splat(U[c[3]]), splat(U[c[4]]))
        }
    }
}

#undef LANES
#undef ISA
