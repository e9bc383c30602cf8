"""Damages a file of every form in ways drawn by hypothesis, and judges what its reader makes of it.

`sources` writes whole files and reads them, `damage` and its neighbours spoil them and say what a
reader can see of it, `judgement` compares, `campaign` runs cases and counts.
"""
