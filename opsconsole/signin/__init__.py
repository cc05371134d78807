"""Signing in, confirming who one is, and what a person keeps of these: over django-allauth."""
