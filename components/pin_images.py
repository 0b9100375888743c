"""Digests of images: each tag of larder:images becomes the digest that the registry has when the program runs."""

from collections.abc import Mapping

import pulumi

from .settings import Settings, SettingsError

KEY = "larder:images"


def pinned(settings: Settings) -> Settings:
    """Return the settings with name:version@sha256:… for each name:version. Raises SettingsError.

    Asked now and not by an output, for names come from what runs, and a preview shows it. The version stays in the
    reference for people; a runtime goes by the digest.
    """
    tagged = settings.images.tagged
    if not tagged:
        return settings
    known = {name.replace("-", "_"): reference for name, reference in _resolved(tagged).items()}
    return settings.model_copy(update={"images": settings.images.model_copy(update=known)})


def _resolved(tagged: Mapping[str, str]) -> dict[str, str]:
    try:
        # Imported by stacks that name a tag, and by no other: its plugin comes with it.
        from pulumi_docker import Provider, get_registry_image
    except ModuleNotFoundError as error:
        msg = f"{KEY}: a tag needs the Python package {error.name}. Run make clouds, or name digests."
        raise SettingsError([msg]) from error
    # Registries are asked over HTTPS; whoever runs `up` needs no Docker for that.
    asking = pulumi.InvokeOptions(provider=Provider("registries", disable_docker_daemon_check=True))
    found: dict[str, str] = {}
    problems = []
    for name, image in tagged.items():
        try:
            found[name] = f"{image}@{get_registry_image(name=image, opts=asking).sha256_digest}"
        except Exception as error:  # noqa: BLE001 (the SDK raises it as nothing more special)
            problems.append(f"{KEY}.{name}: no digest of {image}: {error}. Name one that is there, or a digest.")
    if problems:
        raise SettingsError(problems)
    for name, reference in found.items():
        pulumi.log.info(f"{KEY}.{name}: {tagged[name]} is {reference.rpartition('@')[2]}")
    return found
