"""What a rehearsal came to, for people and for programs: report.json, report.md and report.html of one directory."""

from __future__ import annotations

from rehearsal.report.files import write

__all__ = ["write"]
