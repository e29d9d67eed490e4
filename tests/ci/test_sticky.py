"""One comment, whoever else comments, however many pages there are, and whatever the network does."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.ci import github
from spillway.ci.api import PATIENCE, Api, Lost, Refused
from spillway.ci.sticky import Stuck, fitted, marked, stick
from spillway.errors import SpillwayError
from spillway.preview.markdown import MARKER
from tests.ci.fake_github import BASE, REPOSITORY, FakeGithub, always, once

TEXT = f"{MARKER}\n## Preview\n"


def api(fake: FakeGithub, *, now: float = 0.0) -> Api:
    return Api(
        "GitHub", BASE, github.headers("secret-token"), github.RIGHTS, transport=fake.transport,
        sleep=fake.slept.append, now=lambda: now,
    )  # fmt: skip


def post(fake: FakeGithub, text: str = TEXT, *, only_edit: bool = False, now: float = 0.0) -> Stuck:
    conversation = github.PullRequest(api(fake, now=now), REPOSITORY, 7)
    return stick(conversation, text, MARKER, only_edit=only_edit)


def bodies(fake: FakeGithub) -> list[str]:
    return [one["body"] for one in fake.comments.values()]


def test_the_first_run_makes_a_comment_and_the_next_ones_edit_it() -> None:
    fake = FakeGithub()
    assert post(fake).action == "created"
    assert post(fake, f"{TEXT}more").action == "edited"
    assert bodies(fake) == [f"{TEXT}more"]


def test_the_same_text_is_not_sent_again() -> None:
    fake = FakeGithub()
    fake.comment(TEXT.replace("\n", "\r\n") + "\r\n")
    assert post(fake).action == "unchanged"
    assert not [one for one in fake.requests if not one.startswith("GET")]


def test_the_comment_is_found_behind_three_full_pages_of_others() -> None:
    fake = FakeGithub()
    for number in range(310):
        fake.comment(f"talk {number}", "somebody")
    mine = fake.comment(f"{MARKER}\nold")
    assert post(fake).action == "edited"
    assert fake.comments[mine]["body"] == TEXT
    assert len(fake.comments) == 311


def test_a_marker_in_somebody_elses_comment_is_left_alone() -> None:
    fake = FakeGithub()
    forged, orphan = fake.comment(f"{MARKER}\nforged", "mallory"), fake.comment(f"{MARKER}\ngone", None)
    assert post(fake).action == "created"
    assert fake.comments[forged]["body"] == f"{MARKER}\nforged"
    assert fake.comments[orphan]["body"] == f"{MARKER}\ngone"


def test_an_answer_that_quotes_the_comment_is_none() -> None:
    fake = FakeGithub()
    quoted = fake.comment(f"> {MARKER}\n> ## Preview\nWhy?")
    assert post(fake).action == "created"
    assert fake.comments[quoted]["body"].endswith("Why?")


def test_of_two_comments_with_the_marker_the_first_stays_and_is_edited() -> None:
    fake = FakeGithub()
    first, talk, second = fake.comment(f"{MARKER}\na"), fake.comment("talk", "x"), fake.comment(f"{MARKER}\nb")
    assert post(fake) == Stuck("edited", f"https://c/{first}", 1)
    assert list(fake.comments) == [first, talk]
    assert second not in fake.comments


def test_where_nothing_is_to_be_said_no_comment_is_made_but_an_old_one_is_edited() -> None:
    fake = FakeGithub()
    assert post(fake, only_edit=True).action == "none"
    assert not fake.comments
    fake.comment(f"{MARKER}\nold")
    assert post(fake, only_edit=True).action == "edited"


def test_a_comment_that_somebody_deletes_meanwhile_is_made_anew() -> None:
    fake = FakeGithub()
    mine = fake.comment(f"{MARKER}\nold")

    def deleted() -> httpx.Response:
        fake.comments.pop(mine)
        return httpx.Response(404, json={"message": "Not Found"})

    fake.rules.append(once("PATCH", deleted))
    assert post(fake).action == "created"
    assert bodies(fake) == [TEXT]


def test_a_lost_answer_to_a_creation_makes_no_second_comment() -> None:
    fake = FakeGithub(lose={"POST"})
    assert post(fake).action == "unchanged"
    assert bodies(fake) == [TEXT]


def test_a_creation_that_never_arrived_is_made_after_another_look() -> None:
    fake = FakeGithub(rules=[once("POST", lambda: httpx.Response(502))])
    assert post(fake).action == "created"
    assert bodies(fake) == [TEXT]


def test_a_network_that_comes_back_is_waited_for() -> None:
    faults = [httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.ConnectTimeout("slow")]
    fake = FakeGithub(rules=[once("GET", lambda fault=fault: fault) for fault in faults])  # type: ignore[misc]
    assert post(fake).action == "created"
    assert fake.slept == [1, 2, 4]


def test_a_network_that_stays_away_is_told_in_one_line_without_the_token() -> None:
    fake = FakeGithub(rules=list(always("GET", lambda: httpx.ConnectError("connection refused"))))
    with pytest.raises(SpillwayError) as caught:
        post(fake)
    assert caught.value.lines == ("GitHub: cannot be reached: connection refused",)


def test_retry_after_is_what_is_waited() -> None:
    fake = FakeGithub(rules=[once("POST", lambda: httpx.Response(429, headers={"Retry-After": "17"}))])
    assert post(fake).action == "created"
    assert fake.slept == [17]


def test_a_date_in_retry_after_is_waited_for_too() -> None:
    headers = {"Retry-After": "Thu, 01 Jan 1970 00:17:30 GMT"}
    fake = FakeGithub(rules=[once("POST", lambda: httpx.Response(503, headers=headers))])
    assert post(fake, now=1000.0).action == "created"
    assert fake.slept == [50]


@pytest.mark.parametrize("value", ["", "soon", "-5", "1.5", "٣"])
def test_a_retry_after_that_says_nothing_is_the_usual_wait(value: str) -> None:
    headers = {"Retry-After": value.encode()}
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(429, headers=headers))])  # type: ignore[arg-type]
    assert post(fake).action == "created"
    assert fake.slept == [60]


def test_a_server_that_stays_broken_is_asked_five_times_and_told() -> None:
    fake = FakeGithub(rules=list(always("GET", lambda: httpx.Response(500, json={"message": "Server Error"}))))
    with pytest.raises(Refused, match=r"GET .*/comments: answers 500: Server Error"):
        post(fake)
    assert fake.slept == [1, 2, 4, 8]


def test_a_used_up_limit_is_waited_for_until_it_is_reset() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1300"}
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(403, headers=headers))])
    assert post(fake, now=1000.0).action == "created"
    assert fake.slept == [300]


def test_a_secondary_limit_that_says_no_time_is_waited_for_longer_each_time() -> None:
    told = {"message": "You have exceeded a secondary rate limit"}
    fake = FakeGithub(rules=[once("POST", lambda: httpx.Response(403, json=told)) for _ in range(2)])
    assert post(fake).action == "created"
    assert fake.slept == [60, 120]


def test_a_limit_beyond_patience_is_told_instead_of_sat_out() -> None:
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(429, headers={"Retry-After": "3600"}))])
    with pytest.raises(SpillwayError, match=rf"asks to wait 3600 s.*patience of {PATIENCE:.0f} s"):
        post(fake)
    assert fake.slept == []


def test_a_missing_permission_says_which_one_and_is_not_tried_again() -> None:
    told = {"message": "Resource not accessible by integration"}
    fake = FakeGithub(rules=list(always("POST", lambda: httpx.Response(403, json=told))))
    with pytest.raises(Refused) as caught:
        post(fake)
    (line,) = caught.value.lines
    assert "answers 403: Resource not accessible by integration" in line
    assert "`pull-requests: write`" in line
    assert fake.slept == []
    assert [one for one in fake.requests if one.startswith("POST")] == [f"POST /repos/{REPOSITORY}/issues/7/comments"]


def test_an_expired_token_is_called_that() -> None:
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(401, json={"message": "Bad credentials"}))])
    with pytest.raises(Refused, match="401: Bad credentials; the token is none, or has expired"):
        post(fake)


def test_a_page_at_another_host_never_gets_the_token() -> None:
    link = {"Link": '<https://evil.example/page2>; rel="next"'}
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(200, json=[], headers=link))])
    with pytest.raises(SpillwayError, match="another host"):
        post(fake)
    assert len(fake.requests) == 1


def test_a_sign_in_page_instead_of_an_answer_is_told() -> None:
    fake = FakeGithub(rules=[once("GET", lambda: httpx.Response(200, html="<html>sign in</html>"))])
    with pytest.raises(SpillwayError, match="no JSON but text/html"):
        post(fake)


def test_a_server_that_stays_broken_while_creating_is_lost_in_the_end() -> None:
    fake = FakeGithub(rules=list(always("POST", lambda: httpx.Response(504))))
    with pytest.raises(Lost, match="answers 504"):
        post(fake)


def test_a_text_above_the_limit_or_without_the_marker_is_refused_before_anything_is_sent() -> None:
    fake = FakeGithub()
    with pytest.raises(ValueError, match="at most 65536"):
        post(fake, MARKER + "x" * 65_536)
    with pytest.raises(ValueError, match="does not begin"):
        post(fake, "no marker")
    assert not fake.requests


@pytest.mark.parametrize("name", ["acme", "acme/../x", "a/b/c", "acme/..", "acme/x?y=1", ""])
def test_a_repository_that_is_none_never_becomes_an_address(name: str) -> None:
    with pytest.raises(SpillwayError, match="owner/name"):
        github.PullRequest(api(FakeGithub()), name, 7)


@given(st.lists(st.sampled_from(["a line", "```", "```diff", "<details><summary>x</summary>", "</details>", ""])),
       st.integers(300, 2000))  # fmt: skip
def test_a_cut_text_fits_and_leaves_nothing_open(lines: list[str], limit: int) -> None:
    text = fitted("\n".join([MARKER, *lines] * 20), limit, "[run](https://run)")
    assert len(text) <= limit
    assert marked(text, MARKER)
    assert text.endswith("[run](https://run)\n")


def test_a_cut_inside_a_fence_in_a_folded_section_closes_both() -> None:
    text = fitted(f"{MARKER}\n<details><summary>x</summary>\n\n```diff\n" + "+ line\n" * 100, 400)
    assert "\n```\n\n</details>\n\n_Too long for a comment" in text
