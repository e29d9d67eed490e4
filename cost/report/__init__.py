"""Reports of a comparison: a page, a workbook, Markdown, CSV, JSON and FOCUS."""
