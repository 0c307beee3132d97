"""The options of `[corpus]`: what is read, what is too bad to keep, how much is held back."""

from typing import Annotated

from pydantic import Field

from hornbook.corpus.filters import FILTERS
from hornbook.recipe.options import Options, one_of, unhashed

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Size = Annotated[int, Field(ge=0)]


class CorpusOptions(Options):
    """From sources to documents; a share is a part of 1, thresholds are judged by `filters`."""

    sources: tuple[str, ...] = Field(
        ("python:code", "python:docs"),
        description="What is read: python:code, python:docs, or paths of files and folders "
        "(.txt, .md, .jsonl, also .gz).",
    )
    validation_fraction: float = Field(
        0.05,
        gt=0.0,
        le=0.5,
        description="Share of the groups (modules, files, records) that is held back for "
        "validation; a source of fewer than ten groups gives this share of each text's end.",
    )
    filters: tuple[Annotated[str, one_of(FILTERS)], ...] = Field(
        ("length", "characters", "repetition", "tables"),
        description="The rule sets that judge each document, in this order.",
    )
    minimum_bytes: Size = Field(
        20, description="Shorter documents are dropped (bytes of UTF-8, so that scripts compare)."
    )
    minimum_letter_share: Share = Field(
        0.25, description="Least share of letters, of any script, among all but white space."
    )
    maximum_digit_share: Share = Field(
        0.5, description="Largest share of digits among all but white space."
    )
    maximum_word_characters: Size = Field(
        1000, description="Longest unbroken word in characters; data in base 64 has longer ones."
    )
    maximum_duplicate_line_share: Share = Field(
        0.5, description="Largest share of characters in lines that stood before in the document."
    )
    maximum_top_2gram_share: Share = Field(
        0.45, description="Largest share of word characters that one pair of words may cover."
    )
    maximum_top_3gram_share: Share = Field(
        0.45, description="Largest share of word characters that one run of 3 words may cover."
    )
    maximum_repeated_5gram_share: Share = Field(
        0.7, description="Largest share of word characters in runs of 5 words that came before."
    )
    maximum_repeated_10gram_share: Share = Field(
        0.5, description="Largest share of word characters in runs of 10 words that came before."
    )
    maximum_table_share: Share = Field(
        0.6, description="Largest share of characters in lines that look like rows of a table."
    )
    maximum_line_bytes: int = Field(
        8_000_000, ge=1, description="A longer line of a file is put aside (bytes)."
    )
    maximum_document_bytes: int = Field(
        4_000_000, ge=1, description="A longer text is cut into documents at line ends (bytes)."
    )
    shard_bytes: int = Field(
        32_000_000, ge=1, description="Text in one file of the finished corpus (bytes of UTF-8)."
    )
    batch_bytes: int = unhashed(
        4_000_000, ge=1, description="Text held at once while working (bytes); changes no result."
    )
