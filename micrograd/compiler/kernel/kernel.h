/* Programs over tables of samples: what native.pyx sees of kernel.c. */
#ifndef MICROGRAD_KERNEL_H
#define MICROGRAD_KERNEL_H
#include <stddef.h>
#include <stdint.h>

enum { BEFORE, BODY, AFTER };      /* the parts of a program: once, for each sample, once */

typedef struct {                   /* one number of every sample */
    const void *data;              /* doubles */
    ptrdiff_t stride;              /* in bytes; 0 for a number that all samples share */
} Column;

typedef struct {
    const int32_t *code[3];
    ptrdiff_t size[3];
    int uniforms;                  /* constants, parameters, means, and what is computed of them */
    int registers;                 /* blocks of samples */
    int block;                     /* vectors in a block: a multiple of 4 */
    int means, first_mean;         /* how many, and the place of the first; the others follow */
    int columns, outs;
} Program;

typedef struct {                   /* how an optimizer moves: a program whose rows are the parameters */
    const Program *program;        /* without means */
    double *uniforms;              /* the first two are the learning rate, the number of steps taken before */
    const Column *columns;         /* the parameters, their gradients, each number that is remembered of them */
    double *const *outs;           /* room for what these are after a step, but for the gradients */
    void *memory;                  /* a workspace of the program */
} Rule;

typedef int (*Poll)(void);         /* called a few times a second: not 0 to stop */

/* How a run ended. */
enum { DONE, STOPPED, NOT_FINITE, BAD_RATE, NO_MEMORY };

extern const char *const row_names[];            /* of the rows that have an opcode, by opcode; NULL at the end */
const char *name_of(int set);                    /* of an instruction set, the best first; NULL after the last */
int supported(int set);
int lanes_of(int set);
const char *fault(const Program *p);             /* what is wrong with a program, or NULL; nothing else may run one */

/* Memory for runs of a program, to be freed with free(); NULL if there is not enough. */
void *workspace(const Program *p, int set);

/* All three parts over the rows from `from` to `to`, the means times `scale`. uniforms: in and out. */
int run(const Program *p, int set, double *uniforms, const Column *columns, double *const *outs, ptrdiff_t from,
        ptrdiff_t to, double scale, void *memory, int threads, Poll poll);

/* Gradient steps over batches of `size` rows, the last of them shorter, `epochs` times, on the n parameters that come
   first in `uniforms`, where `rule` has them, too. gradients: where theirs are. steps: taken before. summed: the loss
   is the sum over a batch, and not the mean. Each step writes its uniform outputs to `history`. A step that would not be
   finite is not taken; *done counts those taken. */
int fit(const Program *p, int set, double *uniforms, const Column *columns, ptrdiff_t rows, ptrdiff_t size, long epochs,
        int summed, int n, const int32_t *gradients, const double *rates, const Rule *rule, double steps,
        const int32_t *outputs, int noutputs, double *history, void *memory, int threads, Poll poll, long *done);
#endif
