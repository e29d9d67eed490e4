"""An issue for each stack whose clouds are not as its program says; one, however many runs see it, closed when clean.

An issue's first line is hidden and has the stack and a fingerprint: severity, and how many resources would be deleted,
replaced, updated and created again. People are told (by a comment) when that changes, and not each night.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from spillway.ci.api import Lost
from spillway.ci.merge import markdown, only
from spillway.ci.sticky import fitted
from spillway.ci.tracker import Issue, Tracker
from spillway.preview.document import Document, StackRow
from spillway.preview.markdown import LIMIT, MARKER

LABEL: Final = "spillway-drift"
Severity = Literal["clean", "medium", "high", "critical", "unknown"]
_FIRST_LINE: Final = re.compile(r"<!-- spillway-drift stack=(\S+) fingerprint=(\S+) -->")
MEANING: Final = (
    "What the clouds hold is not what the stack's program on the default branch says. `+` is gone from the cloud and "
    "would be made again, `~` was changed by somebody, `±` and `−` would be replaced and deleted. Take the change "
    "over into the stack file or the program, or undo it with `pulumi up --refresh`. This issue is closed by the next "
    "run that finds nothing."
)


@dataclass(frozen=True, slots=True)
class Done:
    """What was done about a stack: words for the log. failed: its preview told nothing."""

    stack: str
    what: str
    url: str = ""
    failed: bool = False


def severity(row: StackRow) -> Severity:
    """critical: a protected resource would go. high: resources were deleted, or would be. medium: changed values.
    unknown: the preview failed."""
    if row.outcome == "failed":
        return "unknown"
    if row.refused:
        return "critical"
    if any(row.counts.get(op) for op in ("delete", "replace", "create")):
        return "high"
    return "medium" if row.counts.get("update") else "clean"


def fingerprint(row: StackRow) -> str:
    """`high:delete=0:replace=0:update=2:create=1`: readable, and without what differs from night to night."""
    found = severity(row)
    if found == "unknown":
        return "unknown"
    counts = ":".join(f"{op}={row.counts.get(op, 0)}" for op in ("delete", "replace", "update", "create"))
    return f"{found}:{counts}"


def report(
    found: Document,
    tracker: Tracker,
    *,
    run: str = "",
    known: Collection[str] | None = None,
    mask: Callable[[str], str] = str,
) -> Iterator[Done]:
    """Issues as the document has it, one stack after the other. run: address of the run, for who reads the issue.
    known: every stack that is looked at; an issue of any other is closed. mask: hides secrets. Raises SpillwayError.
    """
    for row in found.rows:
        for attempt in (1, 2):
            try:
                yield _about(row, found, tracker, _of(tracker, row.stack), run, mask)
                break
            except Lost:  # an issue that may be there by now: look again before another one is made
                if attempt == 2:
                    raise
    if known is None:
        return
    for stack, issues in _by_stack(tracker).items():
        if stack in known or stack in {row.stack for row in found.rows}:
            continue
        for issue in issues:
            if issue.open:
                tracker.say(issue.id, "This stack is not looked at any more: it is not among the deployed stacks.")
                tracker.close(issue.id, done=False)
                yield Done(stack, "closed, not looked at any more", issue.url)


def _by_stack(tracker: Tracker) -> dict[str, list[Issue]]:
    by: dict[str, list[Issue]] = {}
    for issue in tracker.issues():
        line = _FIRST_LINE.match(issue.body)
        if line:
            by.setdefault(line[1], []).append(issue)
    return by


def _of(tracker: Tracker, stack: str) -> list[Issue]:
    """Its issues, open ones first, then the latest."""
    return sorted(_by_stack(tracker).get(stack, []), key=lambda one: not one.open)


def _about(
    row: StackRow, found: Document, tracker: Tracker, issues: Sequence[Issue], run: str, mask: Callable[[str], str]
) -> Done:
    level, mark = severity(row), fingerprint(row)
    still = [one for one in issues if one.open]
    for extra in still[1:]:
        tracker.say(extra.id, "Another issue is of the same stack; this one is closed.")
        tracker.close(extra.id, done=False)
    issue = next(iter(issues), None)
    where = f" ([run]({run}))" if run else ""
    if level == "clean":
        if issue is None or not issue.open:
            return Done(row.stack, "clean")
        tracker.say(issue.id, f"Clean: the clouds are as {found.head} says{where}.")
        tracker.close(issue.id, done=True)
        return Done(row.stack, "clean: closed", issue.url)
    body = mask(_body(row, found, mark, tracker.limit, run))
    if issue is None:
        url = tracker.create(f"Drift: {row.stack}", body)
        return Done(row.stack, f"{mark}: issue made", url, level == "unknown")
    before = _FIRST_LINE.match(issue.body)
    was = before[2] if before else ""
    if level == "unknown" and issue.open:  # what was seen last is worth more than that nothing could be seen now
        return Done(row.stack, f"could not be previewed; its issue stays as it is: {was}", issue.url, True)
    if issue.open and issue.body.replace("\r\n", "\n").strip() == body.strip():
        return Done(row.stack, f"{mark}: as before", issue.url)
    url = tracker.edit(issue.id, body) or issue.url
    if not issue.open:
        tracker.say(issue.id, f"Again: `{mark}`{where}.")
        return Done(row.stack, f"{mark}: reopened", url, level == "unknown")
    if was != mark:
        tracker.say(issue.id, f"Now `{mark}`, before `{was}`{where}.")
        return Done(row.stack, f"{mark}: was {was}", url)
    return Done(row.stack, f"{mark}: as before, details renewed", url)


def _body(row: StackRow, found: Document, mark: str, limit: int, run: str) -> str:
    first = f"<!-- spillway-drift stack={row.stack} fingerprint={mark} -->"
    rest = f"[The run, with the whole document as an artifact]({run})" if run else ""
    room = min(limit, LIMIT) - len(first) - len(MEANING) - len(rest) - 16
    text = markdown(only(found, row.stack), room).removeprefix(MARKER).strip()
    meaning = MEANING if row.outcome == "previewed" else "This stack could not be previewed, so nobody knows its state."
    return fitted(f"{first}\n{meaning}\n\n{text}", limit, rest)
