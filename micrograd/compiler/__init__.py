"""The compiler: scalar code, recorded once, run over a whole table of samples at the speed of C. See `compile`."""
