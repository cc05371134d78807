"""The comparison itself: pure, streaming, bounded by a chunk. Imports nothing of Django and nothing of the project."""
