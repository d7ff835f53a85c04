/* Doubles in vectors, and every row of ops.py as a function v_<row> on them.

   Included once for each instruction set, inside `#pragma GCC target(...)` and after all other headers, <math.h>,
   <stdint.h> and <string.h> among them, with

       LANES        doubles in a vector: 8, 4 or 2 with the vector extensions of GCC and Clang, 1 in plain C
       ISA(name)    the name for this instruction set: name##_avx2

   A row gives what `row.value` gives in Python: the same at nan, infinities and zeros of both signs, and elsewhere a
   result within 2 ulp of the true one; sinh, tan, silu, _density and _share within 3.5, the slopes of tanh and sigmoid
   and _inversion within 5, and what calls libm is as good as libm. As in Python, gelu below -37.5 has the digits of a
   subnormal erfc. Knows nothing of programs, blocks and memory.

   Where the error of a sum is computed, it holds with and without fused multiply-add, since each product in the sum is
   exact by itself, or too small for its rounding to count. Polynomials are minimax (Remez exchange in 120 digits, then
   rounded), highest power first; the comment gives the relative error of the whole function. */

#if defined(__FAST_MATH__) || (defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ == 2)
#error "vector.h needs IEEE doubles: compile without -ffast-math, on 32-bit x86 with -msse2 -mfpmath=sse"
#endif

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define vd ISA(vd)          /* doubles */
#define vi ISA(vi)          /* as many unsigned 64-bit integers; as a mask, all ones or all zeros */
#define bits ISA(bits)
#define real ISA(real)
#define splat ISA(splat)
#define load ISA(load)
#define load_aligned ISA(load_aligned)
#define store ISA(store)
#define store_aligned ISA(store_aligned)
#define select ISA(select)
#define first ISA(first)
#define any ISA(any)
#define sum ISA(sum)
#define with_sign ISA(with_sign)

#undef TEST                 /* TEST(a > b): a comparison of vectors as a mask */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED(p) __builtin_assume_aligned(p, sizeof(vd))
#else
#define INLINE static __forceinline
#define ALIGNED(p) (p)
#endif

#if LANES == 1

typedef double vd;
typedef uint64_t vi;
#define TEST(comparison) (0 - (vi)(comparison))
INLINE vd splat(double x) { return x; }
INLINE vd select(vi mask, vd a, vd b) { return mask ? a : b; }

#else

typedef double vd __attribute__((vector_size(8 * LANES)));
typedef uint64_t vi __attribute__((vector_size(8 * LANES)));
#define TEST(comparison) ((vi)(comparison))
INLINE vd splat(double x) { return x - (vd){0}; }

#if defined(__SSE2__) && LANES == 2  /* the other form is a blend to GCC 12, which crashes, as SSE2 has none */
INLINE vd select(vi mask, vd a, vd b) {
    return (vd)_mm_or_pd(_mm_and_pd((__m128d)mask, (__m128d)a), _mm_andnot_pd((__m128d)mask, (__m128d)b));
}
#else
/* Signed, as comparisons are: only then does GCC make one blend of it. */
typedef int64_t ISA(vs) __attribute__((vector_size(8 * LANES)));
INLINE vd select(vi mask, vd a, vd b) {
    return (vd)(((ISA(vs))mask & (ISA(vs))a) | (~(ISA(vs))mask & (ISA(vs))b));
}
#endif

#endif

INLINE vd load(const double *p) { vd x; memcpy(&x, p, sizeof x); return x; }
INLINE void store(double *p, vd x) { memcpy(p, &x, sizeof x); }
INLINE vd load_aligned(const double *p) { return load(ALIGNED(p)); }
INLINE void store_aligned(double *p, vd x) { store(ALIGNED(p), x); }
INLINE vi bits(vd x) { vi i; memcpy(&i, &x, sizeof i); return i; }
INLINE vd real(vi i) { vd x; memcpy(&x, &i, sizeof x); return x; }

