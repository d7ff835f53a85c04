/* The machine that runs a program over a table of samples, for one instruction set. See kernel.c, which includes this
   once for each, after vector.h.

   A register is a block of samples: `p->block` vectors. An instruction works through a whole block, so that what it
   costs to find out what it is does not count. The last block of a table may be short; its last vector is padded with
   a real sample, which then is not gathered. */

#define TILE 8 /* vectors that are worked on at a time, in the processor's registers */

/* The rows of trace.py */
INLINE vd ISA(v_greater)(vd a, vd b) { return select(TEST(a > b), splat(1), splat(0)); }
INLINE vd ISA(v_at_least)(vd a, vd b) { return select(TEST(a >= b), splat(1), splat(0)); }

/* A sum of products over `tile` vectors from `at` on. The terms come in runs of a kind: [kind, count, operands ...]. */
INLINE const int32_t *ISA(sum_tile)(const int32_t *q, int runs, double *restrict out, const double *restrict U,
                                    const double *restrict R, long stride, long at, const int tile) {
    vd t[TILE];
    for (int k = 0; k < tile; k++) t[k] = splat(-0.0); /* which leaves the sign of a zero alone */
    R += at, out += at;
#define TERMS(KIND, SIZE, LOAD_ONCE, TERM) case KIND: \
        for (int i = 0; i < n; i++, q += SIZE) { \
            LOAD_ONCE; \
            for (int k = 0; k < tile; k++) t[k] = TERM; \
        } \
        break;
#define X(j) load_aligned(x##j + k * LANES)
    while (runs--) {
        int kind = q[0], n = q[1];
        q += 2;
        switch (kind) {
        TERMS(U_PLUS, 1, const vd u = splat(U[q[0]]), t[k] + u)
        TERMS(U_MINUS, 1, const vd u = splat(U[q[0]]), t[k] - u)
        TERMS(V_PLUS, 1, const double *x0 = R + q[0] * stride, t[k] + X(0))
        TERMS(V_MINUS, 1, const double *x0 = R + q[0] * stride, t[k] - X(0))
        TERMS(UV_PLUS, 2, const vd u = splat(U[q[0]]); const double *x0 = R + q[1] * stride, t[k] + u * X(0))
        TERMS(UV_MINUS, 2, const vd u = splat(U[q[0]]); const double *x0 = R + q[1] * stride, t[k] - u * X(0))
        TERMS(VV_PLUS, 2, const double *x0 = R + q[0] * stride; const double *x1 = R + q[1] * stride,
              t[k] + X(0) * X(1))
        TERMS(VV_MINUS, 2, const double *x0 = R + q[0] * stride; const double *x1 = R + q[1] * stride,
              t[k] - X(0) * X(1))
        }
    }
    for (int k = 0; k < tile; k++) store_aligned(out + k * LANES, t[k]);
    return q;
}

/* Add the products of one register with others to the means that they belong to: [other, mean] pairs. Of the last vector
   only the lanes of `mask` count. */
INLINE void ISA(gather_tile)(const int32_t *q, int n, const double *restrict a, const double *restrict R, long stride,
                             double *restrict means, long at, const int tile, int masked, vi mask) {
    vd x[TILE];
    for (int k = 0; k < tile; k++) x[k] = load_aligned(a + at + k * LANES);
    R += at;
    for (int i = 0; i < n; i++, q += 2) {
        const double *b = q[0] < 0 ? R : R + q[0] * stride;
        double *mean = means + (long)q[1] * LANES;
        vd even = load_aligned(mean), odd = splat(0);
        if (masked) {
            vd last = q[0] < 0 ? x[tile - 1] : x[tile - 1] * load_aligned(b + (tile - 1) * LANES);
            odd = select(mask, last, odd);
        }
        int whole = tile - masked;
        if (q[0] < 0)
            for (int k = 0; k < whole; k++) even += x[k];
        else {
            for (int k = 0; k < whole; k += 2) even += x[k] * load_aligned(b + k * LANES);
            for (int k = 1; k < whole; k += 2) odd += x[k] * load_aligned(b + k * LANES);
        }
        store_aligned(mean, even + odd);
    }
}

