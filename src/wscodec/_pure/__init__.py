"""The pure-Python twins of the compiled modules: same names, signatures, docstrings and errors.

Floor 1.
"""
