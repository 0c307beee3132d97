"""The recipe: one TOML file that says everything about a run, read strictly.

In come a preset's name, a path or a mapping, the table of sections (name -> `Options` class, each
standing in the room it steers) and overrides from the command line; out comes a frozen `Recipe`
with every default written out, or one `RecipeError` that lists every fault at once. This room knows
no section: it reads, checks, overrides, fingerprints and explains whatever sections it is given.

    options      what a section may hold       sources    presets, paths, `extends`
    recipe       read, Recipe, to_toml         merging    layers and overrides, one over the other
    fingerprint  stable digests and seeds      faults     each fault as one line (explain)
    describe     the documentation's rows      text       a resolved recipe as commented TOML
    plugins      names of tables, and anyone's own code in their place
"""
