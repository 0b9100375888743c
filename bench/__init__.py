"""`make bench`: measurements of the time and memory that Larder takes."""
