"""What Larder costs in time and memory, measured: `make bench`."""
