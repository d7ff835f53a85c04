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
#define ISA(name) name##_base
#include "vector.h"
#include "machine.h"
#undef LANES
#undef ISA

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
#undef LANES
#undef ISA
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
#undef LANES
#undef ISA
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
    Body body;
    Once once;
    Totals totals;
    int lanes;
} machines[] = {
#ifdef X86
    {body_avx512, once_avx512, totals_avx512, 8},
    {body_avx2, once_avx2, totals_avx2, 4},
#endif
#if defined(__GNUC__) && !defined(PORTABLE)
    {body_base, once_base, totals_base, 2},
#else
    {body_base, once_base, totals_base, 1},
#endif
};
const char *const instruction_sets[] = {
#ifdef X86
    "avx512", "avx2",
#endif
    "base", NULL};

int supported(int set) {
#ifdef X86
    if (set == 0) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (set == 1) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return set == 2;
#else
    return set == 0;
#endif
}

int lanes_of(int set) { return machines[set].lanes; }

/* Checking a program: after this nothing it does can reach outside of its memory */

#define WITHIN(x, n) ((x) >= 0 && (x) < (n))
#define CHECK(condition) do { if (!(condition)) return #condition; } while (0)

static int arguments_of(int opcode) {
    return opcode < OP_div ? 1 : opcode < OP_where ? 2 : opcode == OP_where ? 3 : opcode < PAIR_elu ? 1 : 2;
}

static const int sizes[KINDS] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3}; /* how many operands a term has */

static const char *fault_in_body(const Program *p) {
    const int32_t *c = p->code[BODY], *end = c + p->size[BODY];
    while (c < end) {
        CHECK(WITHIN(c[0], OPCODES) && c[0] != DOT);
        if (c[0] < LOAD) {
            int n = arguments_of(c[0]) + (c[0] > OP_where ? 2 : 1);
            CHECK(end - c >= 1 + n);
            for (int i = 1; i <= n; i++) CHECK(WITHIN(c[i], p->registers));
            c += 1 + n;
            continue;
        }
        CHECK(end - c >= 3);
        switch (c[0]) {
        case LOAD: CHECK(WITHIN(c[1], p->registers) && WITHIN(c[2], p->columns)); c += 3; break;
        case STORE: CHECK(WITHIN(c[1], p->registers) && WITHIN(c[2], p->outs)); c += 3; break;
        case SPREAD: CHECK(WITHIN(c[1], p->registers) && WITHIN(c[2], p->slots)); c += 3; break;
        case SUM: {
            CHECK(end - c >= 5);
            CHECK(WITHIN(c[1], p->registers) && WITHIN(c[2], ENDS) && WITHIN(c[3], p->registers));
            int runs = c[4];
            CHECK(runs >= 0);
            for (c += 5; runs--;) {
                CHECK(end - c >= 2 && WITHIN(c[0], KINDS));
                int kind = c[0], n = c[1], size = sizes[kind];
                CHECK(n >= 0 && (end - c - 2) / size >= n);
                for (c += 2; n--; c += size) {
                    int uniform = kind < V_PLUS || (kind >= UV_PLUS && kind < VV_PLUS) || kind >= UVV_PLUS;
                    CHECK(WITHIN(c[0], uniform ? p->slots : p->registers));
                    for (int i = 1; i < size; i++) CHECK(WITHIN(c[i], p->registers));
                }
            }
            break;
        }
        case LAYER: {
            CHECK(end - c >= 4);
            const int32_t m = c[2], n = c[3];
            CHECK(WITHIN(c[1], ENDS) && m >= 0 && n >= 0 && end - c - 4 >= 3 * (int64_t)m + n + (int64_t)m * n);
            c += 4;
            for (int i = 0; i < m; i++, c += 3)
                CHECK(WITHIN(c[0], p->registers) && WITHIN(c[1], p->slots) && WITHIN(c[2], p->registers));
            for (int i = 0; i < n; i++, c++) CHECK(WITHIN(*c, p->registers));
            for (int64_t i = 0; i < (int64_t)m * n; i++, c++) CHECK(WITHIN(*c, p->slots));
            break;
        }
        case GATHER: {
            const int32_t m = c[1], n = c[2];
            CHECK(m >= 0 && n >= 0 && end - c - 3 >= (int64_t)m + n + (int64_t)m * n);
            c += 3;
            for (int64_t i = 0; i < (int64_t)m + n; i++, c++) CHECK(WITHIN(*c, p->registers));
            for (int64_t i = 0; i < (int64_t)m * n; i++, c++) CHECK(WITHIN(*c, p->means));
            break;
        }
        }
    }
    return NULL;
}

