"""Marking: what learners hand in, held against a graph."""
