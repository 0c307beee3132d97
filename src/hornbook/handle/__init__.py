"""Handle: the one way to build or open a model, and the handle that users hold.

In: a family's name with dimensions (`hornbook.build`), or a path (`hornbook.load`): a run, whose
last finished training stage is opened, a checkpoint, a Hugging Face folder, or a file of n-grams.
Out: a `Model`, network and tokenizer in one; of n-grams a `CountedModel`.

    opening   build and load: which kind of place a path is, and what it holds
    model     the handle: call, generate, stream, chat, bits_per_byte, save
    continuing  the part of it that goes on with texts, whatever predicts
    counted   the handle of n-grams, which are opened from a run's baseline or a file
    prompts   texts and ids of any shape as rows, long texts as windows
    pairs     train_pairs: an encoder-decoder learns from sources and targets
    fitting   whether a model and the tokenizer beside it belong together
    vocabulary  with_vocabulary: a model carried over to another tokenizer
    contextual  contextual_vectors: of every token of a text, by a model of two directions
"""
