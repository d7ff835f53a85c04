"""The kernel in Python: programs in native code, on the Values of the compiled engine. See kernel.h and encode.py."""

from cpython.buffer cimport (PyBUF_FORMAT, PyBUF_STRIDED_RO, PyBUF_WRITABLE, PyBuffer_Release, PyObject_CheckBuffer,
                             PyObject_GetBuffer)
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.pythread cimport (PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock,
                               PyThread_get_thread_ident, PyThread_release_lock, PyThread_type_lock)
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from micrograd.engine cimport Value

import os
from array import array
from functools import cache


cdef extern from "kernel.h":
    enum: BEFORE, BODY, AFTER
    enum: DONE, STOPPED, NOT_FINITE, BAD_RATE, NO_MEMORY
    ctypedef struct Column:
        const void *data
        Py_ssize_t stride
    ctypedef struct Program:
        const int32_t *code[3]
        Py_ssize_t size[3]
        int uniforms, registers, block, means, first_mean, columns, outs
    ctypedef struct Rule:
        const Program *program
        double *uniforms
        const Column *columns
        double *const *outs
        void *memory
    ctypedef int (*Poll)() noexcept
    const char *const row_names[]
    const char *name_of(int set)
    int supported(int set)
    int lanes_of(int set)
    const char *fault(const Program *p)
    void *workspace(const Program *p, int set)
    int run(const Program *p, int set, double *uniforms, const Column *columns, double *const *outs, Py_ssize_t start,
            Py_ssize_t stop, double scale, void *memory, int threads, Poll poll) nogil
    int fit(const Program *p, int set, double *uniforms, const Column *columns, Py_ssize_t rows, Py_ssize_t size,
            long epochs, int summed, int n, const int32_t *gradients, const double *rates, const Rule *rule,
            double steps, const int32_t *outputs, int noutputs, double *history, void *memory, int threads, Poll poll,
            long *done) nogil

cdef extern from "Python.h":
    int PyErr_CheckSignals()


codes = {}                # the opcode of each row, and of the kernel's own instructions
while row_names[len(codes)] != NULL:
    codes[row_names[len(codes)].decode()] = len(codes)
sets = []                 # the instruction sets that the kernel was built for, by what this processor has
while name_of(len(sets)) != NULL:
    sets.append(name_of(len(sets)).decode())
available = [name for number, name in enumerate(sets) if supported(number)]


def lanes(str name):
    """The number of numbers in a vector of that instruction set."""
    return lanes_of(sets.index(name))


cdef int poll() noexcept with gil:
    return PyErr_CheckSignals()  # the error stays set, for `ended` to find


cdef int ended(int how) except -1:
    """Raise what a run has come to, if it has not come to its end: KeyboardInterrupt, say."""
    if how == STOPPED:
        return -1
    if how == NO_MEMORY:
        raise MemoryError("there is not enough memory for the registers of this program")
    return 0


cdef void shuffle(Column *columns, int n, const long long *places, Py_ssize_t rows, double *to) noexcept nogil:
    """Copy the columns to another place, with their rows in that order, and point to them there."""
    cdef Py_ssize_t i
    cdef int j
    for j in range(n):
        if columns[j].stride:
            for i in range(rows):
                memcpy(&to[j * rows + i], <const char *>columns[j].data + places[i] * columns[j].stride, sizeof(double))
            columns[j].data = &to[j * rows]
            columns[j].stride = sizeof(double)


cdef bint is_double(const char *format):
    if format[0] in (b"<", b"=", b"@") and format[0] != b"\0":
        format += 1
    return format[0] == b"d" and format[1] == b"\0"


cdef Py_ssize_t stride(const Py_buffer *view, int axis) noexcept:
    """The bytes from an item to the next along an axis. A buffer of ctypes has no strides: it lies in one piece."""
    if view.strides != NULL:
        return view.strides[axis]
    return view.itemsize if axis == view.ndim - 1 else view.itemsize * view.shape[1]


