# Shimmy as the toolchain built it, with Mesa's software Vulkan device: it computes where there is no GPU, slowly.
ARG BASE
FROM ${BASE}
# The base has no folder that apt logs to.
RUN mkdir -p /var/log/apt && apt-get update && apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers \
    && rm -rf /var/lib/apt/lists /var/cache/apt /var/log /usr/share/doc /usr/share/man
COPY bin/shimmy /usr/bin/shimmy
USER 1000:1000
ENTRYPOINT ["/usr/bin/shimmy"]
CMD ["serve"]
