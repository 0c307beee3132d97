"""From stored tokens to the tensors of one update.

In come token arrays (room `store`) or encoded items with their learn masks, a seed and weights;
out come frozen `Batch`es on the CPU, the same for any number of workers and from any sample on.

    order      sample number -> (source, epoch, position): a function, never a state
    mixture    how samples are shared out among sources: weights, that may move, and caps
    plans      position -> row: contiguous streams, or stored best-fit packing
    whole_documents, cuts  rows of whole documents; what each plan does to documents
    sentences  where sentences begin among stored tokens
    masks      who may see whom, as one composable value
    batch      the tensors of an update; cutting it into micro-batches and ranks
    loader     sample numbers -> Batch, prefetched by threads when asked
    pairs      a table of sources with their targets, and its batches

Sources: Luby & Rackoff 1988 (Feistel permutations), Black & Rogaway 2002 (cycle walking),
Tijdeman 1980 (evenly spread mixtures), Ding et al. 2024 (best-fit packing, arXiv:2404.10830).
"""
