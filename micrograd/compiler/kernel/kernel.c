/* The kernel of compiled functions: programs over tables of samples. machine.h has the instructions; this file builds
   it for each instruction set, checks programs, shares the samples among threads, and takes gradient steps.

   Results do not depend on the number of threads: a table is cut into pieces by its length alone, and their sums are
   added in order. */

#include <Python.h> /* for its threads, which are the same everywhere */
#include <math.h>
#include <pythread.h>
#include <string.h>
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <time.h>
#endif

#include "kernel.h"

#define ROWS_OF_1(_) \
    _(abs) _(exp) _(expm1) _(log) _(log1p) _(log2) _(log10) _(sqrt) _(cbrt) \
    _(sin) _(cos) _(tan) _(asin) _(acos) _(atan) _(sinh) _(cosh) _(tanh) _(asinh) _(acosh) _(atanh) \
    _(erf) _(erfc) _(sigmoid) _(softplus) _(relu) _(gelu) _(silu) _(step) _(sign) \
    _(floor) _(ceil) _(trunc) _(round) _(_bell) _(_density) _(_gelu_slope)
#define ROWS_OF_2(_) \
    _(div) _(pow) _(leaky_relu) _(elu) _(atan2) _(hypot) _(maximum) _(minimum) _(mod) _(floordiv) \
    _(greater) _(at_least) \
    _(_tanh_slope) _(_sigmoid_slope) _(_elu_slope) _(_share) _(_inversion) _(_pow_slope)
#define PAIRS_OF_1(_) _(tanh) _(sigmoid) _(gelu) /* a row and its slope */
#define PAIRS_OF_2(_) _(elu)                     /* (of which arguments_of names the first) */

#define NAME(row) #row,
#define OPCODE(row) OP_##row,
#define PAIR_NAME(row) #row "+",
#define PAIR_OPCODE(row) PAIR_##row,
enum { ROWS_OF_1(OPCODE) ROWS_OF_2(OPCODE) OP_where, PAIRS_OF_1(PAIR_OPCODE) PAIRS_OF_2(PAIR_OPCODE)
       LOAD, STORE, SPREAD, SUM, LAYER, GATHER, DOT, OPCODES };
enum { U_PLUS, U_MINUS, V_PLUS, V_MINUS, UV_PLUS, UV_MINUS, VV_PLUS, VV_MINUS, UVV_PLUS, UVV_MINUS, KINDS };
enum { AS_IS, RELU, TIMES, TIMES_STEP, ENDS }; /* what is done with a sum before it goes to its register */
enum { PAD = 4 }; /* vectors */
const char *const row_names[] = {ROWS_OF_1(NAME) ROWS_OF_2(NAME) "where", PAIRS_OF_1(PAIR_NAME) PAIRS_OF_2(PAIR_NAME)
                                 "load", "store", "spread", "sum", "layer", "gather", "dot", NULL};

#if defined(__GNUC__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)0)
#endif

/* The compiler does not fuse what is computed of x with the rounding of x itself. (Compilers without this do not fuse.) */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define BARRIER(x) __asm__("" : "+x"(x))
#elif defined(__GNUC__) && defined(__aarch64__)
#define BARRIER(x) __asm__("" : "+w"(x))
#else
#define BARRIER(x) ((void)0)
#endif

/* One machine for each instruction set */

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__)) && !defined(PORTABLE)
#define X86
#endif

#if defined(__GNUC__) && !defined(PORTABLE)
#define LANES 2
#else
#define LANES 1
#endif
enum { BASE_LANES = LANES };
#define ISA(name) name##_base
#include "vector.h"
#include "machine.h"

#ifdef X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define LANES 4
#define ISA(name) name##_avx2
#include "vector.h"
#include "machine.h"
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx2,fma,prefer-vector-width=512")
#endif
#define LANES 8
#define ISA(name) name##_avx512
#include "vector.h"
#include "machine.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

typedef void (*Body)(const Program *, const double *, double *, double *, const Column *, double *const *, long, long);
typedef void (*Once)(const int32_t *, long, double *);
typedef void (*Totals)(const double *, int, double *);
static const struct {
    const char *name;
    Body body;
    Once once;
    Totals totals;
    int lanes;
} machines[] = {
#ifdef X86
    {"avx512", body_avx512, once_avx512, totals_avx512, 8},
    {"avx2", body_avx2, once_avx2, totals_avx2, 4},
#endif
    {"base", body_base, once_base, totals_base, BASE_LANES}, {NULL}};

