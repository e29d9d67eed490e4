"""What is kept of a bucket: for any history of pushes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from spillway.models.revisions import KEPT, Revision, superfluous

START = datetime(2026, 11, 1, tzinfo=UTC)
names = st.sampled_from([f"r{n}" for n in range(12)])
history = st.lists(
    st.builds(
        lambda model, revision, state, day: Revision(model, revision, state, 1, 1, START + timedelta(days=day)),
        st.sampled_from(["m", "n"]),
        names,
        st.sampled_from(["complete", "complete", "damaged", "incomplete"]),
        st.integers(0, 30),
    ),
    unique_by=lambda one: (one.model, one.revision),
)
pairs = st.sets(st.tuples(st.sampled_from(["m", "n"]), names), max_size=4)


@given(history, pairs)
def test_what_is_named_new_or_arriving_never_goes_and_everything_else_does(
    found: list[Revision], named: set[tuple[str, str]]
) -> None:
    gone = superfluous(found, named)
    assert not {(one.model, one.revision) for one in gone} & named
    assert all(one.state != "incomplete" for one in gone)
    for model in ("m", "n"):
        whole = [one for one in found if one.model == model and one.state != "incomplete"]
        left = [one for one in whole if one not in gone]
        out = [one for one in gone if one.model == model]
        assert len(left) >= min(KEPT, len(whole))
        assert all(sum(other.created >= one.created for other in left) >= KEPT for one in out), (
            "older than three others"
        )
        unnamed = [one for one in left if (one.model, one.revision) not in named]
        assert len(unnamed) <= KEPT
