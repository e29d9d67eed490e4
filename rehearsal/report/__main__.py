"""`python -m rehearsal.report`: writes the schema of report.json beside the module that makes it."""

from rehearsal.report.document import SCHEMA, schema

SCHEMA.write_text(schema(), encoding="utf-8")
