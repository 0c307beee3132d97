"""Models: from a spec (dimensions and choices of parts, as data) to a network of hidden states.

In: a `Spec` (spec.py), made by a family (families/NAME.py) from a few dimensions or a published
size; its parts are named in choices.py, its fresh weights in initialisation.py. Out: a `Network`:
tokens in, hidden states out, of one stack (stacks.py), of an encoder and a decoder
(encoder_decoder.py), of two streams (two_stream.py) or of two directions (two_way.py). The output
head is handed to whoever forms the loss or the logits, so that logits of a whole batch are never
held.

parts/ holds one idea a file with its equation and source; a family chooses among parts and adds no
code to them. count.py tells parameters, FLOPs and memory of a spec without building it; exchange.py
and layouts.py say, as data, how weights and settings are named in Hugging Face folders. ngrams/
counts instead of learning; vectors/ learns vectors of words, without a network. Each file names its
papers.
"""

FAMILIES: dict[str, str] = {
    "nplm": "hornbook.models.families.nplm",
    "rnn": "hornbook.models.families.rnn",
    "lstm": "hornbook.models.families.lstm",
    "gru": "hornbook.models.families.gru",
    "bilm": "hornbook.models.families.bilm",
    "seq2seq": "hornbook.models.families.seq2seq",
    "bahdanau": "hornbook.models.families.bahdanau",
    "luong": "hornbook.models.families.luong",
    "transformer": "hornbook.models.families.transformer",
    "gpt1": "hornbook.models.families.gpt1",
    "gpt2": "hornbook.models.families.gpt2",
    "gpt3": "hornbook.models.families.gpt3",
    "bert": "hornbook.models.families.bert",
    "roberta": "hornbook.models.families.roberta",
    "xlnet": "hornbook.models.families.xlnet",
    "bart": "hornbook.models.families.bart",
    "t5": "hornbook.models.families.t5",
    "t5_1_1": "hornbook.models.families.t5_1_1",
    "glm": "hornbook.models.families.glm",
    "chatglm": "hornbook.models.families.chatglm",
    "chatglm2": "hornbook.models.families.chatglm2",
    "palm": "hornbook.models.families.palm",
    "llama": "hornbook.models.families.llama",
    "llama2": "hornbook.models.families.llama2",
    "mixtral": "hornbook.models.families.mixtral",
    "qwen3": "hornbook.models.families.qwen3",
}

VECTORS: dict[str, str] = {"word2vec": "hornbook.models.families.word2vec"}
"""Families of word vectors: no networks, they have vectors and no logits (vectors/)."""

COUNTED: dict[str, str] = {"ngram": "hornbook.models.families.ngram"}
"""Families of counts: no networks, they have logits and no hidden states (ngrams/)."""

ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        VECTORS,
        "has vectors, not logits, so it is no network to build; learn it with `hornbook vectors "
        "train RUN`",
    ),
    **dict.fromkeys(
        COUNTED,
        "is counted, not built: the stage [baseline] of a recipe counts it, with baseline.order "
        'and baseline.estimator, and hornbook.load(RUN, stage="baseline") opens it',
    ),
}
"""What is made in another way than by building a network, and how."""
