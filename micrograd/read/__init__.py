"""Reading a recorded graph: drawing it, writing it down."""
