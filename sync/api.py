"""Sync for programs: one module for each group of addresses."""

from sync.endpoints import jobs

__all__ = ["jobs"]
