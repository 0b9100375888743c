"""The model manager: which model of the catalog is active, decided by request and carried out by KServe."""