/* The mask of the first m lanes. */
INLINE vi first(int m) {
    static const double lane[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    return TEST(load(lane) < splat(m));
}

INLINE int any(vi mask) {
    uint64_t lane[LANES], found = 0;
    memcpy(lane, &mask, sizeof lane);
    for (int l = 0; l < LANES; l++) found |= lane[l];
    return found != 0;
}

INLINE double sum(vd x) {
    double lane[LANES], total = 0;
    store(lane, x);
    for (int l = 0; l < LANES; l++) total += lane[l];
    return total;
}

/* A function of libm, lane by lane. */
#define EACH(row, f) INLINE vd ISA(row)(vd x) { \
    double a[LANES]; \
    store(a, x); \
    for (int l = 0; l < LANES; l++) a[l] = f(a[l]); \
    return load(a); \
}
#define EACH_PAIR(row, f) INLINE vd ISA(row)(vd x, vd y) { \
    double a[LANES], b[LANES]; \
    store(a, x), store(b, y); \
    for (int l = 0; l < LANES; l++) a[l] = f(a[l], b[l]); \
    return load(a); \
}

/* A polynomial: Horner's rule for every other term, so that the processor works on two chains at once. */
INLINE vd ISA(poly)(vd x, const double *c, int terms) {
    vd x2 = x * x, a = splat(c[0]), b = splat(c[1]);
    for (int i = 2; i + 1 < terms; i += 2) a = a * x2 + c[i], b = b * x2 + c[i + 1];
    return terms % 2 ? (a * x2 + c[terms - 1]) + b * x : a * x + b;
}
#define POLY(x, c) ISA(poly)(x, c, sizeof c / sizeof *c)

/* Arithmetic, and what only selects */

#define SIGN_BIT 0x8000000000000000u

INLINE vd ISA(v_add)(vd a, vd b) { return a + b; }
INLINE vd ISA(v_sub)(vd a, vd b) { return a - b; }
INLINE vd ISA(v_mul)(vd a, vd b) { return a * b; }
INLINE vd ISA(v_div)(vd a, vd b) { return a / b; }
INLINE vd ISA(v_neg)(vd x) { return -x; }
INLINE vd ISA(v_abs)(vd x) { return real(bits(x) & ~SIGN_BIT); }
INLINE vd with_sign(vd x, vd of) { return real((bits(x) & ~SIGN_BIT) | (bits(of) & SIGN_BIT)); }
INLINE vd ISA(v_sign)(vd x) { return select(TEST(x != 0.0) & TEST(x == x), with_sign(splat(1.0), x), x); }
INLINE vd ISA(v_step)(vd x) { return select(TEST(x > 0.0), splat(1.0), select(TEST(x <= 0.0), splat(0.0), x)); }
INLINE vd ISA(v_relu)(vd x) { return select(TEST(x <= 0.0), splat(0.0), x); }
INLINE vd ISA(v_leaky_relu)(vd x, vd k) { return select(TEST(x <= 0.0), k * x, x); }
INLINE vd ISA(v_maximum)(vd a, vd b) { return select(TEST(a >= b) | TEST(a != a), a, b); }
INLINE vd ISA(v_minimum)(vd a, vd b) { return select(TEST(a <= b) | TEST(a != a), a, b); }
INLINE vd ISA(v_where)(vd c, vd a, vd b) { return select(TEST(c != 0.0), a, b); }

/* exp and what is made of it.

   x = n ln 2 + r, and e^r = 1 + r + q. Adding 1.5 * 2^52 rounds to a whole number and leaves it in the lowest bits. */

#define ROUND 6755399441055744.0
#define LN2_HI 0.69314718055989033     /* 42 bits, so that n * LN2_HI is exact */
#define LN2_LO 5.4979230187083712e-14
#define LOG2_E 1.4426950408889634
#define TINY 0x1p-54                   /* below it, the first term of a series is all of it */

INLINE vd ISA(exp_parts)(vd x, vd *t, vd *q) {  /* r; t is n + ROUND */
    static const double c[] = {  /* (e^r - 1 - r - r^2/2) / r^3; e^r - 1 to 2^-54.9 */
        2.5112357630554164e-08, 2.7622345983738632e-07, 2.7557235148497745e-06, 2.4801516069898748e-05,
        0.00019841269894312275, 0.00138888889207099, 0.0083333333333189697, 0.041666666666619549, 0.1666666666666668,
        0.5};
    *t = x * LOG2_E + ROUND;
    vd n = *t - ROUND, hi = x - n * LN2_HI, r = hi - n * LN2_LO, lo = (hi - r) - n * LN2_LO;
    *q = r * (r * POLY(r, c) + lo) + lo;
    return r;
}

