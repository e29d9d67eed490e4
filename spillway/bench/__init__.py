"""Measuring an OpenAI-compatible endpoint: one request (`client`), prompts of a length (`prompts`), a closed loop
(`loop`), and what its requests amount to (`figures`)."""