static const char *fault_once(const Program *p, int part) {
    const int32_t *c = p->code[part], *end = c + p->size[part];
    while (c < end) {
        CHECK(WITHIN(c[0], OPCODES) && (c[0] <= OP_where || c[0] == SUM || c[0] == DOT));
        if (c[0] <= OP_where) {
            int n = arguments_of(c[0]);
            CHECK(end - c >= 2 + n);
            for (int i = 0; i <= n; i++) CHECK(WITHIN(c[1 + i], p->slots));
            c += 2 + n;
            continue;
        }
        if (c[0] == DOT) {
            CHECK(end - c >= 3 && WITHIN(c[1], p->slots));
            int runs = c[2];
            CHECK(runs >= 0 && (end - c - 3) / 4 >= runs);
            for (c += 3; runs--; c += 4)
                CHECK((c[0] == 1 || c[0] == -1) && c[1] >= 0 && c[2] >= 0 && c[3] >= 0 &&
                      (int64_t)c[1] + c[3] <= p->slots && (int64_t)c[2] + c[3] <= p->slots);
            continue;
        }
        CHECK(end - c >= 4);
        int count = c[2], terms = c[3];
        CHECK(count > 0 && terms >= 0 && (end - c - 4) / 5 >= terms);
        CHECK(WITHIN(c[1], p->slots) && WITHIN(c[1] + (int64_t)count - 1, p->slots));
        int from = c[1];
        for (c += 4; terms--; c += 5) {
            CHECK(c[0] == 1 || c[0] == -1);
            for (int i = 1; i <= 3; i += 2) {
                int64_t last = c[i] + (int64_t)c[i + 1] * (count - 1), low = last < c[i] ? last : c[i];
                CHECK(c[i + 1] >= -1 && c[i + 1] <= 1);
                CHECK(WITHIN(c[i], p->slots) && WITHIN(last, p->slots));
                /* apart from the results */
                CHECK(low >= from + (int64_t)count || low + (c[i + 1] ? count : 1) <= from);
            }
        }
    }
    return NULL;
}

const char *fault(const Program *p) {
    CHECK(p->slots >= 0 && p->registers >= 0 && p->means >= 0 && p->columns >= 0 && p->outs >= 0);
    CHECK(p->block > 0 && p->block % PAD == 0);
    CHECK(p->first_mean >= 0 && p->first_mean + (int64_t)p->means <= p->slots);
    const char *found = fault_once(p, BEFORE);
    if (!found) found = fault_in_body(p);
    return found ? found : fault_once(p, AFTER);
}

/* Sharing the samples */

enum { MOST_PIECES = 64, LEAST_SAMPLES = 2048, MOST_BYTES = 1 << 24 };

typedef struct {
    const Program *p;
    int set, pieces;
    const double *slots;
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

static void *aligned(void *p) { return (void *)(((uintptr_t)p + 63) & ~(uintptr_t)63); }

static size_t doubles_of(const Program *p, int set) {
    const int lanes = machines[set].lanes;
    return ((size_t)p->registers * p->block + p->means) * lanes + 16;
}

void *workspace(const Program *p, int set) { return calloc(doubles_of(p, set), sizeof(double)); }

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
            machines[w->set].body(p, w->slots, R, partial, w->columns, w->outs, at, end);
            if (poll && now() - last > 0.05) {
                if (poll()) w->stop = 1;
                last = now();
            }
        }
        machines[w->set].totals(partial, p->means, w->sums + (size_t)piece * p->means);
    }
}

static void thread(void *argument) {
    Work *w = argument;
    void *memory = workspace(w->p, w->set);
    take(w, memory, NULL);
    free(memory);
    PyThread_acquire_lock(w->lock, WAIT_LOCK);
    const int last = --w->running == 0;
    PyThread_release_lock(w->lock);
    if (last) PyThread_release_lock(w->finished);
}

