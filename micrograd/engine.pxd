# What Cython needs to know to compile engine.py: the layout of a node, and the types of what runs for every node.
cimport cython
cimport libc.math as math  # the same functions, but in C: they raise nothing
from . cimport caller

cdef class Value:
    cdef double _data, _grad
    cdef Value _a, _b
    cdef double _da, _db
    cdef str _label
    cdef unsigned int _row, _visit  # 32 bits each: with them a node takes 80 bytes

cdef unsigned int LEAF, CONSTANT, ADD, SUB, MUL, DIV, NEG, POW, RELU, TANH, SIGMOID

@cython.locals(node=Value)
cdef Value record(unsigned int row, double y, Value a, double da, Value b, double db)
cdef Value plus(Value a, Value b)
@cython.locals(x=double, w=double)
cdef Value times(Value a, Value b)
@cython.locals(met="unsigned int", done="unsigned int", order=list, stack=list, node=Value, a=Value, b=Value)
cdef list walk(object roots, bint afresh=*)
@cython.locals(node=Value, upstream=double, da=double, db=double, carrying=set)
cdef chain_rule(list order)

cpdef bint propagates_type(object x)
cdef kind_of_child(Value a, Value b)
cdef Value minus(Value a, Value b)
@cython.locals(w=double, y=double)
cdef Value over(Value a, Value b)
@cython.locals(x=double, n=double, y=double, exact=bint, divides=bint)
cdef Value power(Value a, Value b)
@cython.locals(x=double, e=double)
cdef Value tanh_of(Value a)
@cython.locals(x=double, e=double)
cdef Value sigmoid_of(Value a)
@cython.locals(row="unsigned int", x=double, y=double, da=double)
cdef Value unary(object op, Value a)
@cython.locals(x=double, w=double, y=double, da=double, db=double)
cdef Value binary(object op, Value a, Value b)
@cython.locals(node=Value)
cpdef Value constant(object x, str label=*)
cpdef Value as_value(object x)
cdef comparable(object x)
cdef Value chain_of_sums(Value total, tuple terms)
@cython.locals(i=Py_ssize_t, product=Value)
cdef Value chain_of_products(Value total, tuple weights, tuple inputs)

cdef set edges_that_carry(list order)
@cython.locals(node=Value, root=Value, a=Value, b=Value, place=dict, shape=list)
cpdef skeleton(object roots)
@cython.locals(node=Value)
cpdef gradient(object y, object xs)
cdef Value chained(Value upstream, object slope)
@cython.locals(copied=Value)
cdef Value twin(Value node, Value a, Value b)
@cython.locals(node=Value)
cdef Value copy_graph(Value root, dict memo)
@cython.locals(node=Value)
cdef tuple flatten(Value root)
@cython.locals(node=Value)
cpdef restore_graph(dict leaves, list rows, list labels, object numbers, object links)
@cython.locals(node=Value)
cpdef restore_leaf(object kind, double data, double grad, str label, object row)

cdef list pending
cdef bint releasing
@cython.locals(a=Value, b=Value)
cdef release(Value node)