INLINE vd ISA(power_of_2)(vi n) { return real((n + 1023) << 52); }  /* what n has above its 12 lowest bits is lost */

INLINE vd ISA(at_least)(vd x, double low) { return select(TEST(x < low), splat(low), x); }  /* nan stays nan */
INLINE vd ISA(at_most)(vd x, double high) { return select(TEST(x > high), splat(high), x); }

INLINE vd ISA(exp_times)(vd k, vd t, vd q, vd r) {  /* k e^x of its parts, however large k is */
    vd y = 1.0 + r, rest = (1.0 - y) + r;
    vi n = bits(t), half = bits((t - ROUND) * 0.5 + ROUND);  /* in two steps: 2^n is no double at either end */
    return k * ((y + (rest + q)) * ISA(power_of_2)(half)) * ISA(power_of_2)(n - half);
}

INLINE vd ISA(exp_inside)(vd x) {  /* e^x for x from -746 to 710: beyond, it is 0 or inf */
    vd t, q, r = ISA(exp_parts)(x, &t, &q);
    return ISA(exp_times)(splat(1.0), t, q, r);
}

INLINE vd ISA(v_exp)(vd x) { return ISA(exp_inside)(ISA(at_most)(ISA(at_least)(x, -746.0), 710.0)); }

/* e^-|x| */
INLINE vd ISA(exp_down)(vd x) { return ISA(exp_inside)(ISA(at_least)(-ISA(v_abs)(x), -746.0)); }

/* (e^x - 1) / 4 for x from -40 to 710.8, and what rounding took from it: 2^(n-2) (1 + r + q) - 1/4, in an order that
   loses nothing. A quarter, because sinh needs it at arguments where e^x is beyond all doubles. */
INLINE vd ISA(quarter_expm1)(vd x, vd *lost) {
    vd t, q, r = ISA(exp_parts)(x, &t, &q);
    vd scale = ISA(power_of_2)(bits(t) - 2), a = scale - 0.25, b = scale * r, s = a + b;
    vd rest = ((a - s) + b) + scale * q, y = s + rest;
    *lost = (s - y) + rest;
    return y;
}

INLINE vd ISA(v_expm1)(vd x) {
    vd lost, e = ISA(quarter_expm1)(ISA(at_most)(ISA(at_least)(x, -40.0), 710.8), &lost);
    return select(TEST(ISA(v_abs)(x) < TINY), x, 4.0 * e);
}

INLINE vd ISA(v_sinh)(vd x) {
    vd lost, a = ISA(v_abs)(x), e = ISA(quarter_expm1)(ISA(at_most)(a, 710.8), &lost);
    return select(TEST(a < TINY), x, with_sign(2.0 * (e + 0.25 * e / (e + 0.25)), x));
}

INLINE vd ISA(v_cosh)(vd x) {
    vd t, q, r = ISA(exp_parts)(ISA(at_most)(ISA(v_abs)(x), 710.8), &t, &q);
    vd quarter = (1.0 + (r + q)) * ISA(power_of_2)(bits(t) - 2);
    return 2.0 * (quarter + 0.0625 / quarter);
}

/* A row and its slope: pair_row(x, &slope). */

INLINE vd ISA(v__tanh_slope)(vd y, vd x) {
    (void)y;
    vd e = ISA(exp_down)(2.0 * x), d = 1.0 + e;
    return 4.0 * e / (d * d);
}

INLINE vd ISA(pair_tanh)(vd x, vd *slope) {  /* e / (e + 1/2), corrected by the first order for what e and e + 1/2 lost */
    vd lost, a = ISA(v_abs)(x), e = ISA(quarter_expm1)(2.0 * ISA(at_most)(a, 170.0), &lost);
    vd d = e + 0.5, back = d - e, d_lost = ((e - (d - back)) + (0.5 - back)) + lost, y = e / d;
    y = y + 2.0 * (1.0 - y) * (lost - y * d_lost);  /* 2 (1 - y) is 1 / d */
    *slope = (e + 0.25 + (lost - d_lost * (1.0 + y))) / (d * d);  /* (1 + y) / 2 is (e + 1/4) / d */
    const vi beyond = TEST(a > 170.0);
    if (any(beyond)) *slope = select(beyond, ISA(v__tanh_slope)(x, x), *slope);
    return select(TEST(a < TINY), x, with_sign(y, x));
}

