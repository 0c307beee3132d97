"""The kinds of tokenizer, and what cuts text for them.

    read first    byte_pair (the algorithm in sixty lines)
    kinds         byte, character, word, word_bpe, byte_bpe, wordpiece, sentencepiece, pipeline
    cutting text  patterns, word_pipeline; run by library, gigatoken_engine
    long texts    in_parts (why the ids are the same), byte_parts, word_parts, endless
    learning      word_merges, sentencepiece_training

Each is a `hornbook.tokenizers.tokenizer.Tokenizer`.
"""