static int share(Work *w, int threads, Poll poll) {
    if (threads > w->pieces) threads = w->pieces;
    if (threads > 1 && (w->lock = PyThread_allocate_lock()) && (w->finished = PyThread_allocate_lock())) {
        PyThread_acquire_lock(w->finished, WAIT_LOCK);
        w->running = 1; /* this one, so that no other is the last before all are started */
        for (int i = 1; i < threads; i++) {
            PyThread_acquire_lock(w->lock, WAIT_LOCK);
            w->running++;
            PyThread_release_lock(w->lock);
            if (PyThread_start_new_thread(thread, w) == PYTHREAD_INVALID_THREAD_ID) {
                PyThread_acquire_lock(w->lock, WAIT_LOCK);
                w->running--;
                PyThread_release_lock(w->lock);
                break;
            }
        }
        take(w, w->memory, poll);
        PyThread_acquire_lock(w->lock, WAIT_LOCK);
        const int last = --w->running == 0;
        PyThread_release_lock(w->lock);
        if (!last) PyThread_acquire_lock(w->finished, WAIT_LOCK);
        PyThread_release_lock(w->finished);
    } else
        take(w, w->memory, poll);
    if (w->lock) PyThread_free_lock(w->lock);
    if (w->finished) PyThread_free_lock(w->finished);
    return w->failed ? NO_MEMORY : w->stop ? STOPPED : DONE;
}

int run(const Program *p, int set, double *slots, const Column *columns, double *const *outs, ptrdiff_t from,
        ptrdiff_t to, double scale, void *memory, int threads, Poll poll) {
    machines[set].once(p->code[BEFORE], p->size[BEFORE], slots);
    if (p->size[BODY] && to > from) {
        Work w = {.p = p, .set = set, .slots = slots, .columns = columns, .outs = outs, .from = from, .to = to,
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
            slots[p->first_mean + i] = total * scale;
        }
        free(w.sums);
        if (ended != DONE) return ended;
    }
    machines[set].once(p->code[AFTER], p->size[AFTER], slots);
    return DONE;
}

/* Gradient steps */

/* One step of n parameters. Its results are kept apart at first: a program may write one before it reads another. */
static void move(const Rule *rule, int set, ptrdiff_t n, double rate, double step) {
    const Program *p = rule->program;
    rule->slots[0] = rate;
    rule->slots[1] = step;
    machines[set].once(p->code[BEFORE], p->size[BEFORE], rule->slots);
    machines[set].body(p, rule->slots, aligned(rule->memory), NULL, rule->columns, rule->outs, 0, n);
    for (int i = 0; i < p->outs; i++) memcpy((double *)rule->columns[i ? i + 1 : 0].data, rule->outs[i], sizeof(double) * n);
}

int fit(const Program *p, int set, double *slots, const Column *columns, ptrdiff_t rows, ptrdiff_t size, long epochs,
        int summed, int n, const int32_t *gradients, const double *rates, const Rule *rule, double steps,
        const int32_t *outputs, int noutputs, double *history, void *memory, int threads, Poll poll, long *done) {
    double *g = (double *)rule->columns[1].data, last = now();
    int ended = DONE;
    *done = 0;
    for (long epoch = 0; epoch < epochs && ended == DONE; epoch++)
        for (ptrdiff_t from = 0; from < rows && ended == DONE; from += size) {
            const ptrdiff_t to = rows - from < size ? rows : from + size;
            const double factor = summed ? to - from : 1;
            ended = run(p, set, slots, columns, NULL, from, to, 1.0 / (to - from), memory, threads, poll);
            if (ended != DONE) break;
            for (int i = 0; i < noutputs; i++) history[*done * noutputs + i] = factor * slots[outputs[i]];
            if (!isfinite(slots[outputs[0]])) ended = NOT_FINITE;
            for (int i = 0; i < n; i++) {
                g[i] = factor * slots[gradients[i]];
                if (!isfinite(g[i])) ended = NOT_FINITE;
            }
            if (ended == DONE && !(rates[*done] >= 0 && isfinite(rates[*done]))) ended = BAD_RATE;
            if (ended != DONE) break;
            move(rule, set, n, rates[*done], steps + *done);
            ++*done;
            if (poll && now() - last > 0.05) {
                if (poll()) ended = STOPPED;
                last = now();
            }
        }
    return ended;
}
