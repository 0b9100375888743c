# In vLLM's place where there is no GPU: its command line, answered by llama-server. See docs/testing.md.
ARG BASE
FROM ${BASE}
COPY llama-server /usr/bin/llama-server
COPY vllm_server.py /opt/stand-in/vllm/entrypoints/openai/api_server.py
ENV PYTHONPATH=/opt/stand-in
USER 1000:1000
