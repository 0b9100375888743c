# llama-server as the toolchain built it, for clusters that cannot pull an image of llama.cpp.
ARG BASE
FROM ${BASE}
COPY bin/llama-server /usr/bin/llama-server
USER 1000:1000
ENTRYPOINT ["/usr/bin/llama-server"]
