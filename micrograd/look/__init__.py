"""Views of a recorded graph: drawn, stepped through, explained, nudged, examined."""
