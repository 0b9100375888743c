"""The model manager: activates one model of the catalog on request, by an InferenceService of KServe."""
