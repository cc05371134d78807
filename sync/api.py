"""Sync for programs: one module for each group of addresses, in the order of the documentation."""

from sync.endpoints import affected, ids, staged, batches, jobs, byhand, skiplist  # isort: skip

__all__ = ["affected", "batches", "byhand", "ids", "jobs", "skiplist", "staged"]
