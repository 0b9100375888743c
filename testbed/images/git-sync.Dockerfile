# In place of registry.k8s.io/git-sync/git-sync, for clusters that cannot pull it: Debian's git and a small loop.
ARG BASE
FROM ${BASE}
RUN mkdir -p /var/log/apt /var/cache/apt/archives/partial /var/lib/apt/lists/partial \
 && apt-get -o APT::Sandbox::User=root update \
 && apt-get -o APT::Sandbox::User=root install -y --no-install-recommends git \
 && rm -rf /var/lib/apt/lists /var/cache/apt /var/log
COPY git_sync.py /usr/bin/git-sync
USER 65533:65533
ENTRYPOINT ["python3", "/usr/bin/git-sync"]
