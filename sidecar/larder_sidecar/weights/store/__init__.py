"""The store on disk: its folders, its one writer, the files in it, and the marker that says it is complete.

Imports of other wings: nothing.
"""
