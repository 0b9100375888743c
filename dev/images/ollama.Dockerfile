# Ollama as the toolchain built it, for clusters that cannot pull the official image.
ARG BASE
FROM ${BASE}
COPY lib/ollama /usr/lib/ollama
COPY bin/ollama /usr/bin/ollama
USER 1000:1000
ENTRYPOINT ["/usr/bin/ollama"]
CMD ["serve"]
