"""The messages of the wire, as scripts/generate.py writes them. Not part of the public surface but
for the types of every result's ``raw``.
"""