int supported(int set) {
#ifdef X86
    if (set == 0) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (set == 1) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return set == 2;
#else
    return set == 0;
#endif
}

const char *name_of(int set) { return machines[set].name; }
int lanes_of(int set) { return machines[set].lanes; }

/* Checking a program: after this nothing it does can reach outside of its memory */

#define WITHIN(x, n) ((x) >= 0 && (x) < (n))
#define CHECK(condition) do { if (!(condition)) return #condition; } while (0)
#define MORE(n, limit) CHECK(within(&c, end, n, limit))

/* Go over the next n words. 0 where they are not all there, or one is no place among so many. */
static int within(const int32_t **c, const int32_t *end, int64_t n, int limit) {
    if (n < 0 || end - *c < n) return 0;
    for (; n--; ++*c)
        if (!WITHIN(**c, limit)) return 0;
    return 1;
}

static int arguments_of(int opcode) {
    return opcode < OP_div ? 1 : opcode < OP_where ? 2 : opcode == OP_where ? 3 : opcode < PAIR_elu ? 1 : 2;
}

static const int uniform_factors[] = {1, 0, 1, 0, 1}, varying_factors[] = {0, 1, 1, 2, 2}; /* of terms, by kind / 2 */

static const char *fault_in_body(const Program *p) {
    const int32_t *c = p->code[BODY], *end = c + p->size[BODY];
    while (c < end) {
        const int opcode = *c++;
        CHECK(WITHIN(opcode, OPCODES) && opcode != DOT);
        switch (opcode) {
        case LOAD: MORE(1, p->registers); MORE(1, p->columns); break;
        case STORE: MORE(1, p->registers); MORE(1, p->outs); break;
        case SPREAD: MORE(1, p->registers); MORE(1, p->uniforms); break;
        case SUM: {
            MORE(1, p->registers); MORE(1, ENDS); MORE(1, p->registers);
            CHECK(end > c && c[0] >= 0);
            for (int runs = *c++; runs--;) {
                CHECK(end - c >= 2 && WITHIN(c[0], KINDS) && c[1] >= 0);
                const int kind = *c++ / 2;
                for (int n = *c++; n--;) {
                    MORE(uniform_factors[kind], p->uniforms);
                    MORE(varying_factors[kind], p->registers);
                }
            }
            break;
        }
        case LAYER: {
            MORE(1, ENDS);
            CHECK(end - c >= 2 && c[0] >= 0 && c[1] >= 0);
            const int64_t m = *c++, n = *c++;
            for (int i = 0; i < m; i++) { MORE(1, p->registers); MORE(1, p->uniforms); MORE(1, p->registers); }
            MORE(n, p->registers);
            MORE(m * n, p->uniforms);
            break;
        }
        case GATHER: {
            CHECK(end - c >= 2 && c[0] >= 0 && c[1] >= 0);
            const int64_t m = *c++, n = *c++;
            MORE(m + n, p->registers);
            MORE(m * n, p->means);
            break;
        }
        default: /* a row, or one with its slope */
            MORE(arguments_of(opcode) + (opcode > OP_where ? 2 : 1), p->registers);
        }
    }
    return NULL;
}

static const char *fault_once(const Program *p, int part) {
    const int32_t *c = p->code[part], *end = c + p->size[part];
    while (c < end) {
        const int opcode = *c++;
        CHECK(WITHIN(opcode, OPCODES) && (opcode <= OP_where || opcode == SUM || opcode == DOT));
        const int64_t out = end > c ? *c : -1;
        MORE(1, p->uniforms);
        if (opcode == DOT) {
            CHECK(end > c && c[0] >= 0);
            for (int runs = *c++; runs--; c += 4)
                CHECK(end - c >= 4 && (c[0] == 1 || c[0] == -1) && c[1] >= 0 && c[2] >= 0 && c[3] >= 0 &&
                      (int64_t)c[1] + c[3] <= p->uniforms && (int64_t)c[2] + c[3] <= p->uniforms);
        } else if (opcode == SUM) {
            CHECK(end - c >= 2 && c[0] > 0 && c[1] >= 0 && out + c[0] <= p->uniforms);
            const int64_t count = *c++;
            for (int terms = *c++; terms--; c += 5) {
                CHECK(end - c >= 5 && (c[0] == 1 || c[0] == -1));
                for (int i = 1; i <= 3; i += 2) {
                    const int64_t last = c[i] + c[i + 1] * (count - 1), low = last < c[i] ? last : c[i];
                    CHECK(c[i + 1] >= -1 && c[i + 1] <= 1);
                    CHECK(WITHIN(c[i], p->uniforms) && WITHIN(last, p->uniforms));
                    /* apart from the results */
                    CHECK(low >= out + count || low + (c[i + 1] ? count : 1) <= out);
                }
            }
        } else
            MORE(arguments_of(opcode), p->uniforms);
    }
    return NULL;
}

