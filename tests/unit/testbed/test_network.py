"""The link of the embedded cluster: one /30 that nothing else on the host uses."""

import json

import pytest

from dev.progress import CommandError
from testbed.cluster import network


def routes(*destinations: str):
    return lambda *_: json.dumps([{"dst": dst} for dst in destinations])


def test_both_ends_of_a_link_are_the_hosts_of_its_subnet():
    link = network.Link.of("10.231.0.4/30")
    assert (link.name, link.host, link.cluster) == ("larder15138820", "10.231.0.5", "10.231.0.6")


def test_names_of_links_fit_the_kernel():
    assert len(network.Link.of("192.168.231.252/30").name) <= 15


@pytest.mark.parametrize(
    ("taken", "free"),
    [
        ([], "10.231.0.0/30"),
        (["default"], "10.231.0.0/30"),
        (["10.231.0.0/30"], "10.231.0.4/30"),
        (["10.231.0.0/28", "10.231.0.20"], "10.231.0.16/30"),
        (["10.0.0.0/8"], "172.30.231.0/30"),
    ],
)
def test_a_subnet_that_a_route_covers_is_left_alone(monkeypatch, taken, free):
    monkeypatch.setattr(network, "_ip", routes(*taken))
    assert network.free_subnet() == free


def test_a_host_without_room_is_told_what_to_do(monkeypatch):
    monkeypatch.setattr(network, "_ip", routes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
    with pytest.raises(CommandError, match="make clean"):
        network.free_subnet()
