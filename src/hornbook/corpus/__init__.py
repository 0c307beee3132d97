"""The corpus: from text as it is found to documents worth learning from.

In come sources: the running Python's own library, or folders of `.txt`, `.md` and `.jsonl` files.
Out come documents (`documents/*.parquet`, with source, path and licence), beside them what was
dropped and why (`dropped.parquet`), what was changed inside a text (`spans.parquet`), the numbers
that decided (`measures.parquet`) and `statistics.json`.

Five steps, each a file of pure functions over Arrow record batches: read -> measure -> decide ->
deduplicate -> write. Tables to extend: `readers.READERS`, `readers.LIBRARIES`, `filters.FILTERS`.

The rules follow Gopher (Rae et al. 2021, appendix A), C4 (Raffel et al. 2020, section 2.2) and
FineWeb (Penedo et al. 2024), without what only suits English prose.
"""
