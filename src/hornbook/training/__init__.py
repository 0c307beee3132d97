"""Training: one loop for everything that has a gradient.

In: a network, an objective, batches by sample number, options, and watchers (evaluate, sample,
save) as an ordered list of plain functions. Out: a trained network, checkpoints, and events.

    options     what a recipe may say       compute    device, precision and threads, resolved once
    precision   fp32 masters, bf16 weights  step       one update: accumulate, clip, guard, optimise
    loop        take, step, record, watch   watchers   what happens besides
    guard       what is not accepted        memory     the process: threads, kept memory

Papers: Micikevicius et al. 2018 (master weights); Pascanu et al. 2013 (clipping by norm); Kalamkar
et al. 2019 (bf16 training).
"""
