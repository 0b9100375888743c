"""Digests of images: the registry resolves each tag of larder:images when the program runs."""

from collections.abc import Mapping

import pulumi

from .settings import Problem, Settings, SettingsError

KEY = "larder:images"


def pin_images(settings: Settings) -> Settings:
    """Return the settings with name:version@sha256:… for each name:version. Raise SettingsError.

    Asked now and not by an output: names depend on the digest, and previews show it. The version stays in the
    reference for people; a runtime uses the digest only.
    """
    tagged = settings.images.tagged
    if not tagged:
        return settings
    known = {name.replace("-", "_"): reference for name, reference in _resolved(tagged).items()}
    return settings.model_copy(update={"images": settings.images.model_copy(update=known)})


def _resolved(tagged: Mapping[str, str]) -> dict[str, str]:
    try:
        # Only stacks that name a tag import it: Pulumi downloads its plugin too.
        from pulumi_docker import Provider, get_registry_image
    except ModuleNotFoundError as error:
        msg = f"a tag needs the Python package {error.name}. Fix: run make clouds, or name digests."
        raise SettingsError([Problem(KEY, msg)]) from error
    # The provider asks registries over HTTPS, so `up` needs no Docker daemon.
    asking = pulumi.InvokeOptions(provider=Provider("registries", disable_docker_daemon_check=True))
    found: dict[str, str] = {}
    problems = []
    for name, image in tagged.items():
        try:
            found[name] = f"{image}@{get_registry_image(name=image, opts=asking).sha256_digest}"
        except Exception as error:  # noqa: BLE001 (the SDK raises no narrower class)
            msg = f"no digest of {image}: {error}. Fix: name a tag that the registry has, or a digest."
            problems.append(Problem(f"{KEY}.{name}", msg))
    if problems:
        raise SettingsError(problems)
    for name, reference in found.items():
        pulumi.log.info(f"{KEY}.{name}: {tagged[name]} is {reference.rpartition('@')[2]}")
    return found
