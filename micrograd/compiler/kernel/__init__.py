"""The kernel of compiled functions, in Cython and C."""
