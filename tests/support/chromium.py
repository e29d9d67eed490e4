"""What Debian's Chromium makes of a page, without a window."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

THERE: Final = shutil.which("chromium") is not None
LEAST: Final = 500
"""Pixels that a window has at least; narrower pages are in a frame."""
_TELL: Final = "document.documentElement.scrollWidth + '/' + innerWidth"


def widths(text: str, folder: Path, width: int) -> tuple[int, int]:
    """Pixels that a page takes from left to right, and those that it has."""
    title = "document.title" if width >= LEAST else "parent.document.title"
    page = folder / "page.html"
    page.write_text(text.replace("</body>", f"<script>{title} = {_TELL}</script></body>"))
    if width < LEAST:
        frame = f"<title></title><iframe src='{page.name}' style='width:{width}px;height:900px;border:0'></iframe>"
        page = folder / "frame.html"
        page.write_text(frame)
    command = [
        "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 800 if width < LEAST else 0)},900",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = re.search(r"<title>(\d+)/(\d+)</title>", shown)
    assert found is not None
    return int(found[1]), int(found[2])
