"""The files under /etc/larder, as models: one module a role. The Pulumi program renders them from the same classes."""
