"""`manage.py estate check`: connects to everything an estate names and says what it found.

`result` and `judge` are pure; `catalog` and `systems` ask the outside.
"""
