"""Files that hold a tokenizer: opening anyone's, writing what other programs open.

load        opens any; says what is damaged
folder      how one is saved: tokenizer.json and what stands beside it; layouts: other files
formats     definition and decoders (tokenizer.json), gpt2_files (vocab.json and merges.txt),
            tiktoken_ranks, sentencepiece_model and sentencepiece_definition
beneath     json_file, config_beside, recipes (merges that a list of ranks stands for)
"""