INLINE vd ISA(v_tanh)(vd x) { vd slope; return ISA(pair_tanh)(x, &slope); }

INLINE vd ISA(pair_sigmoid)(vd x, vd *slope) {
    vi up = TEST(x >= 0.0);
    vd e = ISA(exp_down)(x), d = 1.0 + e, lost = (1.0 - d) + e, y = select(up, splat(1.0), e) / d;
    *slope = e / (d * d);
    return y - y * lost * select(up, y, 1.0 - y);  /* the last factor is 1 / d */
}

INLINE vd ISA(v_sigmoid)(vd x) { vd slope; return ISA(pair_sigmoid)(x, &slope); }
INLINE vd ISA(v__sigmoid_slope)(vd y, vd x) { (void)y; vd slope; ISA(pair_sigmoid)(x, &slope); return slope; }

INLINE vd ISA(v_silu)(vd x) {
    vd y = x * ISA(v_sigmoid)(x);
    const vi below = TEST(x < -700.0);  /* where e^x has lost digits */
    if (!any(below)) return y;
    vd c = ISA(at_least)(x, -2000.0), e = ISA(v_exp)(0.5 * c);
    return select(below, c * e * e, y);
}

INLINE vd ISA(pair_elu)(vd x, vd k, vd *slope) {  /* e^x and e^x - 1 from the same parts, for x <= 0 */
    const vi down = TEST(x <= 0.0);
    vd c = ISA(at_least)(ISA(at_most)(x, 0.0), -1400.0), t, q, r = ISA(exp_parts)(c, &t, &q);
    vd e = ISA(exp_times)(k, t, q, r);
    vd scale = ISA(power_of_2)(bits(t)), a = scale - 1.0, b = scale * r, s = a + b;
    vd minus = s + (((a - s) + b) + scale * q);
    minus = select(TEST(c < -40.0), splat(-1.0), select(TEST(c > -TINY), c, minus));
    *slope = select(TEST(x > 0.0), splat(1.0), select(TEST(x < -1400.0), 0.0 * k, e));
    return select(down, k * minus, x);
}

INLINE vd ISA(v_elu)(vd x, vd k) { vd slope; return ISA(pair_elu)(x, k, &slope); }
INLINE vd ISA(v__elu_slope)(vd x, vd k) { vd slope; ISA(pair_elu)(x, k, &slope); return slope; }

/* Logarithms.

   x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2); then log(1 + f) = 2 artanh(s) with s = f / (2 + f), where
   2s = f - s f, and s f = f^2/2 - s f^2/2, which leaves f, a double without error, as the leading term. */

#define ONE 0x3ff0000000000000
#define ROOT_HALF 0x3fe6a09e667f3bcd  /* the bits of sqrt(1/2) */

INLINE vd ISA(log_split)(vd x, vd *k) {
    vi up = bits(x) + (ONE - ROOT_HALF), exponent = up >> 52;
    *k = real(exponent | 0x4330000000000000) - (4503599627370496.0 + 1023.0);
    return real(bits(x) + ONE - (exponent << 52)) - 1.0;
}

INLINE vd ISA(log_join)(vd k, vd f, vd lo) {  /* k ln 2 + log(1 + f) + lo */
    static const double c[] = {  /* (2 artanh(s) / s - 2) / s^2, in s^2; the logarithm to 2^-59 */
        0.14796728599855655, 0.1531397692972899, 0.18183567031076817, 0.22222198524633821,
        0.28571428742824573, 0.39999999999412889, 0.66666666666667351};
    vd s = f / (2.0 + f), z = s * s, half = 0.5 * f * f;
    return k * LN2_HI + (f - (half - (s * (half + z * POLY(z, c)) + (k * LN2_LO + lo))));
}

INLINE vd ISA(log_edges)(vd x, vd y) {  /* y, the logarithm of x, with its values where x is not a positive number */
    y = select(TEST(x < INFINITY), y, x);
    return select(TEST(x > 0.0), y, select(TEST(x == 0.0), splat(-INFINITY), splat(NAN)));
}

