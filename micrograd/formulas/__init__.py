"""Formulas: a recorded graph as symbols, read and written."""
