"""The compiler: scalar code, recorded once, run over a whole table of samples at the speed of C. See `compile`.

What happens to a function, in this order; between the steps there is plain data:

    trace.record            It is run on inputs without numbers; the graph that is left is a `Program`.
    program.simplified      Constants are folded, small powers become products, ops without an instruction are inlined.
    gradient.gradient       The rules of the rows are called on its nodes: derivatives are more of the same program.
    schedule.schedule       What is asked for becomes a `Schedule`: what is run before, for and after the samples.
        merged              Nodes that compute the same become one.
        rewire              Inlined nodes, and steps of what a relu is of, read another node with the same number.
        counted             Nodes that nothing reads are left out.
        collected           Sums take in the sums and products that only they use.
        written             Each node gets its instruction; means are accumulated as their numbers are computed.

A schedule is run in one of three ways: as Python source, by the kernel, or on arrays.

    python_code.Script      It is printed as Python source, and run so.
    fuse.fused              For the kernel, the instructions for each sample become fewer, larger ones:
        with_epilogues      A relu or a product at the end of a sum becomes part of it.
        fold_products       A product that only sums use is worked out in them.
        with_pairs          A row and its slope become one instruction.
        with_dense_sums     Sums of the same numbers become one instruction.
        with_outer_products Products of all pairs that are accumulated become one instruction.
    encode.encode           Nodes get registers and offsets; the instructions become numbers, which the kernel runs.
    plan.plan               For arrays, what is computed alike becomes one operation (`arrays`, `jax_devices`).
"""