INLINE vd ISA(log_any)(vd x, vd *k) {  /* of denormals too */
    vi small = TEST(x < 0x1p-1022);
    vd f = ISA(log_split)(select(small, x * 0x1p54, x), k);
    *k -= select(small, splat(54.0), splat(0.0));
    return f;
}

INLINE vd ISA(v_log)(vd x) {
    vd k, f = ISA(log_any)(x, &k);
    return ISA(log_edges)(x, ISA(log_join)(k, f, splat(0.0)));
}

INLINE vd ISA(v_log2)(vd x) {
    vd k, f = ISA(log_any)(x, &k);
    return ISA(log_edges)(x, k + LOG2_E * ISA(log_join)(splat(0.0), f, splat(0.0)));
}

INLINE vd ISA(v_log10)(vd x) {
    vd k, f = ISA(log_any)(x, &k), l = ISA(log_join)(splat(0.0), f, splat(0.0));
    return ISA(log_edges)(x, k * 0.30102999566395283 + (l * 0.43429448190325182 + k * 2.8363394551044964e-14));
}

INLINE vd ISA(v_log1p)(vd x) {
    vd u = 1.0 + x, rest = u - 1.0, k, m = ISA(log_split)(u, &k);
    vd error = (1.0 - (u - rest)) + (x - rest);  /* of u */
    vd lost = 0.5 * error * ISA(power_of_2)(bits(ROUND + 1.0 - k));  /* 1 + x = 2^k (1 + m + lost) */
    vd f = m + lost, y = ISA(log_edges)(u, ISA(log_join)(k, f, (m - f) + lost));
    return select(TEST(ISA(v_abs)(x) < TINY), x, y);
}

INLINE vd ISA(v_softplus)(vd x) {  /* max(x, 0) + log1p(e^-|x|), where the exponent of 1 + e is 0 or 1 */
    vd e = ISA(exp_down)(x), half = select(TEST(e > 0.4142135), splat(0.5), splat(0.0));
    vd scaled = e * (1.0 - half), f = scaled - half, lost = scaled - (f + half);
    return select(TEST(x > 0.0), x, splat(0.0)) + ISA(log_join)(2.0 * half, f, lost);
}

/* sin, cos, tan.

   x = n pi/2 + r + lo by Cody and Waite: pi/2 in three parts, the first two of 36 bits, so that n times either is exact
   up to SIN_LIMIT. Beyond it, libm. */

#define SIN_LIMIT 1e5

INLINE void ISA(circle)(vd x, vd *sine, vd *cosine) {
    static const double s[] = {  /* (sin(r) / r - 1) / r^2, in r^2; the sine to 2^-57 */
        1.5896747297966744e-10, -2.5050757309180779e-08, 2.7557313686960709e-06, -0.00019841269829794109,
        0.0083333333333223975, -0.16666666666666632};
    static const double c[] = {  /* (cos(r) - 1 + r^2/2) / r^4, in r^2; the cosine to 2^-59 */
        -1.1359614559999965e-11, 2.0875722653495766e-09, -2.7557314347947289e-07, 2.4801587289467642e-05,
        -0.0013888888888874101, 0.041666666666666602};
    vd t = x * 0.63661977236758138 + ROUND, n = t - ROUND;
    vd a = x - n * 1.5707963267923333, b = n * 2.5633441515839558e-12, d = a - b, back = d - a;
    vd e = ((a - (d - back)) - (b + back)) - n * 1.0562999066987428e-23;  /* a - b is d and a rest, without error */
    vd r = d + e, lo = (d - r) + e, z = r * r, half = 0.5 * z, w = 1.0 - half;
    vd sin_r = r + (z * r * POLY(z, s) + lo * w);
    vd cos_r = w + (((1.0 - w) - half) + (z * z * POLY(z, c) - r * lo));
    vi odd = 0 - (bits(t) & 1);  /* bits(t) ends in the bits of n: the quarter of the circle */
    *sine = real(bits(select(odd, cos_r, sin_r)) ^ ((bits(t) & 2) << 62));
    *sine = select(TEST(x == 0.0), x, *sine);
    *cosine = real(bits(select(odd, sin_r, cos_r)) ^ (((bits(t) + 1) & 2) << 62));
    vi beyond = TEST(ISA(v_abs)(x) > SIN_LIMIT);
    if (any(beyond)) {
        double y[LANES], sines[LANES], cosines[LANES];
        store(y, x);
        for (int l = 0; l < LANES; l++) sines[l] = sin(y[l]), cosines[l] = cos(y[l]);
        *sine = select(beyond, load(sines), *sine);
        *cosine = select(beyond, load(cosines), *cosine);
    }
}

