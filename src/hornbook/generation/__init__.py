"""Generation: from a network and a beginning to what comes next.

In: a `Network`, prompts as lists of ids, and a `Sampling` (temperature, top-k, top-p, ...). Out:
the continuation, token by token as it is made, or whole.

    sampling   scores -> choice, pure functions in a fixed order
    session    what has been read so far: cache, several rows at once, a source, a full context
    packed     weights laid out for reading one token at a time on a CPU
    generate   the loop, token by token, with stops
    beam       the search that keeps the likeliest few
    text       ids -> pieces of text, never half a character

Papers: Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p); Keskar et al. 2019 (repetition
penalty); Graves 2012 (beam search).
"""
