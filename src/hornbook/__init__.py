"""Hornbook: from raw text to a language model that talks, in one command."""

__version__ = "0.1.0"
