"""When a job counts as looping: the decision alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync.looping import Evidence, Limits, looping_sentence

SOME = st.integers(0, 50)
LIMITS = st.builds(Limits, attempts=st.integers(2, 10), starts=st.integers(3, 40))


@given(SOME, SOME, LIMITS)
def test_only_evidence_beyond_a_limit_stops(stalled: int, starts: int, limits: Limits) -> None:
    found = looping_sentence(Evidence(stalled, starts), limits)
    assert (found is not None) == (stalled >= limits.attempts or starts > limits.starts)


@given(SOME, SOME, LIMITS)
def test_more_evidence_never_lets_go(stalled: int, starts: int, limits: Limits) -> None:
    if looping_sentence(Evidence(stalled, starts), limits):
        assert looping_sentence(Evidence(stalled + 1, starts), limits)
        assert looping_sentence(Evidence(stalled, starts + 1), limits)


def test_the_sentence_says_what_repeated_and_the_limit() -> None:
    assert looping_sentence(Evidence(0, 31), Limits(3, 30)) == (
        "The organization was started 31 times within an hour without its job being done: looping (the limit is 30)."
    )
