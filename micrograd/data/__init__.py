"""Data: whatever users have for a table, as rows and columns of numbers."""
