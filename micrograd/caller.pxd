# For the compiled engine: the two questions that each __float__ asks, in C. Places are kept in a table, in which a later
# one may take the place of an earlier; the code is held, so that its address stays its own.
cdef extern from *:
    """
    #include <Python.h>
    #include <frameobject.h>

    static struct { PyCodeObject *code; int last; } micrograd_settled[256];

    static inline int micrograd_place(PyCodeObject **code, int *last) {
        PyFrameObject *frame = PyEval_GetFrame();
        if (frame == NULL)
            return -1;
    #if PY_VERSION_HEX >= 0x030B0000
        *last = PyFrame_GetLasti(frame);
    #else
        *last = frame->f_lasti;
    #endif
        *code = PyFrame_GetCode(frame);
        return (int)((((size_t)*code >> 4) ^ ((size_t)*last >> 1)) % 256);
    }

    static inline int micrograd_unsettled(void) {
        PyCodeObject *code;
        int last, i = micrograd_place(&code, &last), known = 1;
        if (i >= 0) {
            known = micrograd_settled[i].code == code && micrograd_settled[i].last == last;
            Py_DECREF(code);
        }
        return !known;
    }

    static inline void micrograd_settle(void) {
        PyCodeObject *code;
        int last, i = micrograd_place(&code, &last);
        if (i >= 0) {
            PyCodeObject *before = micrograd_settled[i].code;
            micrograd_settled[i].code = code;
            micrograd_settled[i].last = last;
            Py_XDECREF(before);
        }
    }

    static inline void micrograd_keep_open(PyObject *kind) {
    #if PY_VERSION_HEX >= 0x030A0000
        ((PyTypeObject *)kind)->tp_flags &= ~Py_TPFLAGS_IMMUTABLETYPE;
    #endif
    }
    """
    void keep_open "micrograd_keep_open" (object kind) noexcept
    bint unsettled "micrograd_unsettled" () noexcept
    void settle "micrograd_settle" () noexcept
