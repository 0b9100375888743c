"""The store on disk: its folders, its one writer, the files in it, and what says that it is complete."""
