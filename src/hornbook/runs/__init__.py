"""Runs: the directory that is all of a run, and the order in which its stages come to be.

In come a table of stages (name, function, what each reads) and a recipe; out comes a directory
whose stages are each a pure function of their options, inputs and what they read outside, with
checksums in a manifest, an append-only log, and an archive of what a changed recipe replaced.
Everything is written beside its place and renamed when whole, so that a kill at any moment loses
at most the work since the last save. Fingerprints after Nix (Dolstra, 2006), in spirit.

    directory  paths, lock, recorded recipe     stage      what a stage is and what it is given
    manifest   what each finished stage is      decide     whether a stage must run, and why
    atomic     writing without tearing          execute    the stages in order
    checksums  outputs measured and verified    archive    put in place, kept, restored, emptied
    events     the log and its reader           progress   bars and lines;  signals  stop politely
"""