const char *fault(const Program *p) {
    CHECK(p->uniforms >= 0 && p->registers >= 0 && p->means >= 0 && p->columns >= 0 && p->outs >= 0);
    CHECK(p->block > 0 && p->block % PAD == 0);
    CHECK(p->first_mean >= 0 && p->first_mean + (int64_t)p->means <= p->uniforms);
    const char *found = fault_once(p, BEFORE);
    if (!found) found = fault_in_body(p);
    return found ? found : fault_once(p, AFTER);
}

/* Sharing the samples */

enum { MOST_PIECES = 64, LEAST_SAMPLES = 2048, MOST_BYTES = 1 << 24 };

typedef struct {
    const Program *p;
    int set, pieces;
    const double *uniforms;
    const Column *columns;
    double *const *outs;
    ptrdiff_t from, to, piece;   /* rows; the rows of a piece */
    double *sums;                /* of each piece */
    void *memory;                /* for the first thread */
    PyThread_type_lock lock;     /* on what follows */
    int next, running, failed;
    volatile int stop;
    PyThread_type_lock finished; /* held while a thread runs */
} Work;

/* Seconds, by a clock that nobody sets. */
static double now(void) {
#if defined(_WIN32)
    return 1e-3 * GetTickCount64();
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
#endif
}

/* Whether to stop; asked a few times a second. last: when it was asked. */
static int to_stop(Poll poll, double *last) {
    if (!poll || now() - *last <= 0.05) return 0;
    const int stop = poll();
    *last = now();
    return stop;
}

