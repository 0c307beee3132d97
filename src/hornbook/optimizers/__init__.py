"""Optimisers and schedules: from gradients to new weights.

In: groups of fp32 parameters with their gradients, each laid out in flat buffers, and the learning
rate of this update. Out: the parameters, changed in place, and a state that is saved by parameter
name. A schedule is a pure function of the update's number; optimisers hold no schedule.

Papers: Kingma and Ba 2015 (Adam); Loshchilov and Hutter 2019 (AdamW, decoupled decay; cosine
schedule: 2017); Goyal et al. 2017 (linear warm-up).
"""

OPTIMIZERS = {"adamw": "hornbook.optimizers.adamw:AdamW"}