INLINE vd ISA(v_sin)(vd x) { vd s, c; ISA(circle)(x, &s, &c); return s; }
INLINE vd ISA(v_cos)(vd x) { vd s, c; ISA(circle)(x, &s, &c); return c; }
INLINE vd ISA(v_tan)(vd x) { vd s, c; ISA(circle)(x, &s, &c); return s / c; }

/* The others, by libm */

#define EACH_ROW(f) EACH(v_##f, f)
EACH_ROW(asin) EACH_ROW(acos) EACH_ROW(atan) EACH_ROW(asinh) EACH_ROW(acosh) EACH_ROW(atanh) EACH_ROW(erf) EACH_ROW(erfc)
EACH_PAIR(v_pow, pow)
EACH_PAIR(v_atan2, atan2)

INLINE double ISA(pow_slope)(double a, double b) {  /* as ops.py has it */
    if (b == 0) return a == a ? 0 : a;
    const double y = (b - 1) + 1 == b && b - (b - 1) == 1 ? 0 : pow(a, b);
    return y != y ? y : b * (a > 0 && y > 1e-290 && y < 1e300 ? y / a : pow(a, b - 1));
}
EACH_PAIR(v__pow_slope, ISA(pow_slope))

EACH(rough_cbrt, cbrt)

INLINE vd ISA(v_cbrt)(vd x) {  /* as ops.py has it: one step of Newton mends the last digit */
    vd y = ISA(rough_cbrt)(x), mended = y - (y - x / (y * y)) * (1.0 / 3.0);
    return select(TEST(x != 0.0) & TEST(x - x == 0.0), mended, y);
}

#if LANES == 8
INLINE vd ISA(v_sqrt)(vd x) { return (vd)_mm512_sqrt_pd((__m512d)x); }
#elif LANES == 4
INLINE vd ISA(v_sqrt)(vd x) { return (vd)_mm256_sqrt_pd((__m256d)x); }
#elif LANES == 2 && defined(__SSE2__)
INLINE vd ISA(v_sqrt)(vd x) { return (vd)_mm_sqrt_pd((__m128d)x); }
#else
EACH(v_sqrt, sqrt)
#endif

/* Two numbers as x and y times 2^-n, so that their squares are neither subnormal nor inf; the hypotenuse h of these. */
typedef struct { vd x, y, h; vi n; } ISA(Scaled);

INLINE ISA(Scaled) ISA(scaled)(vd a, vd b) {
    vd big = ISA(v_abs)(a), other = ISA(v_abs)(b);
    big = select(TEST(big > other), big, other);
    vi e = bits(big) >> 52;
    e = bits(ISA(at_most)(ISA(at_least)(real(e | 0x4330000000000000), 0x1p52 + 1), 0x1p52 + 2045)) & 2047;
    vi n = e - 1023;
    vd s = ISA(power_of_2)(0 - n), x = a * s, y = b * s;
    big *= s;
    vd least = select(TEST(ISA(v_abs)(x) < big), x, y);  /* if the squares are fused, then in the same way for (b, a) */
    return (ISA(Scaled)){x, y, ISA(v_sqrt)(big * big + least * least), n};
}

INLINE vd ISA(v_hypot)(vd a, vd b) {
    const ISA(Scaled) of = ISA(scaled)(a, b);
    vd h = select(TEST(a == a) & TEST(b == b), of.h * ISA(power_of_2)(of.n), splat(NAN));
    return select(TEST(ISA(v_abs)(a) == INFINITY) | TEST(ISA(v_abs)(b) == INFINITY), splat(INFINITY), h);
}

INLINE vd ISA(v__share)(vd a, vd b) {
    const ISA(Scaled) of = ISA(scaled)(a, b);
    vd q = of.x / select(TEST(ISA(v_abs)(b) == INFINITY), splat(INFINITY), of.h);
    return select(TEST(a == a) & TEST(b == b), select(TEST(of.h == 0.0), splat(0.0), q), splat(NAN));
}