cdef (size_t, size_t) span(const Py_buffer *view) noexcept:
    """The memory that a buffer lies in: where it begins and ends."""
    cdef size_t low = <size_t>view.buf, high = low + view.itemsize
    cdef int axis
    cdef Py_ssize_t reach
    for axis in range(view.ndim):
        reach = (view.shape[axis] - 1) * stride(view, axis)
        if reach < 0:
            low += reach
        else:
            high += reach
    return low, high


cdef tuple plain(tuple data):
    """The data with Python's floats for all numbers. A conversion may run any code, so it comes before the lock."""
    for x in data:
        if type(x) is not float and isinstance(x, (float, int)):
            return tuple([float(y) if isinstance(y, (float, int)) else y for y in data])
    return data


@cache
def veiled(kind):
    """Ask whether arrays of that type may be masked: their buffers show what lies behind the mask as numbers."""
    return hasattr(kind, "mask")


cdef unsigned long forks = 0     # between this process and the one that loaded the module
cdef unsigned long survivor = 0  # the thread that made the last of them, the only one that goes on in the child


def forked():
    global forks, survivor
    forks += 1
    survivor = PyThread_get_thread_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forked)


cdef class Machine:
    """A program that runs in native code.

    code: what encode.py makes. values: the Values that come first in code.uniforms; code.outputs ends with the gradients of
    the `trained` first ones, in the same order. widths: for each argument how many columns it has as a table, 0 for one
    column. threads: so many; or, if negative, at most so many, where they pay. Data come as buffers of doubles, a number
    for all rows, or, for an argument with a width, a buffer of two dimensions.
    """

    cdef Program p
    cdef int set, outputs, trained, threads
    cdef readonly Py_ssize_t words   # of code for a sample
    cdef list kept                # of these is the memory of what follows
    cdef list values, widths
    cdef double *uniforms
    cdef double *numbers          # those that stand for a column; then the results of `one`
    cdef Column *columns
    cdef double **outs
    cdef Py_buffer *views
    cdef int held                 # how many views there are
    cdef void *memory
    cdef PyThread_type_lock lock
    cdef unsigned long owner      # the thread that holds the lock, 0 for none
    cdef unsigned long forks      # when the lock was made
    cdef const int32_t *offsets   # of the uniform outputs, then of the gradient

    def __cinit__(self, code, list values, int trained, list widths, str instruction_set, int threads):
        cdef double[::1] contents = array("d", [*code.uniforms, 0.0])  # one more, so that there is a first
        cdef int i
        self.kept = [contents]
        self.values = list(values)
        self.widths = list(widths)
        self.trained = trained
        self.threads = threads
        self.set = sets.index(instruction_set)
        if instruction_set not in available:
            raise ValueError(f"this processor does not support {instruction_set}")
        for i, words in enumerate((code.before, code.body, code.after)):
            self.p.size[i] = len(words)
            self.p.code[i] = self.words_of(words)
        self.words = self.p.size[BODY]
        self.p.uniforms, self.p.registers, self.p.block = contents.shape[0] - 1, code.registers, code.block
        self.p.means, self.p.first_mean = code.means, code.first_mean
        self.p.columns, self.p.outs = code.columns, code.outs
        self.outputs = len(code.outputs) - trained
        self.offsets = self.words_of(code.outputs)
        wrong = fault(&self.p)
        if wrong != NULL:
            raise ValueError(f"not a program: {wrong.decode()} does not hold")
        if not 0 <= trained <= len(values) <= self.p.uniforms or self.outputs < 0:
            raise ValueError("not a program: more parameters than uniform numbers")
        if min(self.widths, default=0) < 0 or sum([width or 1 for width in self.widths]) != self.p.columns:
            raise ValueError("not a program: its columns are not those of its arguments")
        if code.outputs and not 0 <= min(code.outputs) <= max(code.outputs) < self.p.uniforms:
            raise ValueError("not a program: an output that is not there")
        for value in self.values:
            if not isinstance(value, Value):
                raise TypeError(f"a parameter is a Value, found {value!r}")
        self.uniforms = &contents[0]
        self.numbers = <double *>self.room(sizeof(double) * (self.p.columns + self.p.outs))
        self.columns = <Column *>self.room(sizeof(Column) * self.p.columns)
        self.outs = <double **>self.room(sizeof(double *) * self.p.outs)
        self.views = <Py_buffer *>self.room(sizeof(Py_buffer) * (len(widths) + self.p.outs))
        self.memory = workspace(&self.p, self.set)
        self.lock = PyThread_allocate_lock()
        self.forks = forks
        if not (self.memory and self.lock):
            raise MemoryError("there is not enough memory for the registers of this program")

    def __dealloc__(self):
        free(self.memory)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef char *room(self, Py_ssize_t size) except NULL:
        """Memory that lives as long as the machine."""
        memory = bytearray(size)
        self.kept.append(memory)
        return PyByteArray_AS_STRING(memory)

    cdef const int32_t *words_of(self, words) except? NULL:
        """A copy of these words."""
        cdef const int32_t[::1] copied = array("i", words)
        self.kept.append(copied)
        return &copied[0] if len(words) else NULL

    cdef int acquire(self) except -1:
        cdef unsigned long thread = PyThread_get_thread_ident()
        if self.forks != forks:
            self.after_fork()
        if not PyThread_acquire_lock(self.lock, 0):
            if self.owner == thread:
                raise RuntimeError("a compiled function is called by its own data, while it reads them")
            with nogil:
                PyThread_acquire_lock(self.lock, 1)
        self.owner = thread
        return 0

    cdef int after_fork(self) except -1:
        """In a child the thread that held the lock is gone, and would never release it: what it left is undone here.
        (The old lock is not freed, as Python does not free its own: it may have been in the middle of something.)"""
        cdef PyThread_type_lock lock
        if self.owner != survivor:  # though it be 0: who has just got the lock has not said so yet
            lock = PyThread_allocate_lock()
            if lock == NULL:
                raise MemoryError("there is not enough memory for a lock")
            self.lock = lock
            self.give_back()
        self.forks = forks
        return 0

    cdef void give_back(self):
        while self.held:
            self.held -= 1
            PyBuffer_Release(&self.views[self.held])
        self.owner = 0

    cdef void release(self):
        self.give_back()
        PyThread_release_lock(self.lock)

    cdef void read_parameters(self):
        cdef Py_ssize_t i
        cdef list values = self.values
        for i in range(len(values)):
            self.uniforms[i] = (<Value>values[i])._data

    cdef Py_ssize_t bind(self, tuple data, bint table) except -2:
        """Point the columns at the data. How many rows there are, or -1 where something else was found."""
        cdef Py_ssize_t rows = -1, length
        cdef int place = 0, width, i, j
        cdef Py_buffer *view
        cdef list widths = [self.p.columns] if table else self.widths
        if len(data) != len(widths):
            return -1
        for i in range(len(widths)):
            given, width = data[i], widths[i]
            if isinstance(given, (float, int)):
                if width:
                    return -1
                self.numbers[place] = given
                self.columns[place].data = &self.numbers[place]
                self.columns[place].stride = 0
                place += 1
                continue
            if not PyObject_CheckBuffer(given) or (type(given) is not array and veiled(type(given))):
                return -1
            view = &self.views[self.held]
            try:
                PyObject_GetBuffer(given, view, PyBUF_STRIDED_RO | PyBUF_FORMAT)
            except (BufferError, ValueError):
                return -1
            self.held += 1
            if view.ndim != (2 if width else 1) or view.format == NULL or not is_double(view.format):
                return -1
            length = view.shape[0]
            if (rows >= 0 and length != rows) or (width and view.shape[1] != width):
                return -1
            rows = length
            for j in range(width or 1):
                self.columns[place].data = <char *>view.buf + (j * stride(view, 1) if width else 0)
                self.columns[place].stride = stride(view, 0)
                place += 1
        return rows

    cdef int helpers(self, Py_ssize_t rows) noexcept:
        """The number of threads that share so many rows. By itself, one if there is less than a tenth of a millisecond to do."""
        if self.threads > 0:
            return self.threads
        return -self.threads if <double>rows * self.words > 4e6 else 1

    cdef int over(self, Py_ssize_t rows, double **outs, double scale) except -1:
        """Run the program over the rows of the data that the columns are bound to."""
        cdef int how, threads = self.helpers(rows)
        self.read_parameters()
        with nogil:
            how = run(&self.p, self.set, self.uniforms, self.columns, outs, 0, rows, scale, self.memory, threads, poll)
        return ended(how)

    def total(self, tuple data, bint table, bint summed, bint backward):
        """The uniform outputs over all rows, and the gradient if backward is false; else it is added to the parameters'
        .grad, as `backward` does. None where the data are not buffers of doubles that fit."""
        cdef Py_ssize_t rows, i
        cdef double factor
        cdef list values = self.values
        data = plain(data)
        if self.p.outs:
            raise ValueError("this program writes an output for each row: it is run by map")
        self.acquire()
        try:
            rows = self.bind(data, table)
            if rows <= 0:
                return None
            self.over(rows, NULL, 1.0 / rows)
            factor = rows if summed else 1.0
            if backward:
                for i in range(self.trained):
                    (<Value>values[i])._grad += factor * self.uniforms[self.offsets[self.outputs + i]]
                if self.outputs == 1:
                    return factor * self.uniforms[self.offsets[0]]
                return [factor * self.uniforms[self.offsets[i]] for i in range(self.outputs)]
            return [factor * self.uniforms[self.offsets[i]] for i in range(self.outputs + self.trained)]
        finally:
            self.release()

    def one(self, tuple numbers):
        """The varying outputs for one sample, given as a number for each column."""
        cdef int i
        if len(numbers) != self.p.columns:
            raise ValueError(f"{self.p.columns} numbers are needed, found {len(numbers)}")
        for x in numbers:
            if type(x) is not float:
                numbers = tuple(map(float, numbers))  # before the lock, as it may run any code
                break
        self.acquire()
        try:
            self.read_parameters()
            for i in range(self.p.columns):
                self.numbers[i] = numbers[i]
                self.columns[i].data = &self.numbers[i]
                self.columns[i].stride = 0
            for i in range(self.p.outs):
                self.outs[i] = &self.numbers[self.p.columns + i]
            ended(run(&self.p, self.set, self.uniforms, self.columns, self.outs, 0, 1, 1.0, self.memory, 1, NULL))
            return [self.numbers[self.p.columns + i] for i in range(self.p.outs)]
        finally:
            self.release()

    def map(self, tuple data, bint table, list outs):
        """Write the varying outputs of each row to these buffers. False where the data are not buffers that fit."""
        cdef Py_ssize_t rows
        cdef int i, j
        cdef Py_buffer *view
        cdef size_t low, high, first, last
        if len(outs) != self.p.outs:
            raise ValueError(f"{self.p.outs} outputs are written, found {len(outs)} buffers")
        data = plain(data)
        self.acquire()
        try:
            rows = self.bind(data, table)
            if rows < 0:
                return False
            for i in range(self.p.outs):
                view = &self.views[self.held]
                PyObject_GetBuffer(outs[i], view, PyBUF_STRIDED_RO | PyBUF_FORMAT | PyBUF_WRITABLE)
                self.held += 1
                if view.ndim != 1 or view.shape[0] != rows or not is_double(view.format) or (
                        rows > 1 and stride(view, 0) != sizeof(double)):
                    raise ValueError(f"an output is written to {rows} doubles in a row, found another buffer")
                self.outs[i] = <double *>view.buf
                low, high = span(view)
                for j in range(self.held - 1 if rows else 0):
                    first, last = span(&self.views[j])
                    if low < last and first < high:
                        raise ValueError("an output would be written over a column or another output: give each memory "
                                         "of its own")
            if rows:
                self.over(rows, self.outs, 1.0)
            return True
        finally:
            self.release()

    cdef int bind_rule(self, Rule *rule, Py_ssize_t n, double *parameters, list kept, double *room) except -1:
        """Point the columns at the n parameters and at what is kept of them. room: for their gradients, and for all
        that a step changes."""
        cdef double[::1] remembered
        cdef int i
        if self.p.means or self.p.columns != len(kept) + 2 or self.p.outs != len(kept) + 1 or len(self.values) != 2:
            raise ValueError("a rule takes the parameters, their gradients, and each number that is remembered of them; "
                             "it gives all but the gradients")
        for i in range(self.p.columns):
            self.columns[i].data = room if i == 1 else parameters
            self.columns[i].stride = sizeof(double)
            if i > 1:
                remembered = kept[i - 2]
                if remembered.shape[0] != n:
                    raise ValueError("fit needs a number for each parameter in the optimizer")
                self.columns[i].data = &remembered[0] if n else NULL
        for i in range(self.p.outs):
            self.outs[i] = room + (i + 1) * n
        rule.program, rule.uniforms, rule.columns, rule.outs, rule.memory = (
            &self.p, self.uniforms, self.columns, self.outs, self.memory)
        return 0

    def fit(self, tuple data, bint table, order, Py_ssize_t size, long epochs, bint summed, rates, Machine rule,
            double steps, list kept):
        """Gradient steps on the trained parameters, whose numbers are set at the end, whatever happens.

        order: None, or the rows in the order in which they are seen, as a buffer of "q". rule: a machine whose rows are
        the parameters, and whose own values are the learning rate and the number of steps taken before, which are
        `steps` at first. kept: what the optimizer remembers, a buffer for each kind, in the order of values. Returns
        None where the data are not buffers that fit; or: what ended it, a word ("" for a whole run, "not finite",
        "rate"), or the error itself; how many steps were taken; the uniform outputs at each of them and at the one that
        was not; the gradient at the last.
        """
        cdef Py_ssize_t rows, i, batches, shuffled
        cdef long done = 0
        cdef int how = DONE, threads
        cdef Rule moves
        cdef const long long[::1] places
        cdef double *room = NULL  # for the shuffled rows, then for what a step changes
        cdef const double[::1] rate = rates
        cdef double[::1] history
        data = plain(data)
        if self.p.outs or size < 1 or epochs < 0 or rule is self:
            raise ValueError("fit needs a program without outputs for each row, a size >= 1 and epochs >= 0")
        rule.acquire()
        try:
            self.acquire()
        except BaseException:
            rule.release()
            raise
        try:
            rows = self.bind(data, table)
            if rows <= 0:
                return None
            size = min(size, rows)
            threads = self.helpers(size)
            batches = (rows + size - 1) // size
            if rate.shape[0] // batches < epochs:
                raise ValueError("fit needs a rate for each step")
            batches *= epochs
            history = record = array("d", bytes(8 * (batches + 1) * self.outputs))
            shuffled = 0 if order is None else rows * self.p.columns
            room = <double *>malloc(sizeof(double) * (shuffled + self.trained * (len(kept) + 2) + 1))
            if room == NULL:
                raise MemoryError("there is not enough memory for steps on so many rows and parameters")
            if order is not None:
                places = order
                if places.shape[0] != rows:
                    raise ValueError("fit needs a place for each row in the order")
                for i in range(rows):
                    if not 0 <= places[i] < rows:
                        raise ValueError("fit found a row in the order that is not there")
                shuffle(self.columns, self.p.columns, &places[0], rows, room)
            rule.bind_rule(&moves, self.trained, self.uniforms, kept, room + shuffled)
            self.read_parameters()
            if batches and self.outputs:
                with nogil:
                    how = fit(&self.p, self.set, self.uniforms, self.columns, rows, size, epochs, summed, self.trained,
                              self.offsets + self.outputs, &rate[0], &moves, steps, self.offsets, self.outputs,
                              &history[0], self.memory, threads, poll, &done)
            for i in range(self.trained):
                (<Value>self.values[i])._data = self.uniforms[i]
            end = "not finite" if how == NOT_FINITE else "rate" if how == BAD_RATE else ""
            try:
                ended(how)
            except BaseException as error:
                end = error
            return end, done, record, [self.uniforms[self.offsets[self.outputs + i]] for i in range(self.trained)]
        finally:
            free(room)
            self.release()
            rule.release()