/* The samples from `from` to `to` of a table, gathered into `means`: LANES partial sums for each. */
static void ISA(body)(const Program *p, const double *restrict U, double *restrict R, double *restrict means,
                      const Column *columns, double *const *outs, long from, long to) {
    const long stride = (long)p->block * LANES;
    for (long at = from; at < to; at += stride) {
        const int samples = to - at < stride ? (int)(to - at) : (int)stride;
        const int vectors = (samples + LANES - 1) / LANES, partial = samples % LANES;
        const vi mask = first(partial);
        for (const int32_t *c = p->code[BODY], *end = c + p->size[BODY]; c < end;) {
            double *out = R + c[1] * stride; /* may be an argument, too */
            switch (c[0]) {
            case LOAD: {
                const Column *column = columns + c[2];
                const char *x = (const char *)column->data + at * column->stride;
                int i = 0;
                if (column->stride == sizeof(double)) memcpy(out, x, samples * sizeof(double)), i = samples;
                for (; i < samples; i++) memcpy(out + i, x + i * column->stride, sizeof(double));
                for (; i < vectors * LANES; i++) out[i] = out[samples - 1];
                c += 3;
                break;
            }
            case STORE:
                memcpy(outs[c[2]] + at, out, samples * sizeof(double));
                c += 3;
                break;
            case SPREAD: {
                const vd u = splat(U[c[2]]);
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, u);
                c += 3;
                break;
            }
            case SUM: {
                const int32_t *q = c + 3;
                int k = 0;
                for (; k + TILE <= vectors; k += TILE) q = ISA(sum_tile)(c + 3, c[2], out, U, R, stride, k * LANES, TILE);
                if (vectors - k >= 4) q = ISA(sum_tile)(c + 3, c[2], out, U, R, stride, k * LANES, 4), k += 4;
                for (; k < vectors; k++) q = ISA(sum_tile)(c + 3, c[2], out, U, R, stride, k * LANES, 1);
                c = q;
                break;
            }
            case GATHER: {
                const double *a = out;
                const int whole = vectors - (partial > 0), n = c[2];
                int k = 0;
                for (; k + TILE <= whole; k += TILE)
                    ISA(gather_tile)(c + 3, n, a, R, stride, means, k * LANES, TILE, 0, mask);
                if (whole - k >= 4) ISA(gather_tile)(c + 3, n, a, R, stride, means, k * LANES, 4, 0, mask), k += 4;
                for (; k < whole; k++) ISA(gather_tile)(c + 3, n, a, R, stride, means, k * LANES, 1, 0, mask);
                if (partial) ISA(gather_tile)(c + 3, n, a, R, stride, means, k * LANES, 1, 1, mask);
                c += 3 + 2 * n;
                break;
            }
#define ROW1(row) case OP_##row: { \
                const double *x0 = R + c[2] * stride; \
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, ISA(v_##row)(X(0))); \
                c += 3; \
                break; \
            }
            ROWS_OF_1(ROW1)
#undef ROW1
#define ROW2(row) case OP_##row: { \
                const double *x0 = R + c[2] * stride, *x1 = R + c[3] * stride; \
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, ISA(v_##row)(X(0), X(1))); \
                c += 4; \
                break; \
            }
            ROWS_OF_2(ROW2)
#undef ROW2
            case OP_where: {
                const double *x0 = R + c[2] * stride, *x1 = R + c[3] * stride, *x2 = R + c[4] * stride;
                for (int k = 0; k < vectors; k++) store_aligned(out + k * LANES, ISA(v_where)(X(0), X(1), X(2)));
                c += 5;
                break;
            }
            }
        }
    }
}

/* One of the two parts that are run once, on the uniform numbers U. */
static void ISA(once)(const int32_t *c, long size, double *restrict U) {
    for (const int32_t *end = c + size; c < end;) {
        switch (c[0]) {
        case SUM: { /* [SUM, out, count, terms, (sign, a, step, b, step) ...]: `count` sums of one shape */
            const int n = c[2], terms = c[3];
            const int32_t *q = c + 4;
            double *restrict out = U + c[1];
            for (int i = 0; i < n; i++) out[i] = -0.0;
            for (int t = 0; t < terms; t++, q += 5) {
                const double *a = U + q[1], *b = U + q[3], sign = q[0];
                if (q[2] == 1 && q[4] == 0) for (int i = 0; i < n; i++) out[i] += a[i] * (sign * b[0]);
                else if (q[2] == 1 && q[4] == 1) for (int i = 0; i < n; i++) out[i] += sign * a[i] * b[i];
                else for (int i = 0; i < n; i++) out[i] += sign * a[i * q[2]] * b[i * q[4]];
            }
            c = q;
            break;
        }
#define ROW1(row) case OP_##row: { \
            double lane[LANES]; \
            store(lane, ISA(v_##row)(splat(U[c[2]]))); \
            U[c[1]] = lane[0]; \
            c += 3; \
            break; \
        }
        ROWS_OF_1(ROW1)
#undef ROW1
#define ROW2(row) case OP_##row: { \
            double lane[LANES]; \
            store(lane, ISA(v_##row)(splat(U[c[2]]), splat(U[c[3]]))); \
            U[c[1]] = lane[0]; \
            c += 4; \
            break; \
        }
        ROWS_OF_2(ROW2)
#undef ROW2
        case OP_where:
            U[c[1]] = U[c[2]] != 0 ? U[c[3]] : U[c[4]];
            c += 5;
            break;
        }
    }
}

#undef TILE
#undef TERMS
#undef X