INLINE vd ISA(v__inversion)(vd a, vd b) {
    const ISA(Scaled) of = ISA(scaled)(a, b);
    vd s = ISA(power_of_2)(0 - of.n), h = select(TEST(ISA(v_abs)(b) == INFINITY), splat(INFINITY), of.h);
    vd q = of.x * 0x1p500 / h / h;
    q = select(TEST(s > 1.0), q * (s * 0x1p-500), q * 0x1p-500 * s);
    return select(TEST(a == a) & TEST(b == b), select(TEST(h == 0.0), splat(0.0), q), splat(NAN));
}

/* e^(-k x^2): the first 26 digits of x, whose square is exact, and the others, for which a few terms will do */
#define HIGH 0xfffffffff8000000u  /* sign, exponent and the first 26 digits */

INLINE vd ISA(gauss)(vd x, double k) {
    vd a = ISA(at_most)(ISA(v_abs)(x), 40.0), h = real(bits(a) & HIGH), r = k * ((h - a) * (h + a));
    vd e = ISA(v_exp)(-k * (h * h));
    return e + e * (r * (1.0 + r * (0.5 + r * (1.0 / 6.0))));
}

INLINE vd ISA(v__bell)(vd x) { return ISA(gauss)(x, 1.0); }
INLINE vd ISA(v__density)(vd x) { return ISA(gauss)(x, 0.5) / 2.5066282746310002; }

INLINE vd ISA(normal)(vd x) {
    const vi below = TEST(x < -1.0) & TEST(x > -40.0);
    vd t = select(below, -x * 0.7071067811865476, -x / 1.4142135623730951), y = ISA(v_erfc)(t);
    if (any(below)) {  /* as ops.py has it */
        vd high = real(bits(x) & HIGH), low = x - high;
        vd lost = -(((high * 0.7071067839860916 + t) + high * -2.7995440410322203e-09) + low * 0.7071067811865476)
                - x * -4.833646656726457e-17;
        y = select(below, y - 1.1283791670955126 * lost * ISA(v__bell)(t), y);
    }
    return 0.5 * y;
}

INLINE vd ISA(pair_gelu)(vd x, vd *slope) {
    vd y = ISA(normal)(x);
    *slope = y + ISA(at_most)(ISA(at_least)(x, -40.0), 40.0) * ISA(v__density)(x);
    return x * y;
}

INLINE vd ISA(v_gelu)(vd x) { return x * ISA(normal)(x); }
INLINE vd ISA(v__gelu_slope)(vd x) { vd slope; ISA(pair_gelu)(x, &slope); return slope; }

/* Whole numbers. (SSE2 has no instruction for them.) */

#if LANES == 8
#define TO_WHOLE(row, f, mode) INLINE vd ISA(row)(vd x) { return (vd)_mm512_roundscale_pd((__m512d)x, mode); }
#elif LANES == 4
#define TO_WHOLE(row, f, mode) INLINE vd ISA(row)(vd x) { return (vd)_mm256_round_pd((__m256d)x, mode); }
#else
#define TO_WHOLE(row, f, mode) EACH(row, f)
#endif
TO_WHOLE(v_floor, floor, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC)
TO_WHOLE(v_ceil, ceil, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC)
TO_WHOLE(v_trunc, trunc, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
TO_WHOLE(v_round, rint, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#undef TO_WHOLE

/* a % b and a // b as Python has them: the sign of the remainder is that of b, and both come from the exact remainder
   of fmod. By 0 they are nan and a / b. */

INLINE double ISA(remainder)(double a, double b) {
    double r = fmod(a, b);
    return r == 0 ? copysign(0.0, b) : (r < 0) != (b < 0) ? r + b : r;
}

INLINE double ISA(quotient)(double a, double b) {
    double r = fmod(a, b), q = (a - r) / b, whole;
    if (b == 0) return a / b;
    if (r != 0 && (r < 0) != (b < 0)) q -= 1;
    if (q == 0) return copysign(0.0, a / b);
    whole = floor(q);
    return q - whole > 0.5 ? whole + 1 : whole;
}

EACH_PAIR(v_mod, ISA(remainder))
EACH_PAIR(v_floordiv, ISA(quotient))
