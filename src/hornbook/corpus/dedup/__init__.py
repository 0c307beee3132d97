"""Duplicates: measures in, the documents to drop and their survivors out.

`exact` finds texts that are equal after Unicode normalisation and collapsed white space. Which copy
survives is a stated total order (the longest, then the smallest id), never the order of files.
"""