static void *aligned(void *p) { return (void *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

void *workspace(const Program *p, int set) {
    const double doubles = ((double)p->registers * p->block + p->means) * machines[set].lanes + 16;
    return doubles < 1u << 31 ? calloc((size_t)doubles, sizeof(double)) : NULL;
}

/* Take pieces until there are none. */
static void take(Work *w, void *memory, Poll poll) {
    const Program *p = w->p;
    const int lanes = machines[w->set].lanes;
    const size_t registers = (size_t)p->registers * p->block * lanes, means = (size_t)p->means * lanes;
    double *R = aligned(memory), *partial = R + (registers + 7) / 8 * 8, last = poll ? now() : 0;
    const ptrdiff_t stretch = (ptrdiff_t)p->block * lanes * 16; /* of samples, between two looks at the clock */
    if (!memory) w->failed = 1;
    while (memory) {
        if (w->lock) PyThread_acquire_lock(w->lock, WAIT_LOCK);
        const int piece = w->next++;
        if (w->lock) PyThread_release_lock(w->lock);
        if (piece >= w->pieces || w->stop) break;
        const ptrdiff_t from = w->from + piece * w->piece, to = piece == w->pieces - 1 ? w->to : from + w->piece;
        memset(partial, 0, means * sizeof(double));
        for (ptrdiff_t at = from; at < to && !w->stop; at += stretch) {
            const ptrdiff_t end = to - at < stretch ? to : at + stretch;
            machines[w->set].body(p, w->uniforms, R, partial, w->columns, w->outs, at, end);
            if (to_stop(poll, &last)) w->stop = 1;
        }
        machines[w->set].totals(partial, p->means, w->sums + (size_t)piece * p->means);
    }
}

/* Count threads that start (1) or end (-1). Returns how many run. */
static int count(Work *w, int change) {
    PyThread_acquire_lock(w->lock, WAIT_LOCK);
    const int running = w->running += change;
    PyThread_release_lock(w->lock);
    return running;
}

static void thread(void *argument) {
    Work *w = argument;
    void *memory = workspace(w->p, w->set);
    take(w, memory, NULL);
    free(memory);
    if (count(w, -1) == 0) PyThread_release_lock(w->finished);
}

static int share(Work *w, int threads, Poll poll) {
    if (threads > w->pieces) threads = w->pieces;
    if (threads > 1 && (w->lock = PyThread_allocate_lock()) && (w->finished = PyThread_allocate_lock())) {
        PyThread_acquire_lock(w->finished, WAIT_LOCK);
        w->running = 1; /* this one, so that no other is the last before all are started */
        for (int i = 1; i < threads; i++) {
            count(w, 1);
            if (PyThread_start_new_thread(thread, w) == PYTHREAD_INVALID_THREAD_ID) {
                count(w, -1);
                break;
            }
        }
        take(w, w->memory, poll);
        if (count(w, -1) > 0) PyThread_acquire_lock(w->finished, WAIT_LOCK);
        PyThread_release_lock(w->finished);
    } else
        take(w, w->memory, poll);
    if (w->lock) PyThread_free_lock(w->lock);
    if (w->finished) PyThread_free_lock(w->finished);
    return w->failed ? NO_MEMORY : w->stop ? STOPPED : DONE;
}

int run(const Program *p, int set, double *uniforms, const Column *columns, double *const *outs, ptrdiff_t from,
        ptrdiff_t to, double scale, void *memory, int threads, Poll poll) {
    machines[set].once(p->code[BEFORE], p->size[BEFORE], uniforms);
    if (p->size[BODY] && to > from) {
        Work w = {.p = p, .set = set, .uniforms = uniforms, .columns = columns, .outs = outs, .from = from, .to = to,
                  .memory = memory};
        const ptrdiff_t rows = to - from, room = p->means ? MOST_BYTES / (8 * (ptrdiff_t)p->means) + 1 : MOST_PIECES;
        ptrdiff_t pieces = rows / LEAST_SAMPLES;
        pieces = pieces > MOST_PIECES ? MOST_PIECES : pieces;
        pieces = pieces > room ? room : pieces < 1 ? 1 : pieces;
        const ptrdiff_t unit = (ptrdiff_t)p->block * machines[set].lanes;
        w.piece = ((rows + pieces - 1) / pieces + unit - 1) / unit * unit;
        w.pieces = (int)((rows + w.piece - 1) / w.piece);
        w.sums = malloc(sizeof(double) * ((size_t)w.pieces * p->means + 1));
        if (!w.sums) return NO_MEMORY;
        const int ended = share(&w, threads, poll);
        for (int i = 0; i < p->means && ended == DONE; i++) {
            double total = 0;
            for (int piece = 0; piece < w.pieces; piece++) total += w.sums[(size_t)piece * p->means + i];
            uniforms[p->first_mean + i] = total * scale;
        }
        free(w.sums);
        if (ended != DONE) return ended;
    }
    machines[set].once(p->code[AFTER], p->size[AFTER], uniforms);
    return DONE;
}

/* Gradient steps */

/* One step of n parameters. Its results are kept apart at first: a program may write one before it reads another. */
static void move(const Rule *rule, int set, ptrdiff_t n, double rate, double step) {
    const Program *p = rule->program;
    rule->uniforms[0] = rate;
    rule->uniforms[1] = step;
    machines[set].once(p->code[BEFORE], p->size[BEFORE], rule->uniforms);
    machines[set].body(p, rule->uniforms, aligned(rule->memory), NULL, rule->columns, rule->outs, 0, n);
    for (int i = 0; i < p->outs; i++)
        memcpy((double *)rule->columns[i ? i + 1 : 0].data, rule->outs[i], sizeof(double) * n);
}

int fit(const Program *p, int set, double *uniforms, const Column *columns, ptrdiff_t rows, ptrdiff_t size, long epochs,
        int summed, int n, const int32_t *gradients, const double *rates, const Rule *rule, double steps,
        const int32_t *outputs, int noutputs, double *history, void *memory, int threads, Poll poll, long *done) {
    double *g = (double *)rule->columns[1].data, last = now();
    int ended = DONE;
    *done = 0;
    for (long epoch = 0; epoch < epochs && ended == DONE; epoch++)
        for (ptrdiff_t from = 0; from < rows && ended == DONE; from += size) {
            const ptrdiff_t to = rows - from < size ? rows : from + size;
            const double factor = summed ? to - from : 1;
            ended = run(p, set, uniforms, columns, NULL, from, to, 1.0 / (to - from), memory, threads, poll);
            if (ended != DONE) break;
            for (int i = 0; i < noutputs; i++) history[*done * noutputs + i] = factor * uniforms[outputs[i]];
            if (!isfinite(uniforms[outputs[0]])) ended = NOT_FINITE;
            for (int i = 0; i < n; i++) {
                g[i] = factor * uniforms[gradients[i]];
                if (!isfinite(g[i])) ended = NOT_FINITE;
            }
            if (ended == DONE && !(rates[*done] >= 0 && isfinite(rates[*done]))) ended = BAD_RATE;
            if (ended != DONE) break;
            move(rule, set, n, rates[*done], steps + *done);
            ++*done;
            if (to_stop(poll, &last)) ended = STOPPED;
        }
    return ended;
}
