"""One region of Google Cloud."""
